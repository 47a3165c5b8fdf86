//! Small, linearizable records.

use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::Result;

/// A record's revision: grows with every write of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Revision(pub u64);

/// A record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
    /// The write that made it.
    pub revision: Revision,
}

/// When a write is to happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum When {
    /// Only if there is no such record.
    Absent,
    /// Only if the record is at this revision.
    Unchanged(Revision),
    /// In any case.
    Always,
}

/// One change of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Written.
    Put(Record),
    /// Deleted, by this write.
    Deleted {
        /// The record's key.
        key: String,
        /// The deletion's revision.
        revision: Revision,
    },
}

/// Changes in the order of their revisions, without a gap.
pub type ChangeStream = Pin<Box<dyn Stream<Item = Result<Change>> + Send>>;

/// What a store driver promises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StoreCapabilities {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Largest value, bytes.
    pub value_bytes_max: u64,
    /// Largest key, bytes.
    pub key_bytes_max: u64,
    /// Changes that a watcher may lag behind before it is told to start over.
    pub watch_lag_max: u32,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Durability {
    /// Nothing: it is gone with the process.
    ProcessMemory,
    /// A crash of the machine: it was synced to disk.
    Fsync,
    /// The loss of a machine: it is on a majority of several.
    Replicated,
}

/// Small, linearizable records under string keys.
///
/// # Contract
///
/// All operations are linearizable. A write that returned is as durable as declared. A write whose
/// outcome is not known is an error of kind [`Unknown`](crate::ErrorKind::Unknown): read back.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// What is promised.
    fn capabilities(&self) -> StoreCapabilities;

    /// The record, if there is one.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    async fn get(&self, key: &str) -> Result<Option<Record>>;

    /// Writes a record and gives its revision.
    ///
    /// # Errors
    ///
    /// `Conflict` if `when` does not hold (nothing was written); `InvalidArgument` for a key or value
    /// over its limit; `Unknown` if it may have been written.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have written.
    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision>;

    /// Deletes a record; `false` if there was none. `When::Absent` deletes nothing, and is a
    /// `Conflict` if there is a record.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have deleted.
    async fn delete(&self, key: &str, when: When) -> Result<bool>;

    /// At most `max` records whose key starts with `prefix`, in byte order, behind `after`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>>;

    /// The changes of all records whose key starts with `prefix`, with a revision above `since`;
    /// without `since`, from now on. Registered when it returns: no later change is missed.
    ///
    /// # Errors
    ///
    /// `Conflict` if the changes since then are no longer known: list, then watch again. The stream
    /// ends with the same error if the reader lags too far behind.
    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream>;
}
