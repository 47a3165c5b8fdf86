//! A random life of a small platform.

use std::time::Duration;

use fc_core::{AccountId, FunctionName, Isolation, Resources, RuntimeKind};

use super::witness::{Account, Contract};
use super::{Broken, Sabotage, Witness};
use crate::core::placement::{Capacity, Cluster, ClusterRules, NodeKey, NodeSpec, Tenancy, Zone};
use crate::core::quota::{AccountQuota, AccountUse, PooledQuota};
use crate::core::supply::{Profile, Supply, SupplyRules};
use crate::core::{Levels, Pool, PoolRules};
use crate::sim::engine::{Ended, Engine, World};
use crate::sim::{ColdStart, Random};

/// A random life of a small platform: everything, the bugs apart, follows from the seed.
///
/// Requests come in bursts, take their time, are left, time out, and break their instance; starts
/// fail; instances freeze, age, idle out and are evicted; nodes come, drain and are lost, alone and
/// by the zone; functions are changed, provisioned and limited; quotas are lowered and raised. Then
/// all that stops, and what is left is looked at.
///
/// ```
/// use fc_sched::sim::{Chaos, Sabotage};
///
/// Chaos::new(7).run().expect("the invariants hold");
/// let planted = Chaos::new(7).plant(Sabotage::AnswersTwice).run().unwrap_err();
/// assert_eq!(planted.invariant, Sabotage::AnswersTwice.breaks());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    seed: u64,
    sabotage: Option<Sabotage>,
}

/// Things that happen in one life.
const STEPS: u32 = 150;

/// Nothing takes so many events: a life that does not end is a bug.
const EVENTS_MAX: u64 = 2_000_000;

const SIZE: Resources = Resources { cpu_milli: 500, memory_mb: 1024, disk_mb: 512 };

impl Chaos {
    /// The life of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, sabotage: None }
    }

    /// The same with a bug.
    #[must_use]
    pub fn plant(self, sabotage: Sabotage) -> Self {
        Self { sabotage: Some(sabotage), ..self }
    }

    /// Lives it. Gives what happened, a line each: the same for the same seed, byte for byte.
    ///
    /// # Errors
    ///
    /// The first invariant that did not hold.
    pub fn run(self) -> Result<String, Broken> {
        let mut life = Life::new(self);
        for _ in 0..STEPS {
            life.step();
            if let Some(broken) = life.broken() {
                return Err(broken);
            }
        }
        life.end();
        match life.broken() {
            Some(broken) => Err(broken),
            None => Ok(life.engine.witness.take().map(|witness| witness.log).unwrap_or_default()),
        }
    }
}

struct Life {
    random: Random,
    engine: Engine,
    quota: AccountQuota,
    accounts: Vec<AccountId>,
    /// The pool that serves each function now.
    current: Vec<u32>,
    rules: Vec<PoolRules>,
    nodes: u32,
    /// Nothing is taken away from anybody: what goes, goes by its own time.
    calm: bool,
}

impl Life {
    fn new(chaos: Chaos) -> Self {
        let mut random = Random::from_seed(chaos.seed);
        let calm = random.below(2) == 0;
        let quota = AccountQuota {
            instances: PooledQuota {
                max: Some(4 + random.below(12)),
                burst: 3 + random.below(5),
                per_minute: 30 + random.below(120),
            },
            ..AccountQuota::function_compute()
        };
        let rules = SupplyRules {
            quota: Some(quota),
            wait_for_quota: random.below(2) == 0,
            evict: !calm && random.below(2) == 0,
        };
        let life = ClusterRules { node_life: None, ..ClusterRules::default() };
        #[expect(clippy::expect_used, reason = "constants")]
        let cluster = Cluster::new(life).expect("legal rules");
        let world = World {
            cold_start: ColdStart::LogNormal { median: Duration::from_millis(400), sigma: 0.8 },
            capacity_wait: Duration::from_secs(2 + random.below(9)),
            freeze_time: Duration::from_millis(random.below(50)),
            stop_time: Duration::from_millis(random.below(2_000)),
            start_failures: 50,
            grows: false,
        };
        let starts = Random::from_seed(chaos.seed ^ 0x5eed);
        let mut engine = Engine::new(Supply::new(rules, cluster), world, starts);
        let mut witness = Witness::default();
        witness.may_go_early = !calm;
        engine.witness = Some(Box::new(witness));
        engine.sabotage = chaos.sabotage;
        let mut life = Self {
            random,
            engine,
            quota,
            accounts: Vec::new(),
            current: Vec::new(),
            rules: Vec::new(),
            nodes: 0,
            calm,
        };
        life.populate();
        life
    }

