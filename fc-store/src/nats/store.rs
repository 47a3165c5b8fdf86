//! The store: conditions, lost answers, lists.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{ChangeStream, Record, Revision, StoreCapabilities, When};
use fc_core::{Clock, Error, ErrorKind, Result, Store};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;

use crate::contract::{check, within};
use crate::watch::Watch;

use super::broker::Appended;
use super::config::NatsStoreConfig;
use super::connect::connect;
use super::follower::follow;
use super::link::{Which, Write, Written};
use super::mirror::{Last, Mirror};
use super::shared::{READS, Shared};

/// How often a write is tried anew that others came before, or a list while they write.
const TRIES: u32 = 64;

/// Pauses between tries of a write whose outcome is not known.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long a write without a condition is looked for if its answer was lost.
const LOOKED_FOR: Duration = Duration::from_secs(2);

/// Records on NATS JetStream, shared by all processes that name the same stream.
///
/// It asks for nats-server 2.9 or later with `jetstream` in a directory of its own. Only
/// `sync_interval: always` (2.10 or later) lets an acknowledged write survive a loss of power on one
/// server; without it the driver declares
/// [`Durability::ProcessMemory`](fc_core::port::store::Durability) and says so when it connects,
/// though records survive a crash of any process, the server's too. Three replicas or more are
/// [`Replicated`](fc_core::port::store::Durability). Keys, not values, are in the memory of each
/// process.
pub struct NatsStore {
    shared: Arc<Shared>,
    capabilities: StoreCapabilities,
    lag_max: u64,
    answer_within: Duration,
    follower: JoinHandle<()>,
}

impl NatsStore {
    /// Connects, makes the stream if it is not there, and reads its keys.
    ///
    /// Must be called within a tokio runtime, whose task then follows the stream until the store is
    /// dropped.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for the config; `Unsupported` for a server or a stream that cannot keep the
    /// store's promises; `ResourceThrottled` if the server does not answer.
    pub async fn connect(config: NatsStoreConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let (link, capabilities) = connect(&config, clock).await?;
        let mirror = || Mirror::new(config.watch_lag_max, config.watch_bytes_max);
        let shared = Arc::new(Shared::new(link, mirror(), config.answer_within));
        // Before the stream is read, so that nothing is missed in between.
        let bells = shared.link.bells().await?;
        shared.begin(mirror()).await?;
        let follower = tokio::spawn(follow(shared.clone(), bells));
        let (lag_max, answer_within) = (u64::from(config.watch_lag_max), config.answer_within);
        Ok(Self { shared, capabilities, lag_max, answer_within, follower })
    }

