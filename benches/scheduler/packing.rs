//! Which instance: a pool's packed slots, against a scan for the least loaded.

use fc::core::{Instant, Isolation, NodeId, RuntimeKind};
use fc::sched::core::placement::{
    Capacity, Cluster, ClusterRules, NodeKey, NodeSpec, RuntimeSet, Tenancy, Zone,
};
use fc::sched::core::{Acquire, Effect, Pool, PoolRules, Release, SlotKey};
use fc::sched::sim::Random;
use std::time::Duration;

use super::measure::cpu_ns;
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// Instances in use over those that the load needs.
const PACKED: Budget = Budget::AtMost { goal: 1.05, least: 1.25 };
/// Requests at once in one instance.
const CONCURRENCY: u32 = 10;

const NOW: Instant = Instant::ORIGIN;

pub(crate) fn compare(options: &Options) {
    let mut rows = Vec::new();
    let mut first: Option<Series> = None;
    for (instances, linear_count) in [(10, 500_000), (1_000, 50_000), (10_000, 5_000)] {
        let instances = options.count(instances, instances / 10);
        let (count, linear_count) = (options.count(500_000, 20), options.count(linear_count, 20));
        let (mut packed, mut linear) = (Packed::full(instances), Linear::full(instances));
        halve(&mut packed);
        halve(&mut linear);
        let [packed, linear] = alternate(
            options,
            [Box::new(|| churn(&mut packed, count)), Box::new(|| churn(&mut linear, linear_count))],
        );
        let unit = "ns CPU";
        let name = |of: &str| format!("{instances} instances: {of}");
        rows.push(Row::new(name("fc, over a scan"), &packed, unit).over(packed.over(&linear)));
        rows.push(Row::new(name("least loaded by scan"), &linear, unit));
        if let Some(first) = &first {
            let row = Row::new(name("fc, over the fewest"), &packed, unit);
            // Not judged: of so many requests a random one is not in the cache.
            rows.push(row.over(packed.over(first)));
        }
        first.get_or_insert(packed);
    }
    let title = "A request takes a slot of one function's instances while a random one gives its own \
                 back (10 slots each, half in use)";
    table::print(options, title, &rows);
    quality(options);
}

/// Instances in use when the load falls to a third.
fn quality(options: &Options) {
    let instances = options.count(1_000, 10);
    let needed = f64::from(instances / 3);
    let mut rows = vec![Row::exact("needed", needed, "instances")];
    let used = [
        ("fc", fall(Packed::full(instances)), Some(PACKED)),
        ("least loaded by scan", fall(Linear::full(instances)), None),
    ];
    for (name, used, budget) in used {
        let ratio = Series::from_iter([used]).over(&[needed].into_iter().collect());
        let row = Row::exact(name, used, "instances").over(ratio);
        rows.push(match budget {
            Some(budget) => row.budget(budget),
            None => row,
        });
    }
    let title = format!(
        "Instances of {instances} that a third of their load keeps busy, after each slot was taken \
         30 times: the others may go. The same arrivals for both"
    );
    table::print(options, &title, &rows);
}

fn fall(mut subject: impl Slots) -> f64 {
    let target = subject.held().len() / 3;
    let mut random = Random::from_seed(5);
    while subject.held().len() > target {
        let at = random.below(subject.held().len() as u64) as usize;
        subject.release(at);
    }
    exchange(&mut subject, target * 30);
    f64::from(subject.busy_instances())
}

fn halve(subject: &mut impl Slots) {
    let mut random = Random::from_seed(6);
    for _ in 0..subject.held().len() / 2 {
        let at = random.below(subject.held().len() as u64) as usize;
        subject.release(at);
    }
}

fn churn(subject: &mut impl Slots, count: usize) -> f64 {
    cpu_ns(count, || exchange(subject, count))
}

fn exchange(subject: &mut impl Slots, count: usize) {
    let mut random = Random::from_seed(7);
    for _ in 0..count {
        let at = random.below(subject.held().len() as u64) as usize;
        subject.release(at);
        subject.acquire();
    }
}

