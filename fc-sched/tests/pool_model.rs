//! The pool's core against a naive model: lists that are searched from end to end.
//!
//! Rows: SCH-1, SCH-2, SCH-3, SCH-5, SCH-6, SCH-9, SCH-10, INV-10. Invariants: I14, I17, I19.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::time::Duration;

use fc_core::{Instant, Isolation, NodeId, RuntimeKind};
use fc_sched::core::placement::{
    Capacity, Cluster, ClusterRules, NodeKey, NodeSpec, RuntimeSet, Tenancy, Zone,
};
use fc_sched::core::{
    Acquire, Effect, InstanceKey, Phase, Pool, PoolRules, Refusal, Release, SlotKey, StopReason,
    WaiterKey,
};
use proptest::prelude::*;

const IDLE: Duration = Duration::from_secs(300);
const LIFE: Duration = Duration::from_secs(3_600);
const OVERDUE: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    Creating,
    Initializing,
    Serving,
    Draining,
    Stopping,
}

#[derive(Clone, Debug)]
struct Instance {
    key: InstanceKey,
    stage: Stage,
    busy: u32,
    born: Instant,
    idle_since: Instant,
}

/// What the model knows, kept in plain lists.
struct Model {
    rules: PoolRules,
    pool: Pool<InstanceKey, usize>,
    node: NodeKey,
    now: Instant,
    instances: Vec<Instance>,
    line: Vec<(usize, WaiterKey)>,
    /// With the time at which the slot is lost.
    running: Vec<(SlotKey, Instant)>,
    next_waiter: usize,
    owed: u32,
    closing: bool,
    closed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Request,
    Leave(usize),
    Finish(usize, bool, bool),
    Initialize(usize),
    Ready(usize),
    StartFails(usize),
    Exits(usize),
    Gone(usize),
    Wait(u64),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Request),
        1 => any::<usize>().prop_map(Step::Leave),
        6 => (any::<usize>(), prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(n, revoke, replace)| Step::Finish(n, revoke, replace)),
        4 => any::<usize>().prop_map(Step::Initialize),
        4 => any::<usize>().prop_map(Step::Ready),
        1 => any::<usize>().prop_map(Step::StartFails),
        1 => any::<usize>().prop_map(Step::Exits),
        2 => any::<usize>().prop_map(Step::Gone),
        2 => (0u64..400).prop_map(Step::Wait),
    ];
    (prop::collection::vec(step, 0..150), any::<bool>(), 0usize..150).prop_map(
        |(mut steps, closes, at)| {
            if closes {
                steps.insert(at.min(steps.len()), Step::Close);
            }
            steps
        },
    )
}

fn a_node() -> NodeKey {
    let spec = NodeSpec {
        id: NodeId::new("n").unwrap(),
        capacity: Capacity::Unlimited,
        zone: Zone::new("z").unwrap(),
        tenancy: Tenancy::Shared,
        isolation: Isolation::None,
        runtimes: RuntimeSet::of(RuntimeKind::InProcess),
        owner: None,
        accounts_trust_each_other: true,
    };
    Cluster::new(ClusterRules::default()).unwrap().add(spec, Instant::ORIGIN).unwrap()
}

impl Model {
    fn new(concurrency: u32, instance_max: u32, waiting_max: u32) -> Self {
        let rules = PoolRules {
            concurrency,
            instance_max,
            waiting_max,
            idle: IDLE,
            life: LIFE,
            overdue: OVERDUE,
            freeze: None,
            boost: Duration::ZERO,
        };
        Self {
            rules,
            pool: Pool::new(rules),
            node: a_node(),
            now: Instant::ORIGIN + Duration::from_secs(1),
            instances: Vec::new(),
            line: Vec::new(),
            running: Vec::new(),
            next_waiter: 0,
            owed: 0,
            closing: false,
            closed: false,
        }
    }

    fn at(&mut self, key: InstanceKey) -> &mut Instance {
        self.instances.iter_mut().find(|instance| instance.key == key).expect("known instance")
    }

    fn is_old(&self, instance: &Instance) -> bool {
        self.now - instance.born >= LIFE
    }

    /// The most requests that some young serving instance with a free slot runs.
    fn best(&self) -> Option<u32> {
        let free = self.instances.iter().filter(|instance| {
            instance.stage == Stage::Serving
                && instance.busy < self.rules.concurrency
                && !self.is_old(instance)
        });
        free.map(|instance| instance.busy).max()
    }