    /// A write is not known to be done or not when its time is over.
    async fn known<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        let clock = self.shared.link.clock();
        let until = clock.now() + self.answer_within;
        let known = clock.with_deadline(until, write).await;
        known.unwrap_or_else(|_| Err(unknown("the server's answer did not come")))
    }

    /// Writes where the key's last write is `last`; `None` if it is another.
    async fn swap(&self, key: &str, value: Option<Bytes>, last: u64) -> Result<Option<u64>> {
        let link = &self.shared.link;
        let write = link.next_write();
        let mut pause = PAUSE_MIN;
        let mut is_first = true;
        loop {
            match link.append(key, value.clone(), Some(last), write).await {
                Appended::At(sequence) => {
                    self.wrote(key, value, sequence, write).await;
                    return Ok(Some(sequence));
                }
                Appended::Behind if is_first => return Ok(None),
                Appended::Full(what) if is_first => return Err(full(what)),
                // The first try may have been stored.
                Appended::Behind | Appended::Full(_) => match self.find(key, write, last).await? {
                    Some(sequence) => {
                        self.wrote(key, value, sequence, write).await;
                        return Ok(Some(sequence));
                    }
                    None => return Ok(None),
                },
                Appended::Lost(what) => {
                    let stream = link.name();
                    tracing::debug!(stream, what, "a write's outcome is not known: once more");
                    // With its condition it can be tried again: it is not stored twice.
                    is_first = false;
                    self.pause(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Where `write` is, if it replaced write `last` of the key.
    async fn find(&self, key: &str, write: Write, last: u64) -> Result<Option<u64>> {
        let link = &self.shared.link;
        let next = link.read(Which::NextOf(key, last + 1)).await;
        let next = next.map_err(|error| unknown(error.message()))?;
        if let Some(next) = &next
            && next.write == Some(write)
        {
            return Ok(Some(next.sequence));
        }
        let (_, end) = link.ends().await.map_err(|error| unknown(error.message()))?;
        // It may have been replaced and erased since.
        if end.saturating_sub(last) >= self.lag_max {
            return Err(unknown("many others wrote since"));
        }
        Ok(None)
    }

    /// Writes in any case.
    async fn overwrite(&self, key: &str, value: Bytes) -> Result<u64> {
        let link = &self.shared.link;
        let write = link.next_write();
        let before = self.shared.mirror.lock().applied();
        match link.append(key, Some(value.clone()), None, write).await {
            Appended::At(sequence) => {
                self.wrote(key, Some(value), sequence, write).await;
                return Ok(sequence);
            }
            Appended::Full(what) => return Err(full(what)),
            Appended::Behind | Appended::Lost(_) => {}
        }
        // A second write could replace another's that came between: it is only looked for.
        let until = link.clock().now() + LOOKED_FOR;
        while link.clock().now() < until {
            self.pause(PAUSE_MAX / 5).await;
            let mut from = before + 1;
            while let Ok(Some(found)) = link.read(Which::NextOf(key, from)).await {
                if found.write == Some(write) {
                    self.wrote(key, Some(value), found.sequence, write).await;
                    return Ok(found.sequence);
                }
                from = found.sequence + 1;
            }
        }
        Err(unknown("the server's answer was lost"))
    }

    /// What was written is known here, and rung to others.
    async fn wrote(&self, key: &str, value: Option<Bytes>, sequence: u64, write: Write) {
        let (key, is_deletion) = (key.to_owned(), value.is_none());
        let value = value.unwrap_or_default();
        let written = Written { sequence, key, value, is_deletion, write: Some(write) };
        self.shared.wrote(written);
        self.shared.link.ring(sequence).await;
    }

    async fn pause(&self, pause: Duration) {
        let clock = self.shared.link.clock();
        clock.sleep_until(clock.now() + pause).await;
    }

    async fn write(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        let last = self.shared.mirror.lock().last(key);
        // What is likely the key's last write, if the condition holds.
        let likely = match (when, last) {
            (When::Always, _) => return self.overwrite(key, value).await.map(Revision),
            (When::Absent, None) => Some(0),
            (When::Absent, Some(last)) => last.is_deletion.then_some(last.sequence),
            (When::Unchanged(expected), Some(Last { sequence, is_deletion: false })) => {
                (expected.0 == sequence).then_some(sequence)
            }
            (When::Unchanged(_), _) => None,
        };
        if let Some(likely) = likely
            && let Some(sequence) = self.swap(key, Some(value.clone()), likely).await?
        {
            return Ok(Revision(sequence));
        }
        for _ in 0..TRIES {
            let last = self.shared.link.read(Which::LastOf(key)).await?;
            check(key, when, last.as_ref().and_then(live))?;
            let last = last.map_or(0, |last| last.sequence);
            if let Some(sequence) = self.swap(key, Some(value.clone()), last).await? {
                return Ok(Revision(sequence));
            }
        }
        Err(others())
    }

    async fn remove(&self, key: &str, when: When) -> Result<bool> {
        for _ in 0..TRIES {
            let last = self.shared.link.read(Which::LastOf(key)).await?;
            let is = last.as_ref().and_then(live);
            check(key, when, is)?;
            let Some(Revision(is)) = is else {
                return Ok(false);
            };
            if self.swap(key, None, is).await?.is_some() {
                return Ok(true);
            }
        }
        Err(others())
    }
}

#[async_trait]
impl Store for NatsStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.capabilities
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        let last = self.shared.link.read(Which::LastOf(key)).await?;
        Ok(last.filter(|last| !last.is_deletion).map(record))
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        within("value", self.capabilities.value_bytes_max, value.len())?;
        self.known(self.write(key, value, when)).await
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        self.known(self.remove(key, when)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        for _ in 0..TRIES {
            self.shared.reach_end().await?;
            let listed = self.shared.mirror.lock().list(prefix, after, max);
            let read = |(_, at): (String, u64)| self.shared.link.read(Which::At(at));
            let each = stream::iter(listed).map(read).buffered(READS);
            let all: Vec<Option<Written>> = each.try_collect().await?;
            // One that was replaced meanwhile, and erased: again, so that all are of one moment.
            if let Some(all) = all.into_iter().collect::<Option<Vec<_>>>() {
                return Ok(all.into_iter().map(record).collect());
            }
        }
        Err(others())
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        self.shared.reach_end().await?;
        let id = {
            let mut mirror = self.shared.mirror.lock();
            let last = Revision(mirror.applied());
            mirror.watchers.add(prefix, since, last)?
        };
        Ok(Box::pin(Watch { watched: self.shared.clone(), id }))
    }
}

impl Drop for NatsStore {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl fmt::Debug for NatsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mirror = self.shared.mirror.lock();
        f.debug_struct("NatsStore")
            .field("stream", &self.shared.link.name())
            .field("keys", &mirror.len())
            .field("revision", &mirror.applied())
            .finish_non_exhaustive()
    }
}

fn live(written: &Written) -> Option<Revision> {
    (!written.is_deletion).then_some(Revision(written.sequence))
}

fn record(written: Written) -> Record {
    let Written { sequence, key, value, .. } = written;
    Record { key, value, revision: Revision(sequence) }
}

fn full(what: String) -> Error {
    Error::new(ErrorKind::ResourceExhausted, what)
}

fn others() -> Error {
    let what = format!("NATS: others wrote before each of {TRIES} tries");
    Error::new(ErrorKind::ResourceThrottled, what)
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Unknown, format!("NATS: {what}: it may have been written"))
}
