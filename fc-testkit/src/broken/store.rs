//! Broken stores.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{Change, ChangeStream, Record, Revision, StoreCapabilities, When};
use fc_core::{ErrorKind, Result, Store};
use futures_util::{StreamExt, future, stream};
use parking_lot::Mutex;

/// How a [`BrokenStore`] is broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StoreFault {
    /// It declares something else each time.
    CapabilitiesChange,
    /// An empty value is read back as no record.
    EmptyValueIsNoRecord,
    /// `Absent` overwrites.
    AbsentOverwrites,
    /// `Unchanged` creates a record that is not there.
    UnchangedCreates,
    /// `Always` says that it overwrote, and did not.
    AlwaysKeepsTheFirst,
    /// A record that was deleted and written again has its first revision again.
    RevisionIsUsedAgain,
    /// A delete of nothing says that there was a record.
    DeleteAlwaysSaysTrue,
    /// A delete heeds no condition.
    DeleteIgnoresCondition,
    /// Between the check of `Unchanged` and the write others may write.
    CheckIsNotAtomic,
    /// `list` does not tell upper from lower case when it sorts.
    ListIgnoresCase,
    /// `_` in a prefix stands for any letter.
    PrefixIsPattern,
    /// `list` begins at `after`, not behind it.
    AfterIsIncluded,
    /// At most 0 means no limit.
    ZeroIsNoLimit,
    /// Deletions are not told.
    DeletionsAreNotTold,
    /// A watch from now on begins with what is there.
    WatchBeginsTooEarly,
    /// `since` itself is replayed.
    SinceIsIncluded,
    /// A watch tells the changes of all keys.
    WatchIgnoresPrefix,
    /// A watcher that lags sees the end of the stream, and no error.
    LagEndsInSilence,
    /// A watcher that comes too late gets what comes from now on.
    LateWatcherMissesChanges,
    /// A key that is too long is cut off.
    LongKeyIsCut,
    /// A value that is too large is cut off.
    LargeValueIsCut,
}

impl StoreFault {
    /// Every fault, with the one case that finds it.
    pub const ALL: [(Self, &'static str); 21] = [
        (Self::CapabilitiesChange, "capabilities_are_constant"),
        (Self::EmptyValueIsNoRecord, "what_was_put_is_read_back"),
        (Self::AbsentOverwrites, "absent_takes_only_a_free_key"),
        (Self::UnchangedCreates, "unchanged_takes_only_the_revision_that_was_read"),
        (Self::AlwaysKeepsTheFirst, "always_overwrites"),
        (Self::RevisionIsUsedAgain, "revisions_grow_and_are_never_used_again"),
        (Self::DeleteAlwaysSaysTrue, "delete_says_whether_there_was_a_record"),
        (Self::DeleteIgnoresCondition, "delete_heeds_its_condition"),
        (Self::CheckIsNotAtomic, "racing_writers_lose_no_update"),
        (Self::ListIgnoresCase, "list_is_in_byte_order"),
        (Self::PrefixIsPattern, "list_keeps_to_its_prefix"),
        (Self::AfterIsIncluded, "list_goes_on_behind_a_key"),
        (Self::ZeroIsNoLimit, "list_gives_no_more_than_asked"),
        (Self::DeletionsAreNotTold, "watch_gives_every_change_in_order"),
        (Self::WatchBeginsTooEarly, "watch_begins_when_it_returns"),
        (Self::SinceIsIncluded, "watch_replays_what_came_since"),
        (Self::WatchIgnoresPrefix, "watch_keeps_to_its_prefix"),
        (Self::LagEndsInSilence, "a_lagging_watcher_is_told"),
        (Self::LateWatcherMissesChanges, "a_watcher_that_comes_too_late_is_told"),
        (Self::LongKeyIsCut, "a_key_over_the_limit_is_refused"),
        (Self::LargeValueIsCut, "a_value_over_the_limit_is_refused"),
    ];
}

/// A good store behind a wrapper that breaks one rule.
#[derive(Debug)]
pub struct BrokenStore {
    good: Arc<dyn Store>,
    fault: StoreFault,
    asked: AtomicU32,
    /// First revisions of keys that were deleted.
    deleted: Mutex<HashMap<String, Revision>>,
}

impl BrokenStore {
    /// Breaks `good`.
    pub fn new(good: Arc<dyn Store>, fault: StoreFault) -> Self {
        Self { good, fault, asked: AtomicU32::new(0), deleted: Mutex::default() }
    }

    fn has(&self, fault: StoreFault) -> bool {
        self.fault == fault
    }

    /// What of a text this store looks at.
    fn cut<'t>(&self, fault: StoreFault, key: &'t str) -> &'t str {
        let most = self.good.capabilities().key_bytes_max as usize;
        if self.has(fault) { key.get(..most).unwrap_or(key) } else { key }
    }

    async fn is_there(&self, key: &str) -> Result<bool> {
        Ok(self.good.get(key).await?.is_some())
    }
}