    fn pick(&self, stages: &[Stage], n: usize) -> Option<InstanceKey> {
        let keys: Vec<_> = self
            .instances
            .iter()
            .filter(|instance| stages.contains(&instance.stage))
            .map(|instance| instance.key)
            .collect();
        (!keys.is_empty()).then(|| keys[n % keys.len()])
    }

    fn starting(&self) -> u32 {
        let starting = |stage| matches!(stage, Stage::Creating | Stage::Initializing);
        self.instances.iter().filter(|instance| starting(instance.stage)).count() as u32
    }

    /// SCH-1: a slot is one of the busiest instance that has one.
    fn grant(&mut self, slot: SlotKey) {
        let key = slot.instance;
        let best = self.best();
        let now = self.now;
        let instance = self.at(key).clone();
        assert_eq!(instance.stage, Stage::Serving, "only a serving instance takes requests");
        assert!(now - instance.born < LIFE, "an old instance took a request");
        assert_eq!(Some(instance.busy), best, "SCH-1: not the busiest");
        if instance.busy == 0 {
            let idle = self.instances.iter().filter(|each| {
                each.stage == Stage::Serving && each.busy == 0 && !self.is_old(each)
            });
            let latest = idle.map(|each| each.idle_since).max();
            assert_eq!(Some(instance.idle_since), latest, "SCH-1: not the most recently used");
        }
        self.at(key).busy += 1;
        self.running.push((slot, now + OVERDUE));
    }

    /// Retirement is allowed only for what is old, idle for long enough, or closing.
    fn drain_for_stop(&mut self, key: InstanceKey, reason: StopReason, expiring: bool) {
        let (now, closing) = (self.now, self.closing);
        let instance = self.at(key);
        assert_eq!(instance.busy, 0, "SCH-6: a running request was cut");
        if instance.stage == Stage::Serving {
            let old = now - instance.born >= LIFE;
            let idle = expiring && now - instance.idle_since >= IDLE;
            assert!(old || idle || closing, "I19: released too early");
            assert_eq!(reason, StopReason::Retired { frozen: false });
        }
        instance.stage = Stage::Stopping;
    }

    fn effects(&mut self, starts_fail: Option<u32>, expiring: bool) {
        let mut failures = starts_fail.unwrap_or(0);
        let mut effects = self.pool.take_effects();
        while !effects.is_empty() {
            if self.perform(effects, &mut failures, expiring) {
                // Whatever is wanted is to be had.
                while self.pool.told() > 0 {
                    self.pool.grant(self.node, self.now).expect("it is wanted");
                }
            }
            effects = self.pool.take_effects();
        }
    }

