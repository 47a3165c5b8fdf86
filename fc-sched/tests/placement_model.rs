//! Placement against a naive model: a list of nodes that is searched from end to end.
//!
//! Rows: NOD-1 to NOD-4; the states of NOD-3 and NOD-5.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use fc_core::{AccountId, Instant, Isolation, NodeId, Resources, RuntimeKind};
use fc_sched::core::placement::{
    Capacity, Cluster, ClusterRules, Demand, NodeKey, NodeSpec, NodeState, RuntimeSet, Spread,
    Tenancy, Zone,
};
use proptest::prelude::*;

const LIFE: Duration = Duration::from_secs(1_000);
const ZONES: usize = 3;
const FUNCTIONS: usize = 4;

#[derive(Clone, Debug)]
struct Node {
    key: NodeKey,
    spec: NodeSpec,
    zone: usize,
    free: Resources,
    state: NodeState,
    owner: Option<AccountId>,
    born: Instant,
    instances: u32,
}

#[derive(Clone, Debug)]
struct Instance {
    node: NodeKey,
    size: Resources,
    function: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// So many alike: a few, or more than a list holds.
    Add {
        size: u32,
        zone: usize,
        dedicated: bool,
        sandbox: bool,
        container: bool,
        count: u32,
    },
    Place {
        function: usize,
        cpu: u32,
        memory: u32,
        isolation: bool,
    },
    Release(usize),
    Drain(usize),
    Lose(usize),
    LoseZone(usize),
    Remove(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flag = any::<bool>;
    let count = prop_oneof![6 => Just(1u32), 1 => 30u32..50];
    let step = prop_oneof![
        2 => (1u32..5, 0..ZONES, flag(), flag(), flag(), count).prop_map(
            |(size, zone, dedicated, sandbox, container, count)| Step::Add {
                size, zone, dedicated, sandbox, container, count,
            }
        ),
        8 => (0..FUNCTIONS, 1u32..5, 1u32..5, prop::bool::weighted(0.2)).prop_map(
            |(function, cpu, memory, isolation)| Step::Place { function, cpu, memory, isolation }
        ),
        4 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Drain),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => (0..ZONES).prop_map(Step::LoseZone),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (0u64..400).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..150)
}

fn zone(number: usize) -> Zone {
    Zone::new(&format!("z{number}")).unwrap()
}

struct Model {
    cluster: Cluster,
    nodes: Vec<Node>,
    instances: Vec<Instance>,
    spreads: Vec<Spread>,
    now: Instant,
    named: u32,
}

impl Model {
    fn new() -> Self {
        let rules = ClusterRules { node_life: Some(LIFE), ..ClusterRules::default() };
        Self {
            cluster: Cluster::new(rules).unwrap(),
            nodes: Vec::new(),
            instances: Vec::new(),
            spreads: (0..FUNCTIONS).map(|_| Spread::default()).collect(),
            now: Instant::ORIGIN,
            named: 0,
        }
    }

