//! Which node: `Cluster::place` and `Cluster::release`, against looking at every node.

use std::collections::{HashSet, VecDeque};

use fc::core::{AccountId, Instant, Isolation, NodeId, Resources, RuntimeKind};
use fc::sched::core::placement::baseline::{LinearCluster, LinearSpread};
use fc::sched::core::placement::{
    Capacity, Cluster, ClusterRules, Demand, NodeKey, NodeSpec, RuntimeSet, Spread, Tenancy, Zone,
};
use fc::sched::sim::Random;

use super::measure::cpu_ns;
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// One place with its release, microseconds (`performance.md`, budgets).
const DECISION: Budget = Budget::AtMost { goal: 2.0, least: 5.0 };
/// Nodes in use over linear best fit's.
const QUALITY: Budget = Budget::AtMost { goal: 1.0, least: 1.02 };

/// Functions, each spread over the zones by itself.
const FUNCTIONS: usize = 1_000;

const NODE: Resources = Resources { cpu_milli: 16_000, memory_mb: 32_768, disk_mb: 512_000 };

const UNIT: &str = "us CPU";

pub(crate) fn compare(options: &Options) {
    // So many that the sizes of instances even out: fifteen on each of a few nodes may be too many.
    let mut rows = time(options, options.count(10_000, 500), options.count(2_000, 5));
    rows.extend(time(options, options.count(100_000, 1_000), options.count(200, 5)));
    let title = "Place and release one instance, nodes of 16 vCPU and 32 GB in 3 zones, three \
                 quarters full at random; over the same cluster searched node by node";
    table::print(options, title, &rows);
    quality(options);
}

/// `linear_count`: what the linear peers do in a turn.
fn time(options: &Options, nodes: u32, linear_count: usize) -> Vec<Row> {
    let count = options.count(100_000, 20);
    let mut ours = Ours::new(nodes);
    let mut demands = Demands::new(1);
    // Sixteen instances or so fill a node. Fifteen came to each, and a fifth of all, anywhere, has
    // gone again: the rest is in the way of what comes.
    let mut held = Vec::new();
    for _ in 0..nodes * 15 {
        let (function, demand) = demands.next();
        held.push((ours.place(function, &demand).expect("there is room"), function, demand));
    }
    let mut random = Random::from_seed(5);
    for _ in 0..nodes * 3 {
        let pick = random.below(held.len() as u64) as usize;
        let (node, function, demand) = held.swap_remove(pick);
        ours.release(node, function, &demand);
    }
    let mut best = Linear::new(LinearCluster::of(&ours.cluster), false);
    let mut least = Linear::new(LinearCluster::of(&ours.cluster), true);
    let [ours, best, least] = alternate(
        options,
        [
            Box::new(|| churn(&mut ours, count)),
            Box::new(|| churn(&mut best, linear_count)),
            Box::new(|| churn(&mut least, linear_count)),
        ],
    );
    let over = |peer: &Series| ours.over(peer);
    vec![
        Row::new(format!("{nodes} nodes: fc"), &ours, UNIT).budget(DECISION),
        Row::new(format!("{nodes} nodes: best fit by scan"), &best, UNIT),
        Row::new(format!("{nodes} nodes: least loaded by scan"), &least, UNIT),
        Row::new(format!("{nodes} nodes: fc over best fit by scan"), &ours, UNIT).over(over(&best)),
        Row::new(format!("{nodes} nodes: fc over least loaded by scan"), &ours, UNIT)
            .over(over(&least)),
    ]
}

/// CPU time of one instance that comes while the 512th before it goes, microseconds.
fn churn(router: &mut impl Router, count: usize) -> f64 {
    let mut demands = Demands::new(2);
    let mut held = VecDeque::new();
    let nanos = cpu_ns(count, || {
        for _ in 0..count {
            let (function, demand) = demands.next();
            let node = router.place(function, &demand).expect("there is room");
            held.push_back((node, function, demand));
            if held.len() > 512
                && let Some((node, function, demand)) = held.pop_front()
            {
                router.release(node, function, &demand);
            }
        }
    });
    for (node, function, demand) in held {
        router.release(node, function, &demand);
    }
    nanos / 1e3
}

/// Instances placed and nodes used for the same demands.
fn quality(options: &Options) {
    let nodes = options.count(2_000, 20);
    let ours = Ours::new(nodes);
    let linear = || LinearCluster::of(&ours.cluster);
    let (best, least) = (Linear::new(linear(), false), Linear::new(linear(), true));
    let ours = judge(ours, nodes);
    let (best, least) = (judge(best, nodes), judge(least, nodes));
    let row = |name: &str, figure: f64, unit| Row::exact(name, figure, unit);
    let over =
        |figure: f64, peer: f64| Series::from_iter([figure]).over(&[peer].into_iter().collect());
    let rows = [
        row("fc: instances until one is refused", ours.0, "instances").over(over(ours.0, best.0)),
        row("best fit by scan", best.0, "instances"),
        row("least loaded by scan", least.0, "instances").over(over(least.0, best.0)),
        row("fc: nodes in use after churn", ours.1, "nodes")
            .over(over(ours.1, best.1))
            .budget(QUALITY),
        row("best fit by scan", best.1, "nodes"),
        row("least loaded by scan", least.1, "nodes").over(over(least.1, best.1)),
    ];
    let title = format!(
        "The same demands on {nodes} empty nodes: a fifth full, then as many instances exchanged at \
         random; then until one is refused. Over best fit by scan"
    );
    table::print(options, &title, &rows);
}

