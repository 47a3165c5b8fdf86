//! One policy over a whole trace.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    AccountId, Error, FunctionName, Instant, Isolation, NodeId, Result, RuntimeKind, Timestamp,
};

use super::engine::{Ended, Engine, Event, World};
use super::report::Fragmentation;
use super::{Outcome, PolicyName, Random, SimConfig, Trace};
use crate::core::placement::{
    Capacity, Cluster, ClusterRules, NodeSpec, RuntimeSet, Tenancy, Zone,
};
use crate::core::policy::{
    Action, Cron, Forecast, ForecastShape, GreedyDual, HybridHistogram, KeepAlive, Load, Period,
    ScaleIn, Scaling, ScalingState, Schedule, TargetTracking,
};
use crate::core::quota::AccountQuota;
use crate::core::supply::{Profile, Supply, SupplyRules};
use crate::core::{Keeper, Levels, LoadReading, Pool, PoolRules};

/// How often scaling policies are asked: traces have minutes, and a day's thousand functions are
/// asked a million times.
const TICK: Duration = Duration::from_secs(60);

/// Traces tell of no time-out: nothing is cut.
const NEVER_CUT: Duration = Duration::from_secs(400_000);

/// How often those who wait for a quota's growth are looked at.
const SERVE_EVERY: Duration = Duration::from_millis(200);

/// Runs one policy over the whole trace: the scheduler's own pools, supply and policies, with models
/// in the place of runtimes.
///
/// Whatever is random is drawn from the configuration's seed: the same trace, configuration and
/// policy give the same outcome. What each policy is:
///
/// - `fixed`: an idle instance stays for [`SimConfig::keep_alive`], 300 s by default (SCH-3);
/// - `hybrid-histogram`, `greedy-dual`: the policies of [`core::policy`](crate::core::policy), with
///   that time where they have not learned better;
/// - `schedule`: `fixed`, and one instance of each function that was ever invoked from 8:00 to 20:00;
/// - `target-tracking`: `fixed`, and provisioned instances so that 60 % of their slots are used;
/// - `forecast`: `fixed`, and instances by the time of day, learned from the days before.
///
/// # Errors
///
/// A configuration that [`SimConfig::validate`] refuses, or a function whose instances fit no node.
pub fn simulate(trace: &Trace, config: &SimConfig, policy: PolicyName) -> Result<Outcome> {
    config.validate()?;
    let largest = trace.functions().iter().map(|function| function.resources());
    for size in largest {
        if !Capacity::Limited(config.node).holds(size) {
            let what = format!("{} MB is less than an instance of {size:?}", config.node.memory_mb);
            return Err(Error::invalid("node_memory", what));
        }
    }
    let mut engine = engine(config)?;
    let keep_alive = keep_alive(policy)?;
    let scaling = scaling(policy)?;
    let fixed = config.keep_alive.unwrap_or(Duration::from_secs(300));
    for function in trace.functions() {
        let rules = PoolRules {
            concurrency: function.concurrency,
            instance_max: u32::MAX,
            waiting_max: config.waiting_per_function_max,
            idle: fixed,
            life: Duration::from_secs(36 * 3_600),
            overdue: NEVER_CUT,
            freeze: None,
            boost: Duration::ZERO,
        };
        let size = function.resources();
        let pool = match &keep_alive {
            None => Pool::new(rules),
            Some(policy) => {
                let keeper = Keeper::new(policy.begin(), size, fixed, function.concurrency);
                Pool::with_keeper(rules, keeper)
            }
        };
        let profile = Profile {
            account: AccountId::new(&format!("a{}", function.account))?,
            function: FunctionName::new(&format!("f{}", engine.pools.len()))?,
            size,
            runtime: RuntimeKind::Process,
            isolation: Isolation::None,
            tenancy: Tenancy::Shared,
        };
        engine.add_pool(pool, profile);
    }
    let mut scaler = scaling.map(|policy| Scaler::new(policy, trace.functions().len()));
    let mut packing = Packing::default();
    let mut tick = Instant::ORIGIN + TICK;
    for arrival in trace.arrivals() {
        while tick <= arrival.at {
            engine.run_until(tick);
            if let Some(scaler) = &mut scaler {
                scaler.tick(&mut engine);
            }
            packing.sample(&engine, config);
            tick = tick + TICK;
        }
        engine.run_until(arrival.at);
        if let Some(scaler) = &mut scaler {
            scaler.seen(arrival.function());
        }
        engine.meter.invocations += 1;
        engine.arrive(arrival.function(), arrival.duration(), Ended::Well);
    }
    // What runs comes to its end; what idles would idle for as long as the policy likes.
    while engine.requests.len() > 0 && !engine.run_dry(64) {}
    Ok(outcome(engine, policy, &packing))
}