#[async_trait]
impl Store for BrokenStore {
    fn capabilities(&self) -> StoreCapabilities {
        let mut capabilities = self.good.capabilities();
        if self.has(StoreFault::CapabilitiesChange) {
            // Small enough to disturb no other case.
            capabilities.watch_lag_max += self.asked.fetch_add(1, Ordering::Relaxed);
        }
        capabilities
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        let record = self.good.get(key).await?;
        let hidden =
            |record: &Record| self.has(StoreFault::EmptyValueIsNoRecord) && record.value.is_empty();
        Ok(record.filter(|record| !hidden(record)))
    }

    async fn put(&self, key: &str, mut value: Bytes, mut when: When) -> Result<Revision> {
        let key = self.cut(StoreFault::LongKeyIsCut, key);
        match (self.fault, when) {
            (StoreFault::AbsentOverwrites, When::Absent) => when = When::Always,
            (StoreFault::UnchangedCreates, When::Unchanged(_)) if !self.is_there(key).await? => {
                when = When::Absent;
            }
            (StoreFault::AlwaysKeepsTheFirst, When::Always) => {
                if let Some(record) = self.good.get(key).await? {
                    value = record.value;
                }
            }
            (StoreFault::CheckIsNotAtomic, When::Unchanged(revision)) => {
                let is = self.good.get(key).await?.map(|record| record.revision);
                if is == Some(revision) {
                    when = When::Always;
                    tokio::task::yield_now().await;
                }
            }
            (StoreFault::LargeValueIsCut, _) => {
                value.truncate(self.good.capabilities().value_bytes_max as usize);
            }
            _ => {}
        }
        let revision = self.good.put(key, value, when).await?;
        if self.has(StoreFault::RevisionIsUsedAgain) {
            return Ok(self.deleted.lock().get(key).copied().unwrap_or(revision));
        }
        Ok(revision)
    }

    async fn delete(&self, key: &str, mut when: When) -> Result<bool> {
        match self.fault {
            StoreFault::DeleteIgnoresCondition => when = When::Always,
            StoreFault::RevisionIsUsedAgain => {
                if let Some(record) = self.good.get(key).await? {
                    self.deleted.lock().entry(key.to_owned()).or_insert(record.revision);
                }
            }
            _ => {}
        }
        let existed = self.good.delete(key, when).await?;
        Ok(existed || self.has(StoreFault::DeleteAlwaysSaysTrue))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        match self.fault {
            StoreFault::ListIgnoresCase => {
                let mut listed = self.good.list(prefix, after, max).await?;
                listed.sort_by_key(|record| record.key.to_lowercase());
                Ok(listed)
            }
            StoreFault::PrefixIsPattern if prefix.ends_with('_') => {
                let before = &prefix[..prefix.len() - 1];
                let mut listed = self.good.list(before, after, max).await?;
                listed.retain(|record| record.key.len() >= prefix.len());
                Ok(listed)
            }
            StoreFault::AfterIsIncluded => {
                let mut listed = self.good.list(prefix, after, max).await?;
                if let Some(after) = after
                    && let Some(record) = self.good.get(after).await?
                {
                    listed.insert(0, record);
                }
                Ok(listed)
            }
            StoreFault::ZeroIsNoLimit if max == 0 => {
                self.good.list(prefix, after, usize::MAX).await
            }
            _ => self.good.list(prefix, after, max).await,
        }
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        let (good, fault) = (&self.good, self.fault);
        Ok(match fault {
            StoreFault::DeletionsAreNotTold => {
                let changes = good.watch(prefix, since).await?;
                let told = |change: &Result<Change>| !matches!(change, Ok(Change::Deleted { .. }));
                Box::pin(changes.filter(move |change| future::ready(told(change))))
            }
            StoreFault::WatchBeginsTooEarly if since.is_none() => {
                let there = good.list(prefix, None, usize::MAX).await?;
                let there = stream::iter(there.into_iter().map(|record| Ok(Change::Put(record))));
                Box::pin(there.chain(good.watch(prefix, None).await?))
            }
            StoreFault::SinceIsIncluded => {
                let earlier = since.map(|since| Revision(since.0.saturating_sub(1)));
                good.watch(prefix, earlier).await?
            }
            StoreFault::WatchIgnoresPrefix => good.watch("", since).await?,
            StoreFault::LagEndsInSilence => {
                let changes = good.watch(prefix, since).await?;
                Box::pin(changes.take_while(|change| future::ready(change.is_ok())))
            }
            StoreFault::LateWatcherMissesChanges => match good.watch(prefix, since).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    good.watch(prefix, None).await?
                }
                other => other?,
            },
            _ => good.watch(prefix, since).await?,
        })
    }
}