    fn at(&mut self, key: NodeKey) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.key == key).unwrap()
    }

    fn in_zone(&self, function: usize, zone: usize) -> usize {
        let there = |instance: &&Instance| {
            let node = self.nodes.iter().find(|node| node.key == instance.node).unwrap();
            instance.function == function && node.zone == zone
        };
        self.instances.iter().filter(there).count()
    }

    /// Functions 0 and 1 are one account's, 2 and 3 another's; odd ones ask for dedicated nodes.
    fn demand(function: usize, cpu: u32, memory: u32, isolation: bool) -> Demand {
        Demand {
            account: AccountId::new(["a", "b"][function / 2]).unwrap(),
            size: Resources { cpu_milli: cpu * 500, memory_mb: memory * 512, disk_mb: 512 },
            runtime: RuntimeKind::Process,
            isolation: if isolation { Isolation::Sandbox } else { Isolation::None },
            tenancy: if function % 2 == 1 { Tenancy::Dedicated } else { Tenancy::Shared },
        }
    }

    fn takes(node: &Node, demand: &Demand) -> bool {
        node.state == NodeState::Ready
            && node.spec.tenancy == demand.tenancy
            && node.spec.isolation >= demand.isolation
            && node.spec.runtimes.contains(demand.runtime)
            && node.owner.is_none_or(|owner| owner == demand.account)
            && Capacity::Limited(node.free).holds(demand.size)
    }

    fn age(&mut self) {
        let now = self.now;
        for node in &mut self.nodes {
            if node.state == NodeState::Ready && now - node.born >= LIFE {
                node.state = NodeState::Draining;
            }
        }
    }

    fn add(&mut self, size: u32, at: usize, dedicated: bool, sandbox: bool, container: bool) {
        self.named += 1;
        let capacity =
            Resources { cpu_milli: size * 1_000, memory_mb: size * 1_024, disk_mb: size * 1_024 };
        let spec = NodeSpec {
            id: NodeId::new(&format!("n{}", self.named)).unwrap(),
            capacity: Capacity::Limited(capacity),
            zone: zone(at),
            tenancy: if dedicated { Tenancy::Dedicated } else { Tenancy::Shared },
            isolation: if sandbox { Isolation::Sandbox } else { Isolation::Process },
            runtimes: RuntimeSet::of(if container && self.named.is_multiple_of(3) {
                RuntimeKind::Container
            } else {
                RuntimeKind::Process
            }),
            owner: None,
            accounts_trust_each_other: false,
        };
        let added = self.cluster.add(spec.clone(), self.now);
        // NOD-2: a node that strangers share keeps them apart.
        assert_eq!(added.is_ok(), dedicated || sandbox, "{spec:?}");
        if let Ok(key) = added {
            let (state, owner, born) = (NodeState::Ready, None, self.now);
            let node =
                Node { key, spec, zone: at, free: capacity, state, owner, born, instances: 0 };
            self.nodes.push(node);
        }
    }

    fn place(&mut self, function: usize, demand: &Demand) {
        self.age();
        let fits: Vec<Node> =
            self.nodes.iter().filter(|node| Self::takes(node, demand)).cloned().collect();
        let placed = self.cluster.place(demand, &mut self.spreads[function], self.now);
        let Ok(key) = placed else {
            assert!(fits.is_empty(), "{placed:?}, and there is room");
            return;
        };
        let chosen = fits.iter().find(|node| node.key == key).expect("NOD-1, NOD-2: it fits there");
        let count = |node: &Node| self.in_zone(function, node.zone);
        let least = fits.iter().map(count).min();
        assert_eq!(Some(count(chosen)), least, "NOD-4: another zone has fewer");
        // In the zone, the account's own nodes first; of those the tightest in some quantity.
        let here: Vec<&Node> = fits.iter().filter(|node| node.zone == chosen.zone).collect();
        let own = here.iter().any(|node| node.owner.is_some());
        assert_eq!(chosen.owner.is_some(), own, "NOD-2: a node was bound without need");
        let same = here.iter().filter(|node| node.owner.is_some() == own);
        let free = |node: &Node| [node.free.cpu_milli, node.free.memory_mb, node.free.disk_mb];
        let tightest: [u32; 3] = same
            .map(|node| free(node))
            .reduce(|a, b| std::array::from_fn(|dim| a[dim].min(b[dim])))
            .unwrap();
        // To an eighth, of disk a fourth, or the least sizes.
        let (parts, firsts) = ([8, 8, 4], [32, 128, 512]);
        let is_tightest = (0..3).any(|dim| {
            let more = free(chosen)[dim] - tightest[dim];
            more <= tightest[dim].div_ceil(parts[dim]).max(firsts[dim])
        });
        assert!(is_tightest, "NOD-1: not the best fit: {:?} of {tightest:?}", free(chosen));
        let dedicated = demand.tenancy == Tenancy::Dedicated;
        let (account, size) = (demand.account, demand.size);
        let node = self.at(key);
        node.free.cpu_milli -= size.cpu_milli;
        node.free.memory_mb -= size.memory_mb;
        node.free.disk_mb -= size.disk_mb;
        node.instances += 1;
        if dedicated {
            node.owner = Some(account);
        }
        self.instances.push(Instance { node: key, size, function });
    }

    fn release(&mut self, n: usize) {
        if self.instances.is_empty() {
            return;
        }
        let Instance { node, size, function } =
            self.instances.swap_remove(n % self.instances.len());
        self.cluster.release(node, size, &mut self.spreads[function]).unwrap();
        let node = self.at(node);
        node.free.cpu_milli += size.cpu_milli;
        node.free.memory_mb += size.memory_mb;
        node.free.disk_mb += size.disk_mb;
        node.instances -= 1;
    }

    fn step(&mut self, step: &Step) {
        let pick = |n: usize, nodes: &[Node]| (!nodes.is_empty()).then(|| n % nodes.len());
        match *step {
            Step::Add { size, zone, dedicated, sandbox, container, count } => {
                (0..count).for_each(|_| self.add(size, zone, dedicated, sandbox, container));
            }
            Step::Place { function, cpu, memory, isolation } => {
                self.place(function, &Self::demand(function, cpu, memory, isolation));
            }
            Step::Release(n) => self.release(n),
            Step::Drain(n) => {
                if let Some(n) = pick(n, &self.nodes) {
                    let drained = self.cluster.drain(self.nodes[n].key).is_ok();
                    assert_eq!(drained, self.nodes[n].state != NodeState::Lost);
                    if drained {
                        self.nodes[n].state = NodeState::Draining;
                    }
                }
            }
            Step::Lose(n) => {
                if let Some(n) = pick(n, &self.nodes) {
                    self.cluster.lose(self.nodes[n].key).unwrap();
                    self.nodes[n].state = NodeState::Lost;
                }
            }
            Step::LoseZone(number) => {
                self.cluster.lose_zone(&zone(number));
                let here = self.nodes.iter_mut().filter(|node| node.zone == number);
                here.for_each(|node| node.state = NodeState::Lost);
            }
            Step::Remove(n) => {
                if let Some(n) = pick(n, &self.nodes) {
                    let empty = self.nodes[n].instances == 0;
                    assert_eq!(self.cluster.remove(self.nodes[n].key).is_ok(), empty);
                    if empty {
                        self.nodes.swap_remove(n);
                    }
                }
            }
            Step::Pass(seconds) => {
                self.now = self.now + Duration::from_secs(seconds);
                self.cluster.expire(self.now);
                self.age();
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.cluster.nodes().count(), self.nodes.len());
        for node in &self.nodes {
            let seen = self.cluster.node(node.key).unwrap();
            assert_eq!(seen.free(), Capacity::Limited(node.free), "what is free");
            assert_eq!((seen.state(), seen.instances()), (node.state, node.instances));
            assert_eq!(seen.owner().copied(), node.owner, "NOD-2: bound for ever");
        }
        for (function, spread) in self.spreads.iter().enumerate() {
            let of = self.instances.iter().filter(|instance| instance.function == function);
            assert_eq!(spread.total() as usize, of.count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// NOD-1 to NOD-5: never unplaceable while something fits, never where it does not, the zone
    /// with the fewest, the tightest node, and what is released is free again.
    #[test]
    fn nod_1_to_5_as_a_search_from_end_to_end_would(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
            model.check();
        }
    }
}

/// NOD-3: on both sides of the age.
#[test]
fn nod_3_a_node_takes_nothing_from_its_age_on() {
    let mut model = Model::new();
    model.add(4, 0, false, true, false);
    let demand = Model::demand(0, 1, 1, false);
    model.now = Instant::ORIGIN + (LIFE - Duration::from_nanos(1));
    assert!(model.cluster.place(&demand, &mut model.spreads[0], model.now).is_ok());
    model.now = Instant::ORIGIN + LIFE;
    assert!(model.cluster.place(&demand, &mut model.spreads[0], model.now).is_err());
    assert_eq!(model.cluster.expire(model.now), [model.nodes[0].key]);
}
