//! The last changes, and those who follow them.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fc_core::port::store::{Change, Revision};
use fc_core::{Error, ErrorKind, Result};
use futures_core::Stream;

/// The last changes, and those who follow them.
#[derive(Default)]
pub(crate) struct Watchers {
    /// The newest last. Every write has the next revision, so the front's is known from the last.
    changes: VecDeque<Change>,
    /// What the keys and values of the changes come to.
    bytes: u64,
    /// The last write's revision; 0 before the first.
    last: u64,
    watchers: HashMap<u64, Watcher>,
    next_id: u64,
}

struct Watcher {
    prefix: Box<str>,
    /// The last revision that was read, or is known to be of no interest.
    seen: u64,
    /// There while the watcher has seen everything and waits.
    waker: Option<Waker>,
}

impl Watchers {
    /// Behind a write of an earlier process: what it changed is not known any more.
    #[cfg(any(feature = "nats", feature = "postgres", feature = "redb"))]
    pub(crate) fn behind(last: Revision) -> Self {
        Self { last: last.0, ..Self::default() }
    }

    /// Goes on behind `last`: what was changed until then is not known. Gives all who wait, to be told
    /// so.
    #[cfg(feature = "postgres")]
    pub(crate) fn skip_to(&mut self, last: Revision) -> Vec<Waker> {
        self.changes.clear();
        self.bytes = 0;
        self.last = last.0;
        self.watchers.values_mut().filter_map(|watcher| watcher.waker.take()).collect()
    }

    pub(crate) fn last(&self) -> Revision {
        Revision(self.last)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.watchers.len()
    }

    /// `written` is the last revision that a reader may have seen: a store may show a write before
    /// it tells of it.
    pub(crate) fn add(
        &mut self,
        prefix: &str,
        since: Option<Revision>,
        written: Revision,
    ) -> Result<u64> {
        let written = written.0.max(self.last);
        let seen = since.map_or(written, |since| since.0);
        if seen > written {
            return Err(forgotten(seen));
        }
        self.index_behind(seen)?;
        let id = self.next_id;
        self.next_id += 1;
        self.watchers.insert(id, Watcher { prefix: prefix.into(), seen, waker: None });
        Ok(id)
    }

    /// Keeps a change, at most `max` of them and (but for the last) `bytes_max`, and gives those who
    /// wait for it.
    pub(crate) fn tell(&mut self, change: Change, max: usize, bytes_max: u64) -> Vec<Waker> {
        self.last += 1;
        let mut woken = Vec::new();
        for watcher in self.watchers.values_mut().filter(|watcher| watcher.waker.is_some()) {
            if key_of(&change).starts_with(&*watcher.prefix) {
                // Whoever waits has seen everything, or was not meant, until this change.
                watcher.seen = watcher.seen.max(self.last - 1);
                woken.extend(watcher.waker.take());
            } else {
                watcher.seen = watcher.seen.max(self.last);
            }
        }
        self.bytes += bytes_of(&change);
        self.changes.push_back(change);
        while self.changes.len() > max || (self.bytes > bytes_max && self.changes.len() > 1) {
            let gone = self.changes.pop_front();
            self.bytes -= gone.as_ref().map_or(0, bytes_of);
        }
        woken
    }

    /// The changes up to `last` are not known one by one: whoever has not seen them starts over.
    #[cfg(feature = "nats")]
    pub(crate) fn skip(&mut self, last: Revision) -> Vec<Waker> {
        self.changes.clear();
        self.bytes = 0;
        self.last = self.last.max(last.0);
        self.watchers.values_mut().filter_map(|watcher| watcher.waker.take()).collect()
    }

    /// Where the changes behind `seen` begin.
    fn index_behind(&self, seen: u64) -> Result<usize> {
        let forgotten_until = self.last - self.changes.len() as u64;
        let index = seen.checked_sub(forgotten_until).ok_or_else(|| forgotten(seen))?;
        // Behind the last, if it has seen a write that was not told of yet.
        Ok(usize::try_from(index).unwrap_or(usize::MAX).min(self.changes.len()))
    }

    /// The next change, and a waker that is no longer needed: its drop may run foreign code, which
    /// must not happen under the store's lock.
    fn poll_next(
        &mut self,
        id: u64,
        waker: &Waker,
    ) -> (Poll<Option<Result<Change>>>, Option<Waker>) {
        let Some(watcher) = self.watchers.get(&id) else {
            return (Poll::Ready(None), None);
        };
        let index = match self.index_behind(watcher.seen) {
            Ok(index) => index,
            Err(lagged) => {
                let gone = self.watchers.remove(&id);
                return (Poll::Ready(Some(Err(lagged))), gone.and_then(|watcher| watcher.waker));
            }
        };
        let mut behind = self.changes.range(index..);
        let found = behind.find(|change| key_of(change).starts_with(&*watcher.prefix)).cloned();
        let mut unneeded = None;
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.seen = found.as_ref().map_or(self.last.max(watcher.seen), revision_of);
            let waits = found.is_none().then(|| waker.clone());
            unneeded = std::mem::replace(&mut watcher.waker, waits);
        }
        (found.map_or(Poll::Pending, |change| Poll::Ready(Some(Ok(change)))), unneeded)
    }
}

fn forgotten(seen: u64) -> Error {
    let what = format!("watch: the changes behind revision {seen} are not known; list again");
    Error::new(ErrorKind::Conflict, what)
}

fn key_of(change: &Change) -> &str {
    match change {
        Change::Put(record) => &record.key,
        Change::Deleted { key, .. } => key,
    }
}

