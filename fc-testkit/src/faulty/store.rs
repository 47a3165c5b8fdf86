//! A store behind a network that fails.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{ChangeStream, Record, Revision, StoreCapabilities, When};
use fc_core::{Clock, Result, Store};

use super::fate::{Fates, Nature};
use super::{FaultCounts, FaultPlan};

/// A store behind a network that fails: see [`faulty`](super).
///
/// No write comes late. One whose condition fails the second time is done twice.
pub struct FaultyStore {
    good: Arc<dyn Store>,
    fates: Fates,
}

impl FaultyStore {
    /// `good` with faults.
    pub fn new(good: Arc<dyn Store>, clock: Arc<dyn Clock>, plan: FaultPlan) -> Self {
        Self { good, fates: Fates::new(plan, clock) }
    }

    /// Lets nothing fail any more, or again.
    pub fn turn(&self, is_on: bool) {
        self.fates.turn(is_on);
    }

    /// What has failed so far.
    pub fn counts(&self) -> FaultCounts {
        self.fates.counts()
    }
}

#[async_trait]
impl Store for FaultyStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.good.capabilities()
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.fates.run(self.fates.next(Nature::Read, false), || self.good.get(key)).await
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        // A second write without a condition would have another revision.
        let nature = if when == When::Always { Nature::Write } else { Nature::Idempotent };
        let fate = self.fates.next(nature, false);
        self.fates.run(fate, || self.good.put(key, value.clone(), when)).await
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        let nature = if when == When::Always { Nature::Write } else { Nature::Idempotent };
        self.fates.run(self.fates.next(nature, false), || self.good.delete(key, when)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        let fate = self.fates.next(Nature::Read, false);
        self.fates.run(fate, || self.good.list(prefix, after, max)).await
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        let fate = self.fates.next(Nature::Read, false);
        self.fates.run(fate, || self.good.watch(prefix, since)).await
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("good", &self.good)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
