//! Route and release of a warm request: `Scheduler::warm_slot` and its drop, with the scheduler's own
//! shell, pools and clock.

use std::sync::Arc;

use dashmap::DashMap;
use fc::core::{Isolation, NodeId, Resources, RuntimeKind};
use fc::runtime::in_process::InProcessRuntime;
use fc::sched::core::placement::{Capacity, NodeSpec, RuntimeSet, Tenancy, Zone};
use fc::sched::core::policy::HybridHistogram;
use fc::sched::core::quota::{AccountQuota, PooledQuota};
use fc::sched::{Node, Policies};
use fc::{Platform, PlatformBuilder};
use parking_lot::Mutex;

use super::measure::{cpu_ns, shuffled};
use super::subject::Warm;
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// One decision, nanoseconds (`performance.md`, budgets).
const DECISION: Budget = Budget::AtMost { goal: 150.0, least: 400.0 };
/// Many functions or instances over few.
const FLAT: Budget = Budget::AtMost { goal: 1.0, least: 1.5 };

const UNIT: &str = "ns CPU";

pub(crate) fn compare(options: &Options) {
    scale(options);
    policies(options);
}

fn scale(options: &Options) {
    let count = options.count(1_000_000, 1_000);
    let (few, many) = options.count((10, 100_000), (2, 20));
    let all_of = |functions: u32| (Warm::functions(functions, |b| b, |_| {}), Bare::new(functions));
    let ((few_warm, few_bare), (many_warm, many_bare)) = (all_of(few), all_of(many));
    let one_instance = Warm::instances(1);
    let instances = options.count(10_000, 10);
    let many_instances = Warm::instances(instances);
    let (few_order, many_order) = (shuffled(few as usize), shuffled(many as usize));
    let series = alternate(
        options,
        [
            Box::new(|| cpu_ns(count, || few_bare.route(&few_order, count))),
            Box::new(|| cpu_ns(count, || few_warm.route(&few_order, count))),
            Box::new(|| cpu_ns(count, || many_bare.route(&[many / 2], count))),
            Box::new(|| cpu_ns(count, || many_warm.route(&[many / 2], count))),
            Box::new(|| cpu_ns(count, || many_bare.route(&many_order, count))),
            Box::new(|| cpu_ns(count, || many_warm.route(&many_order, count))),
            Box::new(|| cpu_ns(count, || one_instance.route(&[0], count))),
            Box::new(|| cpu_ns(count, || many_instances.route(&[0], count))),
        ],
    );
    let [few_bare, few_warm, same_bare, same, all_bare, all, one, of_many] = series;
    let peer = "map look-up, lock, unlock";
    let decision = |name: String, series: &Series| Row::new(name, series, UNIT).budget(DECISION);
    let ratio = |name: &str, series: &Series, peer: &Series| {
        Row::new(name, series, UNIT).over(series.over(peer))
    };
    let rows = [
        decision(format!("{few} functions in turn"), &few_warm),
        decision(format!("{many} functions, always one"), &same),
        decision(format!("{many} functions in turn, shuffled"), &all),
        decision("1 function of 1 instance".into(), &one),
        decision(format!("1 function of {instances} instances"), &of_many),
        Row::new(format!("{peer}, {few} in turn"), &few_bare, UNIT),
        Row::new(format!("{peer}, {many}, always one"), &same_bare, UNIT),
        Row::new(format!("{peer}, {many} in turn, shuffled"), &all_bare, UNIT),
        ratio("many functions, always one, over few", &same, &few_warm).budget(FLAT),
        ratio("many functions, shuffled, over few", &all, &few_warm).budget(FLAT),
        ratio("the same of the bare map", &all_bare, &few_bare),
        ratio("many instances over one", &of_many, &one).budget(FLAT),
        ratio("few functions over the bare map", &few_warm, &few_bare),
        ratio("many functions, always one, over the bare map", &same, &same_bare),
        ratio("many functions, shuffled, over the bare map", &all, &all_bare),
    ];
    let title = "Route and release of a warm request, against a sharded map's look-up (dashmap, \
                 foldhash) with one parking_lot lock and unlock";
    table::print(options, title, &rows);
}

