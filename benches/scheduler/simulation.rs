//! How fast the simulator runs a trace.

use std::time::Duration;

use fc::sched::sim::{GeneratorConfig, PolicyName, SimConfig, Trace, simulate};

use super::measure::cpu_ns;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// Millions of invocations a second of CPU time (`performance.md`, budgets).
const RATE: Budget = Budget::AtLeast { goal: 3.0, least: 1.0 };

pub(crate) fn compare(options: &Options) {
    let functions = options.count(1_000, 10);
    let shape = GeneratorConfig {
        functions,
        rate: 100.0,
        length: options.count(Duration::from_secs(10_800), Duration::from_secs(5)),
        ..GeneratorConfig::default()
    };
    let accounts = options.count(100, 2);
    let one = shape.generate(1).expect("a trace");
    let many = GeneratorConfig { accounts, ..shape }.generate(1).expect("a trace");
    let free = SimConfig { quota: false, ..SimConfig::default() };
    let [free, quota, greedy] = alternate(
        options,
        [
            Box::new(|| nanos(&one, &free, PolicyName::Fixed)),
            Box::new(|| nanos(&many, &SimConfig::default(), PolicyName::Fixed)),
            Box::new(|| nanos(&many, &SimConfig::default(), PolicyName::HybridHistogram)),
        ],
    );
    let rows: Vec<Row> = [
        ("fixed, no quota".to_owned(), free),
        (format!("fixed, {accounts} accounts with quotas"), quota),
        (format!("hybrid-histogram, {accounts} accounts with quotas"), greedy),
    ]
    .into_iter()
    .flat_map(|(name, nanos)| {
        let rate = nanos.map(|nanos| 1e3 / nanos);
        [
            Row::new(name.clone(), &rate, "M invocations/s of CPU").budget(RATE),
            Row::new(name, &nanos, "ns CPU/invocation"),
        ]
    })
    .collect();
    let title = format!(
        "simulate: {} invocations of {functions} functions, Poisson, 100 a second",
        one.arrivals().len()
    );
    table::print(options, &title, &rows);
}

fn nanos(trace: &Trace, config: &SimConfig, policy: PolicyName) -> f64 {
    let count = trace.arrivals().len();
    let mut outcome = None;
    let nanos = cpu_ns(count, || outcome = Some(simulate(trace, config, policy)));
    let outcome = outcome.expect("it ran").expect("an outcome");
    assert_eq!(outcome.invocations, count as u64, "every invocation was simulated");
    nanos
}
