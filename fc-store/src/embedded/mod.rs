//! Records in one file, `redb`'s.
//!
//! One thread writes ([`writer`]); what it does to the file is in [`table`]. Reads run on tokio's
//! blocking threads, beside the writer: redb shows each of them the last commit.

mod config;
mod disk;
mod slot;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{ChangeStream, Durability, Record, Revision, StoreCapabilities, When};
use fc_core::{Error, ErrorKind, Result, Store};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::slot::{Opener, Slot};
use self::writer::{Job, Write, Writer};
use crate::contract::within;
use crate::watch::{Watch, Watched, Watchers};

pub use self::config::RedbConfig;

/// Records in one file of this machine, synced before a write returns. Clones share it.
///
/// # Writes
///
/// One thread writes. Writers that come while a commit is under way share the next one: one sync for
/// up to 256 of them, without a tick to wait for. Their conditions are looked at in the order in which
/// they came, each behind the writes of those before it.
///
/// # Reads
///
/// A read takes a blocking thread of tokio's for as long as the disk needs (a few microseconds if
/// the pages are in memory), so that it never holds up the runtime; at most `reads_max` at once. It
/// does not wait for a commit.
///
/// # Failures
///
/// redb gives up a file handle at its first error, so the store opens the file again, without a
/// restart. What became of a write that failed is then read back: it is *refused* if it is not
/// there, *done* if it is and a further sync succeeded, and `Unknown` only if the file does not open.
///
/// A full disk is `ResourceThrottled`. Space is reserved as the file grows, so that what is there
/// stays readable and records can be deleted (as long as the file has a few free pages; deletions
/// free more). Writes go on when there is room. The file grows to twice its size at a time, up to
/// 4 GB: that much must be free. Where the file system cannot reserve, or copies on write, a full
/// disk may make reads fail too until there is room.
///
/// A *failed sync* ends the store: the machine may have dropped what it could not write, and a
/// second sync would hide that. All calls fail until the file is opened anew, best by a new process
/// behind a look at the disk.
///
/// # Restart
///
/// Revisions go on where they were. Changes before the restart are not kept: a watch `since` a
/// revision before the last is a `Conflict`. After a crash redb reads the whole file once.
///
/// Requires a tokio runtime.
///
/// ```
/// use fc_core::Store;
/// use fc_core::port::store::When;
/// use fc_store::{RedbConfig, RedbStore};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("records");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = RedbStore::open(&path, RedbConfig::default()).await.unwrap();
/// let first = store.put("k", "v".into(), When::Absent).await.unwrap();
/// store.close().await;
///
/// let store = RedbStore::open(&path, RedbConfig::default()).await.unwrap();
/// assert_eq!(store.get("k").await.unwrap().unwrap().revision, first);
/// # });
/// ```
#[derive(Clone)]
pub struct RedbStore {
    capabilities: StoreCapabilities,
    reads: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// What readers, watchers and the writer share.
struct Shared {
    slot: Slot,
    watchers: Mutex<Watchers>,
}

impl Watched for Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Watchers) -> T) -> T {
        work(&mut self.watchers.lock())
    }
}

impl RedbStore {
    /// Opens the file at `path`, and makes it if it is not there. Its directory must be.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a setting that is out of range and a store of another form; `Conflict` if
    /// the file is open already; else whatever keeps it from being read and written.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have made the file.
    pub async fn open(path: impl AsRef<Path>, config: RedbConfig) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let cache = config.cache_bytes;
        Self::open_by(Box::new(move || disk::open(&path)), cache, config).await
    }

    async fn open_by(open: Opener, cache_bytes: usize, config: RedbConfig) -> Result<Self> {
        config.check()?;
        let opened = tokio::task::spawn_blocking(move || Slot::open(open, cache_bytes)).await;
        let slot = opened.map_err(|_| Error::internal("the opening of the store panicked"))??;
        let (last, slot) = slot;
        let shared =
            Arc::new(Shared { slot, watchers: Mutex::new(Watchers::behind(Revision(last))) });
        let (jobs, queue) = mpsc::channel(config.writes_max);
        let writer = Writer::new(shared.clone(), queue, &config);
        std::thread::Builder::new().name("fc-store".into()).spawn(move || writer.run()).map_err(
            |error| Error::internal("the store's thread does not start").with_source(error),
        )?;
        let capabilities = StoreCapabilities {
            durability: Durability::Fsync,
            value_bytes_max: config.value_bytes_max,
            key_bytes_max: config.key_bytes_max,
            watch_lag_max: config.watch_lag_max,
        };
        Ok(Self { capabilities, reads: Arc::new(Semaphore::new(config.reads_max)), jobs, shared })
    }

    /// Does what was asked for before, and closes the file: it can be opened again when this
    /// returns. All later calls, those of clones too, fail. Without it the file is closed some time
    /// after the last clone is dropped.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have closed it.
    pub async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.jobs.send(Job::Close(closed)).await.is_ok() {
            // An error is a writer that is gone, and with it the file is closed.
            let _ = done.await;
        }
    }

    async fn write(&self, key: &str, value: Option<Bytes>, when: When) -> Result<Option<Revision>> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        let length = value.as_ref().map_or(0, Bytes::len);
        within("value", self.capabilities.value_bytes_max, length)?;
        let (answer, answered) = oneshot::channel();
        let write = Job::Write(Write { key: key.into(), value, when, answer });
        self.jobs.send(write).await.map_err(|_| slot::closed())?;
        answered.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unknown, "the store ended before it answered"))
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T> {
        let permit = self.reads.clone().acquire_owned().await.map_err(|_| slot::closed())?;
        let shared = self.shared.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // A dropped call reads on: the permit goes with it.
            let _permit = permit;
            shared.slot.read(work)
        });
        let read = reading.await.map_err(|_| Error::internal("a read of the store panicked"))?;
        if read.is_err() {
            // If there is no room, writes are waiting, and they will find out.
            let _ = self.jobs.try_send(Job::Check);
        }
        read
    }
}

#[async_trait]
impl Store for RedbStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.capabilities
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        let key = key.to_owned();
        self.read(move |read| table::get(read, key)).await
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        let written = self.write(key, Some(value), when).await?;
        written.ok_or_else(|| Error::internal("a put without a revision"))
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        Ok(self.write(key, None, when).await?.is_some())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |read| table::list(read, &prefix, after.as_deref(), max)).await
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        // Readers see a commit a moment before the watchers are told.
        let written = self.read(table::last).await?;
        let id = self.shared.watchers.lock().add(prefix, since, Revision(written))?;
        Ok(Box::pin(Watch { watched: self.shared.clone(), id }))
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("revision", &self.shared.watchers.lock().last())
            .finish_non_exhaustive()
    }
}
