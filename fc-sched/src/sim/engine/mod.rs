//! The production engine under virtual time: pools and supply as the scheduler's shell drives them,
//! with models in the place of runtimes.

mod effects;
mod event;
mod instance;
mod meter;
mod request;

use std::time::Duration;

use fc_core::Instant;

pub(super) use event::{Event, Events};
pub(super) use instance::SimInstance;
pub(super) use meter::Meter;
pub(super) use request::{Ended, Requests};

use super::chaos::{Sabotage, Witness};
use super::{ColdStart, Random};
use crate::core::placement::NodeKey;
use crate::core::supply::{Profile, Supply};
use crate::core::{Acquire, InstanceKey, Pool, Refusal, Release};

/// One pool of the simulation: a function's version.
#[derive(Debug)]
pub(super) struct SimPool {
    pub(super) core: Pool<u32, u32>,
    pub(super) profile: Profile,
    /// The next look that is among the events.
    armed: Instant,
}

/// What the models say of the world around the engine.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) cold_start: ColdStart,
    /// How long a request waits while nobody starts an instance for it (SCH-9).
    pub(super) capacity_wait: Duration,
    /// What freezing and thawing take.
    pub(super) freeze_time: Duration,
    /// What stopping takes.
    pub(super) stop_time: Duration,
    /// Starts that fail, of a thousand.
    pub(super) start_failures: u64,
    /// Nodes are added when there is no room.
    pub(super) grows: bool,
}

/// A platform in virtual time.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) now: Instant,
    pub(super) pools: Vec<SimPool>,
    pub(super) supply: Supply<u32>,
    pub(super) world: World,
    pub(super) random: Random,
    pub(super) events: Events,
    pub(super) requests: Requests,
    pub(super) instances: Vec<SimInstance>,
    free_instances: Vec<u32>,
    pub(super) meter: Meter,
    pub(super) witness: Option<Box<Witness>>,
    pub(super) sabotage: Option<Sabotage>,
    /// Nodes, in the order in which they were added, for growth.
    pub(super) new_node: Option<fn(u32) -> crate::core::placement::NodeSpec>,
    pub(super) nodes_added: u32,
    pub(super) node_size: fc_core::Resources,
    pub(super) zones: u32,
    /// A pool whose waits are kept apart.
    pub(super) watched: Option<u32>,
    pub(super) watched_waits: super::report::Waits,
}

impl Engine {
    pub(super) fn new(supply: Supply<u32>, world: World, random: Random) -> Self {
        Self {
            now: Instant::ORIGIN,
            pools: Vec::new(),
            supply,
            world,
            random,
            events: Events::default(),
            requests: Requests::default(),
            instances: Vec::new(),
            free_instances: Vec::new(),
            meter: Meter::default(),
            witness: None,
            sabotage: None,
            new_node: None,
            nodes_added: 0,
            node_size: fc_core::Resources::default(),
            zones: 1,
            watched: None,
            watched_waits: super::report::Waits::default(),
        }
    }

    pub(super) fn add_pool(&mut self, core: Pool<u32, u32>, profile: Profile) -> u32 {
        self.pools.push(SimPool { core, profile, armed: Instant::MAX });
        (self.pools.len() - 1) as u32
    }

    /// Lets time pass up to `until`, and everything happen that is due by then.
    pub(super) fn run_until(&mut self, until: Instant) {
        while let Some(event) = self.events.pop_due(until) {
            self.advance(event.0);
            self.happen(event.1);
        }
        self.advance(until);
    }

    /// Lets everything happen that is ever to happen.
    pub(super) fn run_dry(&mut self, most: u64) -> bool {
        for _ in 0..most {
            let Some((at, event)) = self.events.pop_due(Instant::MAX) else {
                return true;
            };
            self.advance(at);
            self.happen(event);
        }
        false
    }