fn bytes_of(change: &Change) -> u64 {
    let value = match change {
        Change::Put(record) => record.value.len(),
        Change::Deleted { .. } => 0,
    };
    (key_of(change).len() + value) as u64
}

fn revision_of(change: &Change) -> u64 {
    match change {
        Change::Put(record) => record.revision.0,
        Change::Deleted { revision, .. } => revision.0,
    }
}

/// Where watchers are kept, under a lock.
pub(crate) trait Watched: Send + Sync + 'static {
    fn with<T>(&self, work: impl FnOnce(&mut Watchers) -> T) -> T;
}

/// One who follows the changes. It keeps nothing but its place.
pub(crate) struct Watch<W: Watched> {
    pub(crate) watched: Arc<W>,
    pub(crate) id: u64,
}

impl<W: Watched> Stream for Watch<W> {
    type Item = Result<Change>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (polled, unneeded) = self.watched.with(|all| all.poll_next(self.id, cx.waker()));
        drop(unneeded);
        polled
    }
}

impl<W: Watched> Drop for Watch<W> {
    fn drop(&mut self) {
        let forgotten = self.watched.with(|all| all.watchers.remove(&self.id));
        // A waker's drop may run foreign code, so not under the lock.
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use fc_core::Store;
    use fc_core::port::store::{ChangeStream, When};

    use super::*;
    use crate::MemoryStore;

    fn poll(changes: &mut ChangeStream) -> Poll<Option<Result<Change>>> {
        changes.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
    }

    async fn put(store: &MemoryStore, key: &str) -> Revision {
        store.put(key, "v".into(), When::Always).await.unwrap()
    }

    /// A watcher that waits has nothing to lag behind, however much is written elsewhere.
    #[tokio::test]
    async fn a_waiting_watcher_is_not_told_of_changes_that_do_not_concern_it() {
        let store = MemoryStore::new().watch_lag_max(4);
        let mut changes = store.watch("mine/", None).await.unwrap();
        assert!(poll(&mut changes).is_pending());
        for _ in 0..100 {
            put(&store, "other").await;
        }
        let revision = put(&store, "mine/1").await;
        for _ in 0..3 {
            put(&store, "other").await;
        }
        let next = poll_fn(|cx| changes.as_mut().poll_next(cx)).await;
        assert!(matches!(next, Some(Ok(Change::Put(record))) if record.revision == revision));
    }

    #[tokio::test]
    async fn a_watcher_may_lag_as_far_as_declared_and_no_further() {
        let store = MemoryStore::new().watch_lag_max(4);
        let mut changes = store.watch("", None).await.unwrap();
        let mut late = store.watch("", None).await.unwrap();
        for _ in 0..4 {
            put(&store, "k").await;
        }
        assert!(matches!(poll(&mut changes), Poll::Ready(Some(Ok(_)))));
        put(&store, "k").await;
        for _ in 0..4 {
            assert!(matches!(poll(&mut changes), Poll::Ready(Some(Ok(_)))));
        }
        assert!(poll(&mut changes).is_pending());
        let Poll::Ready(Some(Err(lagged))) = poll(&mut late) else { panic!("it did not lag") };
        assert_eq!(lagged.kind(), ErrorKind::Conflict);
        assert!(matches!(poll(&mut late), Poll::Ready(None)));
        for (since, known) in [(0, false), (1, true), (5, true), (6, false)] {
            let watched = store.watch("", Some(Revision(since))).await;
            assert_eq!(watched.is_ok(), known, "{since}");
        }
    }

    #[tokio::test]
    async fn a_dropped_watcher_leaves_nothing() {
        let store = MemoryStore::new();
        for _ in 0..10 {
            let mut changes = store.watch("", None).await.unwrap();
            assert!(poll(&mut changes).is_pending());
            assert_eq!(store.watching(), 1);
        }
        assert_eq!(store.watching(), 0);
    }

    fn change(revision: u64, bytes: usize) -> Change {
        let value = vec![0; bytes].into();
        Change::Put(fc_core::port::store::Record {
            key: "k".into(),
            value,
            revision: Revision(revision),
        })
    }

    #[test]
    fn changes_are_kept_within_their_bytes_and_the_last_in_any_case() {
        let mut watchers = Watchers::default();
        for revision in 1..=5 {
            watchers.tell(change(revision, 9), 100, 30);
        }
        assert_eq!((watchers.changes.len(), watchers.bytes), (3, 30));
        watchers.tell(change(6, 99), 100, 30);
        assert_eq!((watchers.changes.len(), watchers.bytes), (1, 100));
    }

    /// A store may show a write to a reader a moment before it tells the watchers.
    #[test]
    fn who_has_seen_a_write_before_it_is_told_is_not_told_of_it() {
        let mut watchers = Watchers::default();
        watchers.tell(change(1, 1), 10, 1000);
        let id = watchers.add("", Some(Revision(2)), Revision(3)).unwrap();
        assert!(watchers.add("", Some(Revision(4)), Revision(3)).is_err());
        assert!(watchers.poll_next(id, Waker::noop()).0.is_pending());
        watchers.tell(change(2, 1), 10, 1000);
        assert!(watchers.poll_next(id, Waker::noop()).0.is_pending());
        watchers.tell(change(3, 1), 10, 1000);
        let (polled, _) = watchers.poll_next(id, Waker::noop());
        let Poll::Ready(Some(Ok(told))) = polled else { panic!("{polled:?}") };
        assert_eq!(revision_of(&told), 3);
    }
}