    fn populate(&mut self) {
        for number in 0..2 + self.random.below(2) {
            #[expect(clippy::expect_used, reason = "letters and digits")]
            self.accounts.push(AccountId::new(&format!("a{number}")).expect("a legal id"));
            let Some(witness) = &mut self.engine.witness else { return };
            let instances = self.quota.instances;
            let (burst, per_minute) = (instances.burst, instances.per_minute);
            witness.accounts.push(Account::new(instances.max, burst, per_minute));
        }
        for _ in 0..2 + self.random.below(3) {
            self.add_node();
        }
        for _ in 0..3 + self.random.below(4) {
            self.rules.push(PoolRules {
                concurrency: 1 + self.random.below(3) as u32,
                instance_max: 1 + self.random.below(6) as u32,
                waiting_max: 2 + self.random.below(10) as u32,
                idle: Duration::from_secs(5 + self.random.below(60)),
                life: Duration::from_secs(120 + self.random.below(240)),
                overdue: Duration::from_secs(20),
                freeze: (self.random.below(2) == 0)
                    .then(|| Duration::from_millis(500 + self.random.below(4_000))),
                boost: Duration::ZERO,
            });
            let function = self.rules.len() - 1;
            let pool = self.add_pool(function);
            self.current.push(pool);
            if self.random.below(3) == 0 {
                self.provision(pool);
            }
        }
    }

    fn add_pool(&mut self, function: usize) -> u32 {
        let rules = self.rules[function];
        let account = function % self.accounts.len();
        #[expect(clippy::expect_used, reason = "letters and digits")]
        let name = FunctionName::new(&format!("f{function}")).expect("a legal name");
        let profile = Profile {
            account: self.accounts[account],
            function: name,
            size: SIZE,
            runtime: RuntimeKind::Process,
            isolation: Isolation::None,
            tenancy: Tenancy::Shared,
        };
        if let Some(witness) = &mut self.engine.witness {
            witness.contracts.push(Contract {
                account: account as u32,
                concurrency: rules.concurrency,
                idle: rules.idle,
                life: rules.life,
            });
        }
        self.engine.add_pool(Pool::new(rules), profile)
    }

    fn add_node(&mut self) {
        let number = self.nodes;
        self.nodes += 1;
        let size = 2 + self.random.below(5) as u32;
        let spec = NodeSpec {
            capacity: Capacity::Limited(Resources {
                cpu_milli: size * SIZE.cpu_milli,
                memory_mb: size * SIZE.memory_mb,
                disk_mb: size * SIZE.disk_mb,
            }),
            zone: self.zone(u64::from(number) % 2),
            ..crate::sim::run::node(number)
        };
        let now = self.engine.now;
        if let Ok(key) = self.engine.supply.cluster_mut().add(spec, now) {
            self.engine.with_supply(None, |supply, pools, now| supply.node_added(key, pools, now));
        }
    }

    #[expect(clippy::expect_used, reason = "letters and digits")]
    fn zone(&self, number: u64) -> Zone {
        Zone::new(&format!("z{number}")).expect("a legal zone")
    }

    fn provision(&mut self, pool: u32) {
        let levels = Levels {
            provisioned: self.random.below(3) as u32,
            floor: self.random.below(3) as u32,
            on_demand_disabled: self.random.below(8) == 0,
            freeze_provisioned: self.random.below(2) == 0,
        };
        self.engine.pools[pool as usize].core.set_levels(levels);
        self.engine.settle(pool);
    }

    fn function(&mut self) -> usize {
        self.random.below(self.current.len() as u64) as usize
    }

    fn step(&mut self) {
        let pass = Duration::from_millis(self.random.below(3_000));
        let pass = if self.random.below(15) == 0 { pass * 30 } else { pass };
        let until = self.engine.now + pass;
        self.engine.run_until(until);
        match self.random.below(if self.calm { 70 } else { 100 }) {
            0..70 => self.burst(),
            70..76 => {
                let function = self.function();
                self.provision(self.current[function]);
            }
            76..82 => self.redeploy(),
            82..85 => self.add_node(),
            85..89 => self.drain(),
            89..93 => self.lose(),
            93..94 => {
                let zone = self.random.below(2);
                let zone = self.zone(zone);
                let lost = self.engine.supply.cluster_mut().lose_zone(&zone);
                lost.into_iter().for_each(|node| self.engine.lost(node));
            }
            94..97 => {
                let (function, most) = (self.function(), self.random.below(6) as u32);
                let pool = self.current[function];
                self.engine.pools[pool as usize].core.set_instance_max(most);
                self.engine.settle(pool);
            }
            _ => self.change_quota(),
        }
        self.engine.check_holdings();
    }

    fn burst(&mut self) {
        let function = self.function();
        for _ in 0..1 + self.random.below(6) {
            let duration = Duration::from_millis(self.random.below(8_000));
            let ends = match self.random.below(40) {
                0..2 => Ended::Left,
                2..4 => Ended::Broke,
                4 => Ended::Never,
                _ => Ended::Well,
            };
            let leaves = self.random.below(12) == 0;
            let after = Duration::from_millis(self.random.below(4_000));
            self.engine.send(self.current[function], duration, ends, leaves.then_some(after));
        }
    }

    /// Another version takes the place of the one that serves (INV-10).
    fn redeploy(&mut self) {
        let function = self.function();
        let old = self.current[function];
        self.current[function] = self.add_pool(function);
        self.engine.pools[old as usize].core.close();
        self.engine.settle(old);
    }