/// Instances with slots, and the requests that hold some.
trait Slots {
    type Slot;

    fn held(&self) -> &[Self::Slot];

    fn acquire(&mut self);

    fn release(&mut self, at: usize);

    fn busy_instances(&self) -> u32;
}

/// The scheduler's pool.
struct Packed {
    pool: Pool<u32, ()>,
    held: Vec<SlotKey>,
}

impl Packed {
    /// All slots are in use.
    fn full(instances: u32) -> Self {
        let rules = PoolRules {
            concurrency: CONCURRENCY,
            instance_max: instances,
            waiting_max: 1,
            idle: Duration::from_secs(300),
            life: Duration::from_secs(36 * 3_600),
            overdue: Duration::from_secs(60),
            freeze: None,
            boost: Duration::ZERO,
        };
        let mut full = Self { pool: Pool::new(rules), held: Vec::new() };
        let node = node();
        for instance in 0..instances {
            // The first waits, and its instance is started for it.
            assert!(matches!(full.pool.acquire(NOW, || ()), Acquire::Wait(..)), "no slot is free");
            let key = full.pool.grant(node, NOW).expect("an instance is wanted");
            full.pool.initializing(key);
            full.pool.ready(key, instance, NOW);
            full.held.extend(full.pool.take_effects().into_iter().filter_map(
                |effect| match effect {
                    Effect::Grant((), slot, _) => Some(slot),
                    _ => None,
                },
            ));
            (1..CONCURRENCY).for_each(|_| full.acquire());
        }
        full
    }
}

impl Slots for Packed {
    type Slot = SlotKey;

    fn held(&self) -> &[SlotKey] {
        &self.held
    }

    fn acquire(&mut self) {
        match self.pool.acquire(NOW, || ()) {
            Acquire::Slot(slot, _) => self.held.push(slot),
            other => panic!("a slot is free: {other:?}"),
        }
    }

    fn release(&mut self, at: usize) {
        let slot = self.held.swap_remove(at);
        self.pool.release(slot, Release::Reuse, NOW);
    }

    fn busy_instances(&self) -> u32 {
        self.pool.slots().iter().filter(|(_, state)| state.busy() > 0).count() as u32
    }
}

/// A node's key, which is the cluster's to make.
fn node() -> NodeKey {
    let mut cluster = Cluster::new(ClusterRules::default()).expect("the default rules");
    let spec = NodeSpec {
        id: NodeId::new("local").expect("an id"),
        capacity: Capacity::Unlimited,
        zone: Zone::new("local").expect("a zone"),
        tenancy: Tenancy::Shared,
        isolation: Isolation::None,
        runtimes: RuntimeSet::of(RuntimeKind::InProcess),
        owner: None,
        accounts_trust_each_other: true,
    };
    cluster.add(spec, NOW).expect("the node is taken")
}

/// Looks at every instance, and takes the one with the fewest requests.
struct Linear {
    busy: Vec<u32>,
    held: Vec<u32>,
}

impl Linear {
    fn full(instances: u32) -> Self {
        let held = (0..instances * CONCURRENCY).map(|slot| slot / CONCURRENCY).collect();
        Self { busy: vec![CONCURRENCY; instances as usize], held }
    }
}

impl Slots for Linear {
    type Slot = u32;

    fn held(&self) -> &[u32] {
        &self.held
    }

    fn acquire(&mut self) {
        let free = self.busy.iter().enumerate().filter(|(_, busy)| **busy < CONCURRENCY);
        let (index, _) = free.min_by_key(|(_, busy)| **busy).expect("a slot is free");
        self.busy[index] += 1;
        self.held.push(index as u32);
    }

    fn release(&mut self, at: usize) {
        let instance = self.held.swap_remove(at);
        self.busy[instance as usize] -= 1;
    }

    fn busy_instances(&self) -> u32 {
        self.busy.iter().filter(|busy| **busy > 0).count() as u32
    }
}