/// How many were placed in all before one was refused, and nodes in use after the churn.
fn judge(mut router: impl Router, nodes: u32) -> (f64, f64) {
    let (mut demands, mut random) = (Demands::new(3), Random::from_seed(4));
    let mut held = Vec::new();
    let mut placed = 0_u32;
    for step in 0..nodes * 6 {
        let (function, demand) = demands.next();
        let node = router.place(function, &demand).expect("there is room");
        held.push((node, function, demand));
        placed += 1;
        if step >= nodes * 3 {
            let (node, function, demand) =
                held.swap_remove(random.below(held.len() as u64) as usize);
            router.release(node, function, &demand);
            placed -= 1;
        }
    }
    let used = held.iter().map(|(node, ..)| *node).collect::<HashSet<_>>().len();
    while {
        let (function, demand) = demands.next();
        router.place(function, &demand).is_some()
    } {
        placed += 1;
    }
    (f64::from(placed), used as f64)
}

trait Router {
    type Node: Copy + Eq + std::hash::Hash;

    fn place(&mut self, function: usize, demand: &Demand) -> Option<Self::Node>;

    fn release(&mut self, node: Self::Node, function: usize, demand: &Demand);
}

struct Ours {
    cluster: Cluster,
    spreads: Vec<Spread>,
}

impl Ours {
    fn new(nodes: u32) -> Self {
        let mut cluster = Cluster::new(ClusterRules::default()).expect("the default rules");
        for number in 0..nodes {
            let spec = NodeSpec {
                id: NodeId::new(&format!("n-{number}")).expect("an id"),
                capacity: Capacity::Limited(NODE),
                zone: Zone::new(&format!("z-{}", number % 3)).expect("a zone"),
                tenancy: Tenancy::Shared,
                isolation: Isolation::Sandbox,
                runtimes: RuntimeSet::of(RuntimeKind::Process),
                owner: None,
                accounts_trust_each_other: false,
            };
            cluster.add(spec, Instant::ORIGIN).expect("the node is taken");
        }
        Self { cluster, spreads: vec![Spread::EMPTY; FUNCTIONS] }
    }
}

impl Router for Ours {
    type Node = NodeKey;

    fn place(&mut self, function: usize, demand: &Demand) -> Option<NodeKey> {
        self.cluster.place(demand, &mut self.spreads[function], Instant::ORIGIN).ok()
    }

    fn release(&mut self, node: NodeKey, function: usize, demand: &Demand) {
        let released = self.cluster.release(node, demand.size, &mut self.spreads[function]);
        released.expect("it was placed there");
    }
}

struct Linear {
    cluster: LinearCluster,
    spreads: Vec<LinearSpread>,
    least_loaded: bool,
}

impl Linear {
    fn new(cluster: LinearCluster, least_loaded: bool) -> Self {
        Self { cluster, spreads: vec![LinearSpread::default(); FUNCTIONS], least_loaded }
    }
}

impl Router for Linear {
    type Node = usize;

    fn place(&mut self, function: usize, demand: &Demand) -> Option<usize> {
        let spread = &mut self.spreads[function];
        if self.least_loaded {
            self.cluster.least_loaded(demand, spread)
        } else {
            self.cluster.best_fit(demand, spread)
        }
    }

    fn release(&mut self, node: usize, function: usize, demand: &Demand) {
        self.cluster.release(node, demand, &mut self.spreads[function]);
    }
}

/// Instances of random functions: each has its size, small ones are more frequent.
struct Demands {
    random: Random,
    sizes: Vec<Resources>,
    account: AccountId,
}

impl Demands {
    fn new(seed: u64) -> Self {
        // The same functions whatever the seed.
        let mut sizes = Random::from_seed(0);
        let mut size = |_| {
            let memory_mb = 512 << sizes.below(5).min(sizes.below(5));
            // From 1 to 4 GB a vCPU.
            let cpu_milli = memory_mb >> sizes.below(3);
            Resources {
                cpu_milli,
                memory_mb,
                disk_mb: if sizes.below(4) == 0 { 10_240 } else { 512 },
            }
        };
        Self {
            sizes: (0..FUNCTIONS).map(&mut size).collect(),
            random: Random::from_seed(seed),
            account: AccountId::new("1").expect("an account"),
        }
    }

    fn next(&mut self) -> (usize, Demand) {
        let function = self.random.below(FUNCTIONS as u64) as usize;
        let demand = Demand {
            account: self.account,
            size: self.sizes[function],
            runtime: RuntimeKind::Process,
            isolation: Isolation::Sandbox,
            tenancy: Tenancy::Shared,
        };
        (function, demand)
    }
}