fn outcome(engine: Engine, policy: PolicyName, packing: &Packing) -> Outcome {
    let meter = engine.meter;
    Outcome {
        invocations: meter.invocations,
        cold_starts: meter.cold_starts,
        throttled: meter.throttled,
        refused_by: meter.refused_by.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect(),
        gb_s_busy: meter.gb_s_busy(),
        gb_s_idle: meter.gb_s_idle(),
        waits: meter.waits,
        instances_peak: meter.instances_peak,
        nodes_peak: meter.nodes_peak,
        fragmentation: packing.result(),
        events: engine.events.handled + meter.invocations,
        series: meter.series,
        ..Outcome::new(policy)
    }
}

fn engine(config: &SimConfig) -> Result<Engine> {
    let rules = ClusterRules { node_life: None, ..ClusterRules::default() };
    let mut cluster = Cluster::new(rules)?;
    for number in 0..config.nodes.unwrap_or(0) {
        let spec = NodeSpec { capacity: Capacity::Limited(config.node), ..node(number) };
        cluster.add(zoned(&spec, number, config.zones)?, Instant::ORIGIN)?;
    }
    let supply = Supply::new(
        SupplyRules {
            quota: config.quota.then(AccountQuota::function_compute),
            wait_for_quota: false,
            evict: config.nodes.is_some() || config.quota,
        },
        cluster,
    );
    let world = World {
        cold_start: config.cold_start,
        capacity_wait: config.capacity_wait,
        freeze_time: Duration::ZERO,
        stop_time: Duration::ZERO,
        start_failures: 0,
        grows: config.nodes.is_none(),
    };
    let mut engine = Engine::new(supply, world, Random::from_seed(config.seed));
    engine.new_node = Some(node);
    engine.node_size = config.node;
    engine.zones = config.zones;
    Ok(engine)
}

/// A node of the simulation, still without its size and zone.
pub(super) fn node(number: u32) -> NodeSpec {
    #[expect(clippy::expect_used, reason = "letters and digits are legal names")]
    let (id, zone) = (
        NodeId::new(&format!("n{number}")).expect("a legal id"),
        Zone::new("z0").expect("a legal zone"),
    );
    NodeSpec {
        id,
        capacity: Capacity::Unlimited,
        zone,
        tenancy: Tenancy::Shared,
        isolation: Isolation::Sandbox,
        runtimes: RuntimeSet::of(RuntimeKind::Process),
        owner: None,
        accounts_trust_each_other: false,
    }
}

fn zoned(spec: &NodeSpec, number: u32, zones: u32) -> Result<NodeSpec> {
    Ok(NodeSpec { zone: Zone::new(&format!("z{}", number % zones))?, ..spec.clone() })
}

impl Engine {
    /// The node with its size, in the zone whose turn it is.
    pub(super) fn sized(&self, spec: NodeSpec) -> NodeSpec {
        let spec = NodeSpec { capacity: Capacity::Limited(self.node_size), ..spec };
        zoned(&spec, self.nodes_added, self.zones).unwrap_or(spec)
    }
}

fn keep_alive(policy: PolicyName) -> Result<Option<Arc<dyn KeepAlive>>> {
    Ok(match policy {
        PolicyName::HybridHistogram => Some(Arc::new(HybridHistogram::default())),
        PolicyName::GreedyDual => Some(Arc::new(GreedyDual::new(None))),
        _ => None,
    })
}

