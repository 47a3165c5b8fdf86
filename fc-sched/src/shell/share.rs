//! What an instance holds of its account's quota and of its node.

use std::sync::Arc;

use fc_core::Instant;

use super::pool::Effects;
use super::{PoolShell, Surroundings};
use crate::core::placement::NodeKey;
use crate::core::supply::{Blocked, Pools, Supply};
use crate::core::{InstanceKey, Worth};

/// One instance's share of quota and room. Dropped, it is given to whoever is next.
#[derive(Debug)]
pub(crate) struct Share {
    around: Arc<Surroundings>,
    pool: u64,
    instance: InstanceKey,
    node: NodeKey,
}

impl Share {
    /// What the supply has granted already.
    pub(super) fn new(pool: &PoolShell, instance: InstanceKey, node: NodeKey) -> Self {
        Self { around: pool.around.clone(), pool: pool.version.uid(), instance, node }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let (pool, instance, node) = (self.pool, self.instance, self.node);
        self.around.with_supply(|supply, pools, now| supply.give(pool, instance, node, pools, now));
    }
}

impl Surroundings {
    /// Changes the supply, then does what follows for the pools that it touched.
    ///
    /// A pool is locked under the supply's lock, one at a time and never the other way round.
    pub(crate) fn with_supply<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Supply<u64>, &mut LockedPools<'_>, Instant) -> R,
    ) -> R {
        let now = self.clock.now();
        let mut pools = LockedPools { around: self, touched: Vec::new() };
        let (result, hungry) = {
            let mut supply = self.supply.lock();
            (change(&mut supply, &mut pools, now), supply.hungry())
        };
        if hungry > 0 {
            self.scaled.someone_waits();
        }
        for Touched { pool, effects, why } in pools.touched {
            let error = why.map(|why| why.error());
            if let Some(error) = &error {
                let function = pool.version.name();
                tracing::info!(%function, account = %pool.version.account(), %error, "no instance");
            }
            pool.perform(effects, error.as_ref());
        }
        result
    }
}

/// Pools that are locked one by one.
pub(crate) struct LockedPools<'s> {
    around: &'s Surroundings,
    touched: Vec<Touched>,
}

struct Touched {
    pool: Arc<PoolShell>,
    effects: Effects,
    why: Option<Blocked>,
}

impl LockedPools<'_> {
    fn pool(&self, uid: u64) -> Option<Arc<PoolShell>> {
        self.around.pools.pin().get(&uid).cloned()
    }

    fn touch<R>(
        &mut self,
        uid: u64,
        why: Option<&Blocked>,
        change: impl FnOnce(&mut super::pool::Core) -> R,
    ) -> Option<R> {
        let pool = self.pool(uid)?;
        let (result, effects) = pool.change(change);
        if !effects.is_empty() {
            self.touched.push(Touched { pool, effects, why: why.cloned() });
        }
        Some(result)
    }
}

impl Pools<u64> for LockedPools<'_> {
    fn wanted(&mut self, pool: u64) -> u32 {
        self.pool(pool).map_or(0, |pool| pool.with_core(crate::core::Pool::told))
    }

    fn grant(&mut self, pool: u64, node: NodeKey, now: Instant) -> Option<InstanceKey> {
        self.touch(pool, None, |core| core.grant(node, now)).flatten()
    }

    fn refuse(&mut self, pool: u64, why: &Blocked) {
        self.touch(pool, Some(why), crate::core::Pool::refuse);
    }

    fn worth(&mut self, pool: u64, instance: InstanceKey, now: Instant) -> Worth {
        self.pool(pool).map_or(Worth::Gone, |pool| pool.with_core(|core| core.worth(instance, now)))
    }

    fn evict(&mut self, pool: u64, instance: InstanceKey, now: Instant) -> bool {
        self.touch(pool, None, |core| core.evict(instance, now)).unwrap_or(false)
    }
}