/// What the decision cannot do without: a look-up, a lock, an unlock.
struct Bare(DashMap<u64, Arc<Mutex<u64>>, foldhash::fast::RandomState>);

impl Bare {
    fn new(entries: u32) -> Self {
        Self((0..u64::from(entries)).map(|key| (key, Arc::default())).collect())
    }

    fn route(&self, order: &[u32], count: usize) {
        for index in order.iter().cycle().take(count) {
            let pool = self.0.get(&u64::from(*index)).map(|entry| entry.value().clone());
            *std::hint::black_box(pool.expect("it is there")).lock() += 1;
        }
    }
}

fn policies(options: &Options) {
    let (functions, count) = (options.count(100, 2), options.count(1_000_000, 1_000));
    let order = shuffled(functions as usize);
    let as_is = |builder: PlatformBuilder| builder;
    let nothing = |_: &Platform| {};
    let plain = Warm::functions(functions, as_is, nothing);
    let quota = Warm::functions(functions, |b| b.account_quota(vast(None)), nothing);
    let running = Warm::functions(functions, |b| b.account_quota(vast(Some(1_000_000))), nothing);
    let keep_alive = Some(Arc::new(HybridHistogram::default()) as Arc<_>);
    let kept = Policies { keep_alive: keep_alive.clone(), ..Policies::default() };
    let keeper = Warm::functions(functions, |b| b.policies(kept), nothing);
    let nodes = Warm::functions(functions, as_is, |platform| add_nodes(platform, functions));
    let kept = Policies { keep_alive, ..Policies::default() };
    let all = Warm::functions(
        functions,
        |b| b.policies(kept).account_quota(vast(Some(1_000_000))),
        |platform| add_nodes(platform, functions),
    );
    let turn = |subject: &Warm| cpu_ns(count, || subject.route(&order, count));
    let series = alternate(
        options,
        [
            Box::new(|| turn(&plain)),
            Box::new(|| turn(&quota)),
            Box::new(|| turn(&nodes)),
            Box::new(|| turn(&keeper)),
            Box::new(|| turn(&running)),
            Box::new(|| turn(&all)),
        ],
    );
    let names = [
        "nothing configured",
        "account quota",
        "10 nodes of limited size in 3 zones",
        "keep-alive by histogram",
        "account quota with a limit of running requests",
        "all of it",
    ];
    let rows = names.iter().zip(&series).map(|(name, each)| {
        let row = Row::new(*name, each, UNIT).budget(DECISION);
        row.over(each.over(&series[0])).budget(FLAT)
    });
    let title = "Route and release of a warm request with what an integrator may configure, over \
                 nothing configured";
    table::print(options, title, &rows.collect::<Vec<_>>());
}

/// More than the benchmark needs.
fn vast(concurrency: Option<u32>) -> AccountQuota {
    let vast = PooledQuota { max: None, burst: u64::MAX / 4, per_minute: 1 };
    AccountQuota {
        instances: vast,
        cpu_milli: vast,
        memory_mb: vast,
        concurrency,
        provisioned_percent_max: 90,
    }
}

/// Nodes that hold `functions` instances, before the platform's own, which has no limit.
fn add_nodes(platform: &Platform, functions: u32) {
    for number in 0..10 {
        let size = Resources { cpu_milli: 2_000, memory_mb: 2_048, disk_mb: 2_048 };
        let spec = NodeSpec {
            id: NodeId::new(&format!("n-{number}")).expect("an id"),
            capacity: Capacity::Limited(Resources {
                cpu_milli: size.cpu_milli * functions,
                memory_mb: size.memory_mb * functions,
                disk_mb: size.disk_mb * functions,
            }),
            zone: Zone::new(&format!("z-{}", number % 3)).expect("a zone"),
            tenancy: Tenancy::Shared,
            isolation: Isolation::None,
            runtimes: RuntimeSet::of(RuntimeKind::InProcess),
            owner: None,
            accounts_trust_each_other: true,
        };
        let node = Node::new(spec, vec![Arc::new(InProcessRuntime::new())]).expect("a node");
        platform.scheduler().add_node(node).expect("the node is taken");
    }
}
