//! Records in this process's memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{
    Change, ChangeStream, Durability, Record, Revision, StoreCapabilities, When,
};
use fc_core::{Result, Store};
use parking_lot::Mutex;

use crate::contract::{check, within};
use crate::watch::{Watch, Watched, Watchers};

/// Records in this process's memory: gone with it, and shared by clones.
///
/// The last 1024 changes are kept for watchers; each value is at most 256 KB, each key 1 KB. The
/// records themselves are as many as are written.
///
/// ```
/// use fc_core::Store;
/// use fc_core::port::store::{Durability, When};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = fc_store::MemoryStore::new();
/// assert_eq!(store.capabilities().durability, Durability::ProcessMemory);
/// let first = store.put("k", "v".into(), When::Absent).await.unwrap();
/// store.put("k", "w".into(), When::Unchanged(first)).await.unwrap();
/// assert!(store.put("k", "x".into(), When::Unchanged(first)).await.is_err());
/// # });
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    capabilities: StoreCapabilities,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    records: BTreeMap<String, (Revision, Bytes)>,
    watchers: Watchers,
}

impl Watched for Mutex<State> {
    fn with<T>(&self, work: impl FnOnce(&mut Watchers) -> T) -> T {
        work(&mut self.lock().watchers)
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            capabilities: StoreCapabilities {
                durability: Durability::ProcessMemory,
                value_bytes_max: 256 * 1024,
                key_bytes_max: 1024,
                watch_lag_max: 1024,
            },
            state: Arc::default(),
        }
    }

    /// With another limit for values, bytes.
    #[must_use]
    pub fn value_bytes_max(mut self, bytes: u64) -> Self {
        self.capabilities.value_bytes_max = bytes;
        self
    }

    /// With another limit for keys, bytes.
    #[must_use]
    pub fn key_bytes_max(mut self, bytes: u64) -> Self {
        self.capabilities.key_bytes_max = bytes;
        self
    }

    /// With another number of changes that are kept for watchers; at least 1. It bounds the memory
    /// of changes together with the limit for values.
    #[must_use]
    pub fn watch_lag_max(mut self, changes: u32) -> Self {
        self.capabilities.watch_lag_max = changes.max(1);
        self
    }

    /// Watchers that were not dropped.
    #[cfg(test)]
    pub(crate) fn watching(&self) -> usize {
        self.state.lock().watchers.len()
    }

    /// Does `write` if `when` holds, and tells the watchers of the change that it gives.
    fn write<T>(
        &self,
        key: &str,
        when: When,
        write: impl FnOnce(&mut State, Revision) -> (Option<Change>, T),
    ) -> Result<T> {
        let (wakers, output) = {
            let mut state = self.state.lock();
            check(key, when, state.records.get(key).map(|(revision, _)| *revision))?;
            let next = Revision(state.watchers.last().0 + 1);
            let (change, output) = write(&mut state, next);
            let wakers = change.map(|change| {
                state.watchers.tell(change, self.capabilities.watch_lag_max as usize, u64::MAX)
            });
            (wakers, output)
        };
        // Without the lock: a waker may run its task here, and that may read the store.
        wakers.into_iter().flatten().for_each(std::task::Waker::wake);
        Ok(output)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.capabilities
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        let state = self.state.lock();
        Ok(state.records.get(key).map(|stored| record(key, stored)))
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        within("value", self.capabilities.value_bytes_max, value.len())?;
        self.write(key, when, |state, revision| {
            let stored = (revision, value);
            let change = Change::Put(record(key, &stored));
            state.records.insert(key.to_owned(), stored);
            (Some(change), revision)
        })
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        self.write(key, when, |state, revision| {
            let existed = state.records.remove(key).is_some();
            let change = existed.then(|| Change::Deleted { key: key.to_owned(), revision });
            (change, existed)
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let state = self.state.lock();
        let behind = state.records.range::<str, _>((start, Bound::Unbounded));
        let named = behind.take_while(|(key, _)| key.starts_with(prefix));
        Ok(named.take(max).map(|(key, stored)| record(key, stored)).collect())
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        let id = {
            let mut state = self.state.lock();
            let last = state.watchers.last();
            state.watchers.add(prefix, since, last)?
        };
        Ok(Box::pin(Watch { watched: self.state.clone(), id }))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("MemoryStore")
            .field("records", &state.records.len())
            .field("revision", &state.watchers.last())
            .finish_non_exhaustive()
    }
}

fn record(key: &str, (revision, value): &(Revision, Bytes)) -> Record {
    Record { key: key.to_owned(), value: value.clone(), revision: *revision }
}