    fn advance(&mut self, to: Instant) {
        self.meter.advance(self.now, to);
        self.now = self.now.max(to);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Finish { request, generation } => self.finish(request, generation),
            Event::Ready { pool, key } => self.ready(pool, key),
            Event::Frozen { pool, key } => {
                self.pools[pool as usize].core.frozen(key, true);
                self.settle(pool);
            }
            Event::Thawed { pool, key, instance } => {
                if let Some(witness) = &mut self.witness {
                    witness.thawed(instance);
                }
                let now = self.now;
                self.pools[pool as usize].core.thawed(key, true, now);
                self.settle(pool);
            }
            Event::Gone { pool, key, instance } => self.gone(pool, key, instance),
            Event::Look { pool, due } => {
                let state = &mut self.pools[pool as usize];
                if state.armed == due {
                    state.armed = Instant::MAX;
                    state.core.look(self.now);
                    self.settle(pool);
                }
            }
            Event::GiveUp { request, generation } => self.give_up(request, generation),
            Event::Leave { request, generation } => self.leave(request, generation),
            Event::Serve => {
                self.with_supply(None, |supply, pools, now| supply.serve(pools, now));
            }
        }
    }

    /// A request comes; how it will end was drawn by whoever sends it.
    pub(super) fn arrive(&mut self, pool: u32, duration: Duration, ends: Ended) -> u32 {
        let now = self.now;
        let request = self.requests.add(pool, now, duration, ends);
        if let Some(witness) = &mut self.witness {
            witness.time(now);
            witness.submitted(request, pool);
        }
        let core = &mut self.pools[pool as usize].core;
        match core.acquire(now, || request) {
            Acquire::Slot(slot, instance) => {
                self.begin(request, slot, instance, false);
                self.settle(pool);
            }
            Acquire::Wait(waiter, _) => {
                self.requests[request].waiter = Some(waiter);
                let generation = self.requests[request].generation;
                let event = Event::GiveUp { request, generation };
                self.events.push(now + self.world.capacity_wait, event);
                self.settle(pool);
            }
            Acquire::Refused(refusal) => {
                let what = match refusal {
                    Refusal::LineFull(_) => "waiting_per_function_max",
                    Refusal::Disabled => "instance_max",
                    Refusal::OnDemandDisabled => "on_demand_disabled",
                    Refusal::Closed => "closed",
                };
                self.refuse(request, what);
            }
        }
        request
    }

    /// The request has a slot.
    pub(super) fn begin(
        &mut self,
        request: u32,
        slot: crate::core::SlotKey,
        instance: u32,
        waited: bool,
    ) {
        let now = self.now;
        let state = &mut self.requests[request];
        let cold = waited && self.instances[instance as usize].ready >= state.since;
        state.slot = Some((slot, instance));
        state.waiter = None;
        let (wait, generation) = (now - state.since, state.generation);
        let (duration, ends) = (state.duration, state.ends);
        self.meter.began(wait, cold);
        if self.watched == Some(self.requests[request].pool) {
            self.watched_waits.record(wait);
        }
        self.witness_begin(request, instance);
        let running = &mut self.instances[instance as usize];
        running.running += 1;
        if running.running == 1 {
            self.meter.busy(running.memory_mb);
        }
        if ends != Ended::Never {
            self.events.push(now + duration, Event::Finish { request, generation });
        }
    }

    /// As [`Engine::finish`], before its time.
    pub(super) fn finish_now(&mut self, request: u32) {
        let generation = self.requests[request].generation;
        self.finish(request, generation);
    }

    /// What the witness sees of a request that gets a slot, or of what a bug makes of it.
    fn witness_begin(&mut self, request: u32, instance: u32) {
        let (now, pool) = (self.now, self.requests[request].pool);
        let Some(witness) = &mut self.witness else {
            return;
        };
        let elsewhere = || {
            let others = self.instances.iter().enumerate();
            let other = others.filter(|(_, each)| each.pool != pool).map(|(index, _)| index as u32);
            other.max()
        };
        match self.sabotage {
            Some(Sabotage::RunsElsewhere) => {
                witness.began(request, pool, elsewhere().unwrap_or(instance), now);
            }
            Some(Sabotage::Overfills) => {
                witness.began(request, pool, instance, now);
                for ghost in 0..self.pools[pool as usize].core.rules().concurrency {
                    witness.began(u32::MAX - ghost, pool, instance, now);
                }
            }
            _ => witness.began(request, pool, instance, now),
        }
    }

    fn finish(&mut self, request: u32, generation: u32) {
        let Some(state) = self.requests.alive(request, generation) else {
            return;
        };
        let Some((slot, instance)) = state.slot else {
            return;
        };
        let (pool, ends) = (state.pool, state.ends);
        self.end_in(instance, request);
        let how = match ends {
            Ended::Well | Ended::Never => Release::Reuse,
            Ended::Left => Release::Revoke { replace: true },
            Ended::Broke => Release::Revoke { replace: false },
        };
        let how = match self.sabotage {
            Some(Sabotage::KeepsTheBroken) => Release::Reuse,
            _ => how,
        };
        if let Some(witness) = &mut self.witness {
            witness.finished(request, instance, ends != Ended::Well, self.now);
            if self.sabotage == Some(Sabotage::AnswersTwice) {
                witness.answer_again(request);
            }
            let idle = self.instances[instance as usize].running == 0;
            if self.sabotage == Some(Sabotage::StopsEarly) && idle {
                let reason = crate::core::StopReason::Retired { frozen: false };
                witness.stopped(instance, reason, self.now);
            }
        }
        let now = self.now;
        let core = &mut self.pools[pool as usize].core;
        if ends == Ended::Broke && self.sabotage != Some(Sabotage::KeepsTheBroken) {
            // It is told of its end as well, as by a runtime whose process has crashed.
            core.release(slot, how, now);
            core.exited(slot.instance);
        } else {
            core.release(slot, how, now);
        }
        self.requests.remove(request);
        self.settle(pool);
    }

    /// The request is not in its instance any more.
    pub(super) fn end_in(&mut self, instance: u32, _request: u32) {
        let state = &mut self.instances[instance as usize];
        state.running = state.running.saturating_sub(1);
        if state.running == 0 {
            self.meter.idle(state.memory_mb);
        }
    }

    fn give_up(&mut self, request: u32, generation: u32) {
        let Some(state) = self.requests.alive(request, generation) else {
            return;
        };
        let (pool, Some(waiter)) = (state.pool, state.waiter) else {
            return;
        };
        let core = &mut self.pools[pool as usize].core;
        if core.usage().starting > 0 {
            let event = Event::GiveUp { request, generation };
            self.events.push(self.now + self.world.capacity_wait, event);
            return;
        }
        core.leave(waiter);
        let what = match self.supply.blocked(pool) {
            Some(blocked) => blocked.name(),
            None => "instance_max",
        };
        self.refuse(request, what);
        self.settle(pool);
    }

    /// The caller goes away while it waits.
    fn leave(&mut self, request: u32, generation: u32) {
        let Some(state) = self.requests.alive(request, generation) else {
            return;
        };
        if let (pool, Some(waiter)) = (state.pool, state.waiter) {
            self.pools[pool as usize].core.leave(waiter);
            if let Some(witness) = &mut self.witness {
                witness.left(request);
            }
            self.requests.remove(request);
            self.settle(pool);
        }
    }

    pub(super) fn refuse(&mut self, request: u32, what: &'static str) {
        self.meter.refused(what);
        let pool = self.requests[request].pool;
        if let Some(witness) = &mut self.witness {
            witness.refused(request, what);
        }
        if self.sabotage == Some(Sabotage::RunsTheRefused)
            && let Some(witness) = &mut self.witness
            && let Some(instance) = self.instances.iter().position(|each| each.pool == pool)
        {
            witness.began(request, pool, instance as u32, self.now);
        }
        self.requests.remove(request);
    }

    fn ready(&mut self, pool: u32, key: InstanceKey) {
        let core = &mut self.pools[pool as usize].core;
        // A node that was lost meanwhile has taken the start with it.
        let Some(state) = core.slots().state(key).filter(|state| state.phase().starts()) else {
            return;
        };
        let now = self.now;
        if self.random.below(1_000) < self.world.start_failures {
            core.start_failed(key);
            self.not_started(pool, key, state.node());
            return;
        }
        core.initializing(key);
        let (node, class) = (state.node(), state.class());
        let instance = self.new_instance(pool, node);
        if let Some(witness) = &mut self.witness {
            witness.created(instance, pool, class, now);
        }
        self.pools[pool as usize].core.ready(key, instance, now);
        self.settle(pool);
    }

    /// A start came to nothing: its share goes to whoever is next.
    pub(super) fn not_started(&mut self, pool: u32, key: InstanceKey, node: NodeKey) {
        let memory = self.pools[pool as usize].profile.size.memory_mb;
        self.meter.gone(memory, node);
        if let Some(witness) = &mut self.witness {
            witness.given(pool);
        }
        self.settle(pool);
        self.with_supply(None, |supply, pools, now| supply.give(pool, key, node, pools, now));
    }

    fn new_instance(&mut self, pool: u32, node: NodeKey) -> u32 {
        let memory_mb = self.pools[pool as usize].profile.size.memory_mb;
        let instance = SimInstance { pool, node, memory_mb, ready: self.now, running: 0 };
        match self.free_instances.pop() {
            Some(index) => {
                self.instances[index as usize] = instance;
                index
            }
            None => {
                self.instances.push(instance);
                (self.instances.len() - 1) as u32
            }
        }
    }

    fn gone(&mut self, pool: u32, key: InstanceKey, instance: u32) {
        let state = &self.instances[instance as usize];
        let (memory, node) = (state.memory_mb, state.node);
        self.meter.gone(memory, node);
        if self.sabotage != Some(Sabotage::ForgetsToGive) {
            self.free_instances.push(instance);
        }
        self.pools[pool as usize].core.gone(key);
        self.settle(pool);
        if self.sabotage != Some(Sabotage::ForgetsToGive) {
            if let Some(witness) = &mut self.witness {
                witness.given(pool);
            }
            self.with_supply(None, |supply, pools, now| supply.give(pool, key, node, pools, now));
        }
    }

    /// Asks for the look that a pool needs next.
    fn arm(&mut self, pool: u32) {
        let state = &mut self.pools[pool as usize];
        let next = state.core.next_look();
        if next < state.armed {
            state.armed = next;
            self.events.push(next, Event::Look { pool, due: next });
        }
    }
}