fn scaling(policy: PolicyName) -> Result<Option<Arc<dyn Scaling>>> {
    Ok(match policy {
        PolicyName::Schedule => {
            let utc = crate::core::policy::Zone::utc();
            let at = |expression| Cron::parse("schedule_expression", expression, &utc);
            let actions = vec![
                Action::cron(at("0 0 8 * * *")?, Period::ALWAYS, 1),
                Action::cron(at("0 0 20 * * *")?, Period::ALWAYS, 0),
            ];
            Some(Arc::new(Schedule::new(actions)))
        }
        PolicyName::TargetTracking => {
            Some(Arc::new(TargetTracking::new(0.6, 0, 1_000, Period::ALWAYS, ScaleIn::default())?))
        }
        PolicyName::Forecast => Some(Arc::new(Forecast::new(ForecastShape::default())?)),
        _ => None,
    })
}

/// Asks a scaling policy for every function that was invoked.
struct Scaler {
    policy: Arc<dyn Scaling>,
    seen: Vec<bool>,
    states: Vec<(u32, Box<dyn ScalingState>)>,
    provisions: bool,
}

impl Scaler {
    fn new(policy: Arc<dyn Scaling>, functions: usize) -> Self {
        let provisions = policy.name() != "forecast";
        Self { policy, seen: vec![false; functions], states: Vec::new(), provisions }
    }

    fn seen(&mut self, function: u32) {
        let seen = &mut self.seen[function as usize];
        if !*seen {
            *seen = true;
            self.states.push((function, self.policy.begin()));
        }
    }

    fn tick(&mut self, engine: &mut Engine) {
        let now = engine.now;
        // The trace's start is midnight.
        let millis = u64::try_from(now.since_origin().as_millis()).unwrap_or(u64::MAX);
        let wall = Timestamp::from_unix_millis(millis);
        for (pool, state) in &mut self.states {
            let core = &mut engine.pools[*pool as usize].core;
            let concurrency = core.rules().concurrency;
            let LoadReading { running_mean, running_peak, arrivals, .. } = core.read_load(now);
            let usage = core.usage();
            let target = state.target(&Load {
                now,
                wall,
                instances: usage.instances,
                provisioned: usage.provisioned,
                concurrency,
                running_mean,
                running_peak,
                arrivals,
                start_cost: core.start_cost(),
                tick: TICK,
            });
            let target = target.unwrap_or(0);
            let levels = if self.provisions {
                Levels { provisioned: target, ..Levels::default() }
            } else {
                Levels { floor: target, ..Levels::default() }
            };
            core.set_levels(levels);
            engine.settle(*pool);
        }
        engine.events.push(now + SERVE_EVERY, Event::Serve);
    }
}

/// Nodes in use against the fewest that what is on them needs, once a minute.
#[derive(Default)]
struct Packing {
    sum: f64,
    samples: u64,
    worst: f64,
}

impl Packing {
    fn sample(&mut self, engine: &Engine, config: &SimConfig) {
        let used = engine.meter.nodes();
        if used == 0 {
            return;
        }
        let totals = engine.supply.cluster().totals();
        let (all, free, node) = (totals.capacity, totals.free, config.node);
        let least = [
            (all.cpu_milli - free.cpu_milli).div_ceil(node.cpu_milli.into()),
            (all.memory_mb - free.memory_mb).div_ceil(node.memory_mb.into()),
            (all.disk_mb - free.disk_mb).div_ceil(node.disk_mb.into()),
        ];
        let least = least.into_iter().max().unwrap_or(0).max(1);
        let ratio = used as f64 / least as f64;
        self.sum += ratio;
        self.samples += 1;
        self.worst = self.worst.max(ratio);
    }

    fn result(&self) -> Fragmentation {
        if self.samples == 0 {
            return Fragmentation { mean: 1.0, worst: 1.0 };
        }
        Fragmentation { mean: self.sum / self.samples as f64, worst: self.worst }
    }
}