    fn any_node(&mut self) -> Option<NodeKey> {
        let nodes: Vec<_> = self.engine.supply.cluster().nodes().map(|node| node.key()).collect();
        let pick = self.random.below(nodes.len().max(1) as u64) as usize;
        nodes.get(pick).copied()
    }

    fn drain(&mut self) {
        if let Some(node) = self.any_node()
            && self.engine.supply.cluster_mut().drain(node).is_ok()
        {
            self.engine.drain(node, self.random.below(2) == 0);
        }
    }

    fn lose(&mut self) {
        if let Some(node) = self.any_node()
            && self.engine.supply.cluster_mut().lose(node).is_ok()
        {
            self.engine.lost(node);
        }
    }

    fn change_quota(&mut self) {
        let account = self.random.below(self.accounts.len() as u64) as usize;
        let max = Some(self.random.below(16));
        let quota =
            AccountQuota { instances: PooledQuota { max, ..self.quota.instances }, ..self.quota };
        if let Some(witness) = &mut self.engine.witness {
            witness.accounts[account].max = max;
        }
        let id = self.accounts[account];
        self.engine.with_supply(None, |supply, pools, now| supply.set_quota(id, quota, pools, now));
    }

    /// All that happened stops, and what runs comes to its end.
    fn end(&mut self) {
        if let Some(witness) = &mut self.engine.witness {
            witness.may_go_early = true;
        }
        for pool in 0..self.engine.pools.len() as u32 {
            self.engine.pools[pool as usize].core.close();
            self.engine.settle(pool);
        }
        let ended = self.engine.run_dry(EVENTS_MAX);
        let accounts = self.accounts.clone();
        let Some(mut witness) = self.engine.witness.take() else { return };
        if !ended {
            witness.left_over("events without an end".into());
        }
        if self.engine.requests.len() > 0 {
            witness
                .left_over(format!("{} requests without an outcome", self.engine.requests.len()));
        }
        for (pool, state) in self.engine.pools.iter().enumerate() {
            let usage = state.core.usage();
            if usage.instances > 0 || usage.waiting > 0 || usage.running > 0 {
                witness.left_over(format!("pool {pool} has {usage:?}"));
            }
        }
        for account in accounts {
            let used = self.engine.supply.used(account);
            if used != AccountUse::default() {
                witness.left_over(format!("account {account} holds {used:?}"));
            }
        }
        let on_nodes = self.engine.supply.cluster().nodes().map(|node| node.instances());
        let on_nodes: u32 = on_nodes.sum();
        if on_nodes > 0 || self.engine.supply.hungry() > 0 {
            let hungry = self.engine.supply.hungry();
            witness.left_over(format!("{on_nodes} instances on nodes, {hungry} hungry"));
        }
        witness.judge_the_end();
        self.engine.witness = Some(witness);
    }

    fn broken(&mut self) -> Option<Broken> {
        self.engine.witness.as_mut().and_then(|witness| witness.broken.take())
    }
}

impl Engine {
    /// A request whose caller may go away while it waits.
    fn send(&mut self, pool: u32, duration: Duration, ends: Ended, leaves: Option<Duration>) {
        let request = self.arrive(pool, duration, ends);
        if let Some(after) = leaves
            && self.requests[request].waiter.is_some()
        {
            let generation = self.requests[request].generation;
            let event = crate::sim::engine::Event::Leave { request, generation };
            self.events.push(self.now + after, event);
        }
    }

    /// A node is emptied; if it is pressing, without waiting for replacements.
    fn drain(&mut self, node: NodeKey, pressing: bool) {
        for pool in 0..self.pools.len() as u32 {
            self.pools[pool as usize].core.migrate(node);
            self.settle(pool);
            if pressing {
                self.pools[pool as usize].core.leave_node(node);
                self.settle(pool);
            }
        }
    }

    /// A node is gone with all that was there.
    fn lost(&mut self, node: NodeKey) {
        for pool in 0..self.pools.len() as u32 {
            let core = &mut self.pools[pool as usize].core;
            let there = core.slots().iter().filter(|(_, state)| state.node() == node);
            let starting: Vec<_> =
                there.filter(|(_, state)| state.phase().starts()).map(|(key, _)| key).collect();
            core.lose_node(node);
            self.settle(pool);
            for key in starting {
                self.pools[pool as usize].core.start_lost(key);
                self.not_started(pool, key, node);
            }
        }
        // What ran there breaks.
        let there = |(index, state): (usize, &crate::sim::engine::SimInstance)| {
            (state.node == node && state.running > 0).then_some(index as u32)
        };
        let instances: Vec<u32> = self.instances.iter().enumerate().filter_map(there).collect();
        for instance in instances {
            for request in self.requests.running_in(instance) {
                self.requests[request].ends = Ended::Broke;
                self.finish_now(request);
            }
        }
    }

    /// I15: what is held is within what may be, unless that was lowered since.
    fn check_holdings(&mut self) {
        let now = self.now;
        if let Some(witness) = &mut self.witness {
            witness.time(now);
            witness.judge_holdings();
        }
    }
}
