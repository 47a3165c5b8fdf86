//! What the engine's cores ask for, as models do it.

use fc_core::Instant;

use super::{Engine, Event, SimPool};
use crate::core::placement::{NodeKey, Unplaceable};
use crate::core::supply::{Blocked, Pools, Supply};
use crate::core::{Effect, InstanceKey, StopReason, Worth};
use crate::sim::chaos::Sabotage;

/// The pools, as the supply sees them.
pub(in crate::sim) struct SimPools<'e> {
    pools: &'e mut [SimPool],
    touched: Vec<(u32, Option<Blocked>)>,
}

impl Pools<u32> for SimPools<'_> {
    fn wanted(&mut self, pool: u32) -> u32 {
        self.pools[pool as usize].core.told()
    }

    fn grant(&mut self, pool: u32, node: NodeKey, now: Instant) -> Option<InstanceKey> {
        let granted = self.pools[pool as usize].core.grant(node, now);
        self.touched.push((pool, None));
        granted
    }

    fn refuse(&mut self, pool: u32, why: &Blocked) {
        self.pools[pool as usize].core.refuse();
        self.touched.push((pool, Some(why.clone())));
    }

    fn worth(&mut self, pool: u32, instance: InstanceKey, now: Instant) -> Worth {
        self.pools[pool as usize].core.worth(instance, now)
    }

    fn evict(&mut self, pool: u32, instance: InstanceKey, now: Instant) -> bool {
        self.touched.push((pool, None));
        self.pools[pool as usize].core.evict(instance, now)
    }
}

/// How often in a row a cluster grows for one wish: more than that is a bug.
const GROWTH_MAX: u32 = 100_000;

impl Engine {
    /// Changes the supply, then does what follows for the pools that it touched. A pool that still
    /// waits for room gets it where nodes are to be had.
    pub(in crate::sim) fn with_supply<R>(
        &mut self,
        of: Option<u32>,
        change: impl FnOnce(&mut Supply<u32>, &mut SimPools<'_>, Instant) -> R,
    ) -> R {
        let mut pools = SimPools { pools: &mut self.pools, touched: Vec::new() };
        let result = change(&mut self.supply, &mut pools, self.now);
        let touched = pools.touched;
        if self.world.grows
            && let Some(pool) = of
        {
            self.grow(pool);
        }
        for (pool, why) in touched {
            self.perform(pool, why.as_ref());
            self.arm(pool);
        }
        result
    }

    /// Adds nodes until `pool` has what it wants.
    fn grow(&mut self, pool: u32) {
        for _ in 0..GROWTH_MAX {
            let short = matches!(
                self.supply.blocked(pool),
                Some(Blocked::NoRoom(Unplaceable::Full { .. } | Unplaceable::NoNode))
            );
            let Some(spec) = self.new_node.filter(|_| short) else {
                return;
            };
            let spec = self.sized(spec(self.nodes_added));
            self.nodes_added += 1;
            let Ok(key) = self.supply.cluster_mut().add(spec, self.now) else {
                return;
            };
            self.with_supply(None, |supply, pools, now| supply.node_added(key, pools, now));
        }
    }

    /// Carries out what a pool asks for, and arms its next look.
    pub(in crate::sim) fn settle(&mut self, pool: u32) {
        if self.pools[pool as usize].core.has_effects() {
            self.perform(pool, None);
        }
        self.arm(pool);
    }

    fn perform(&mut self, pool: u32, why: Option<&Blocked>) {
        let mut wants = false;
        for effect in self.pools[pool as usize].core.take_effects() {
            match effect {
                Effect::Want => wants = true,
                Effect::Start(key) => self.start(pool, key),
                Effect::Grant(request, slot, instance) => self.begin(request, slot, instance, true),
                Effect::Fail(request) => {
                    self.refuse(request, why.map_or("start_failed", Blocked::name));
                }
                Effect::Freeze(key, instance) => {
                    if let Some(witness) = &mut self.witness {
                        witness.freezing(instance);
                        if self.sabotage == Some(Sabotage::WakesTheFrozen) {
                            witness.began(u32::MAX, pool, instance, self.now);
                        }
                    }
                    self.events
                        .push(self.now + self.world.freeze_time, Event::Frozen { pool, key });
                }
                Effect::Thaw(key, instance) => {
                    let event = Event::Thawed { pool, key, instance };
                    self.events.push(self.now + self.world.freeze_time, event);
                }
                Effect::EndBoost(..) | Effect::Closed => {}
                Effect::Stop(key, instance, reason) => self.stop(pool, key, instance, reason),
            }
        }
        if wants {
            let profile = self.pools[pool as usize].profile.clone();
            self.with_supply(Some(pool), |supply, pools, now| {
                supply.settle(pool, &profile, pools, now);
            });
        }
    }

    fn start(&mut self, pool: u32, key: InstanceKey) {
        let state = &self.pools[pool as usize];
        let Some(node) = state.core.slots().state(key).map(|state| state.node()) else {
            return;
        };
        self.meter.created(state.profile.size.memory_mb, node);
        if let Some(witness) = &mut self.witness {
            witness.started(pool, self.now);
            if self.sabotage == Some(Sabotage::StartsUnasked) {
                witness.started(pool, self.now);
            }
        }
        let takes = self.world.cold_start.sample(&mut self.random);
        self.events.push(self.now + takes, Event::Ready { pool, key });
    }

    fn stop(&mut self, pool: u32, key: InstanceKey, instance: u32, reason: StopReason) {
        if self.instances[instance as usize].running > 0 {
            // Those whose slot was taken from them go with it.
            for request in self.requests.running_in(instance) {
                self.end_in(instance, request);
                if let Some(witness) = &mut self.witness {
                    witness.finished(request, instance, true, self.now);
                }
                self.requests.remove(request);
            }
        }
        if let Some(witness) = &mut self.witness {
            witness.stopped(instance, reason, self.now);
        }
        if self.sabotage == Some(Sabotage::NeverStops) {
            return;
        }
        let event = Event::Gone { pool, key, instance };
        self.events.push(self.now + self.world.stop_time, event);
    }
}