    /// Whether instances are wanted.
    fn perform(
        &mut self,
        effects: Vec<Effect<InstanceKey, usize>>,
        failures: &mut u32,
        expiring: bool,
    ) -> bool {
        let mut wants = false;
        for effect in effects {
            match effect {
                Effect::Want => wants = true,
                Effect::Freeze(..) | Effect::Thaw(..) | Effect::EndBoost(..) => {
                    panic!("nothing is frozen or boosted here")
                }
                Effect::Start(key) => {
                    let needed = self.line.len() as u32 > self.starting() * self.rules.concurrency;
                    assert!(needed || self.owed > 0, "SCH-2: started without need");
                    self.owed = self.owed.saturating_sub(1);
                    self.instances.push(Instance {
                        key,
                        stage: Stage::Creating,
                        busy: 0,
                        born: self.now,
                        idle_since: self.now,
                    });
                }
                Effect::Stop(key, handle, reason) => {
                    assert_eq!(key, handle);
                    self.drain_for_stop(key, reason, expiring);
                }
                Effect::Grant(waiter, slot, _) => {
                    let (first, _) = self.line.remove(0);
                    assert_eq!(first, waiter, "SCH-9: not the first of the line");
                    self.grant(slot);
                }
                Effect::Fail(waiter) => {
                    assert!(*failures > 0, "a waiter failed without a failed start");
                    *failures -= 1;
                    let (first, _) = self.line.remove(0);
                    assert_eq!(first, waiter);
                }
                Effect::Closed => {
                    assert!(!self.closed, "closed twice");
                    self.closed = true;
                }
            }
        }
        wants
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Request => self.request(),
            Step::Leave(n) if !self.line.is_empty() => {
                let (_, key) = self.line.remove(n % self.line.len());
                assert!(self.pool.leave(key));
                assert!(!self.pool.leave(key));
                self.effects(None, false);
            }
            Step::Finish(n, revoke, replace) if !self.running.is_empty() => {
                let (slot, _) = self.running.swap_remove(n % self.running.len());
                self.finish(slot, revoke, replace);
            }
            Step::Initialize(n) => {
                if let Some(key) = self.pick(&[Stage::Creating], n) {
                    self.at(key).stage = Stage::Initializing;
                    self.pool.initializing(key);
                    self.effects(None, false);
                }
            }
            Step::Ready(n) => {
                if let Some(key) = self.pick(&[Stage::Initializing], n) {
                    let now = self.now;
                    let instance = self.at(key);
                    (instance.stage, instance.born, instance.idle_since) =
                        (Stage::Serving, now, now);
                    self.pool.ready(key, key, now);
                    self.effects(None, false);
                }
            }
            Step::StartFails(n) => {
                if let Some(key) = self.pick(&[Stage::Creating, Stage::Initializing], n) {
                    self.instances.retain(|instance| instance.key != key);
                    self.pool.start_failed(key);
                    self.effects(Some(self.rules.concurrency), false);
                }
            }
            Step::Exits(n) => {
                if let Some(key) = self.pick(&[Stage::Serving, Stage::Draining], n) {
                    self.at(key).stage = Stage::Draining;
                    self.pool.exited(key);
                    self.effects(None, false);
                }
            }
            Step::Gone(n) => {
                if let Some(key) = self.pick(&[Stage::Stopping], n) {
                    self.instances.retain(|instance| instance.key != key);
                    self.pool.gone(key);
                    self.pool.exited(key);
                    self.effects(None, false);
                }
            }
            Step::Wait(seconds) => {
                self.now = self.now + Duration::from_secs(seconds);
                self.look();
            }
            Step::Close => {
                self.closing = true;
                self.owed = 0;
                self.pool.close();
                self.effects(None, false);
            }
            _ => {}
        }
    }

    fn request(&mut self) {
        let waiter = self.next_waiter;
        let best = self.best();
        // Whoever is too old is retired on the way: that may come as an effect.
        match self.pool.acquire(self.now, || waiter) {
            Acquire::Slot(slot, handle) => {
                assert_eq!(slot.instance, handle);
                self.effects(None, false);
                self.grant(slot);
            }
            Acquire::Wait(key, _) => {
                assert_eq!(best, None, "SCH-2: waits while a slot is free");
                self.next_waiter += 1;
                self.line.push((waiter, key));
                self.effects(None, false);
            }
            Acquire::Refused(refusal) => {
                match refusal {
                    Refusal::Closed => assert!(self.closed),
                    Refusal::Disabled => assert_eq!(self.rules.instance_max, 0),
                    Refusal::OnDemandDisabled => panic!("nothing is provisioned here"),
                    Refusal::LineFull(limit) => {
                        assert_eq!(
                            (self.line.len() as u32, limit),
                            (limit, self.rules.waiting_max)
                        );
                    }
                }
                self.effects(None, false);
            }
        }
    }

    /// INV-7: nobody holds a slot past his time; who lost it cannot give it back again. What has
    /// idled for long enough goes at the same look.
    fn look(&mut self) {
        let now = self.now;
        let (late, kept): (Vec<_>, Vec<_>) = self.running.iter().partition(|(_, due)| *due <= now);
        self.running = kept;
        for (slot, _) in &late {
            let instance = self.at(slot.instance);
            instance.busy -= 1;
            (instance.idle_since, instance.stage) = (now, Stage::Draining);
        }
        self.pool.look(now);
        self.effects(None, true);
        let next = self.pool.next_look();
        assert!(next > now, "what was due was done");
        let first_due = self.running.iter().map(|(_, due)| *due).min();
        assert!(first_due.is_none_or(|due| next <= due));
        self.check_expiry(next);
        for (slot, _) in late {
            self.pool.release(slot, Release::Reuse, now);
            self.effects(None, false);
        }
    }

    fn finish(&mut self, slot: SlotKey, revoke: bool, replace: bool) {
        let key = slot.instance;
        let (now, closing) = (self.now, self.closing);
        let instance = self.at(key);
        instance.busy -= 1;
        instance.idle_since = now;
        if revoke {
            if instance.stage == Stage::Serving && replace && !closing {
                self.owed = (self.owed + 1).min(self.rules.instance_max);
            }
            self.at(key).stage = Stage::Draining;
        }
        let how = if revoke { Release::Revoke { replace } } else { Release::Reuse };
        self.pool.release(slot, how, now);
        // An old instance is retired as its request ends, even while others run on it.
        if self.pool.slots().state(key).is_some_and(|state| state.phase() == Phase::Draining) {
            let instance = self.at(key).clone();
            let old = self.is_old(&instance);
            let instance = self.at(key);
            assert!(instance.stage == Stage::Draining || old, "drained without a reason");
            instance.stage = Stage::Draining;
        }
        self.effects(None, false);
    }

    /// I19: nothing that is due stays, and the next look is no later than the next due time.
    fn check_expiry(&self, next: Instant) {
        let idle = |instance: &&Instance| instance.stage == Stage::Serving && instance.busy == 0;
        for instance in self.instances.iter().filter(idle) {
            assert!(self.now - instance.idle_since < IDLE, "an idle instance was kept");
            assert!(next <= instance.idle_since + IDLE);
        }
    }

    fn check(&self) {
        let usage = self.pool.usage();
        assert_eq!(usage.instances as usize, self.instances.len());
        assert_eq!(usage.waiting as usize, self.line.len());
        assert_eq!(usage.starting, self.starting());
        assert!(usage.instances <= self.rules.instance_max, "SCH-10: over the maximum");
        assert!(self.line.len() as u32 <= self.rules.waiting_max, "SCH-9: the line is too long");
        let mut busy: HashMap<InstanceKey, u32> = HashMap::new();
        for (slot, _) in &self.running {
            *busy.entry(slot.instance).or_default() += 1;
        }
        for instance in &self.instances {
            let runs = busy.get(&instance.key).copied().unwrap_or(0);
            assert_eq!(instance.busy, runs);
            assert!(runs <= self.rules.concurrency, "I14: over the concurrency");
            let state = self.pool.slots().state(instance.key).expect("the pool knows it");
            assert_eq!(state.busy(), runs);
        }
        if !self.line.is_empty() {
            assert_eq!(self.best(), None, "SCH-2: waits while a slot is free");
            let promised = self.starting() * self.rules.concurrency;
            let enough = self.line.len() as u32 <= promised;
            assert!(enough || usage.instances == self.rules.instance_max, "nobody starts for them");
        }
        self.check_debt();
        if self.closing {
            let kept = |instance: &Instance| instance.stage == Stage::Serving && instance.busy == 0;
            assert!(!self.line.is_empty() || !self.instances.iter().any(kept), "INV-10: kept");
            assert_eq!(self.closed, self.instances.is_empty() && self.line.is_empty());
        }
    }

    /// SCH-2: what was cancelled long ago starts nothing: the debt is paid by any start.
    fn check_debt(&self) {
        assert!(self.owed <= self.rules.instance_max);
        assert!(self.owed == 0 || self.pool.usage().instances == self.rules.instance_max);
    }

    /// Everything that is under way comes to its end: nothing waits for ever, nothing is left.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let step = if !self.running.is_empty() {
                Step::Finish(0, false, false)
            } else if self.pick(&[Stage::Stopping], 0).is_some() {
                Step::Gone(0)
            } else if self.pick(&[Stage::Initializing], 0).is_some() {
                Step::Ready(0)
            } else if self.pick(&[Stage::Creating], 0).is_some() {
                Step::Initialize(0)
            } else if self.pick(&[Stage::Draining], 0).is_some() {
                Step::Exits(0)
            } else if !self.closing {
                Step::Close
            } else {
                break;
            };
            self.step(&step);
            self.check();
        }
        assert!(self.line.is_empty(), "a waiter was forgotten");
        assert!(self.instances.is_empty(), "I18: an instance was forgotten");
        assert!(self.closed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// SCH-1, SCH-2, SCH-3, SCH-5, SCH-6, SCH-9, SCH-10, INV-10; I14, I17, I18, I19.
    #[test]
    fn the_pool_keeps_its_promises(
        concurrency in 1u32..5,
        instance_max in 0u32..5,
        waiting_max in 0u32..8,
        steps in steps(),
    ) {
        let mut model = Model::new(concurrency, instance_max, waiting_max);
        for step in &steps {
            model.step(step);
            model.check();
        }
        model.settle();
    }
}

/// SCH-1 at the largest concurrency of either cloud, across the words of the bitmap.
#[test]
fn sch_1_packs_up_to_a_thousand_requests_into_one_instance() {
    let mut model = Model::new(1_000, 10, 10);
    model.step(&Step::Request);
    model.step(&Step::Initialize(0));
    model.step(&Step::Ready(0));
    for _ in 1..1_000 {
        model.step(&Step::Request);
        model.check();
    }
    assert_eq!(model.instances.len(), 1);
    model.step(&Step::Request);
    assert_eq!((model.instances.len(), model.line.len()), (2, 1));
    model.settle();
}
