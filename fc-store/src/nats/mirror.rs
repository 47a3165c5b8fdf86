//! What a process knows of the stream: where each record is, the last changes, what may be erased.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::task::Waker;
use std::time::Duration;

use fc_core::Instant;
use fc_core::port::store::{Change, Record, Revision};

use crate::watch::Watchers;

use super::link::Written;

/// How long a deletion is kept once what it deleted is gone: longer than the server's longest wait for
/// a sync (2 minutes by default), so that a loss of power does not bring the record back.
const KEPT: Duration = Duration::from_secs(600);

/// A key's last write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Last {
    pub(super) sequence: u64,
    pub(super) is_deletion: bool,
}

/// What the stream needs no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Waste {
    /// A write that another has replaced.
    Replaced(u64),
    /// All writes of a key before its deletion.
    Deleted { key: String, deletion: u64 },
    /// A deletion, with nothing before it.
    Grave { key: String, deletion: u64 },
}

pub(super) struct Mirror {
    /// The stream up to this message.
    applied: u64,
    keys: BTreeMap<String, Last>,
    pub(super) watchers: Watchers,
    lag_max: u32,
    bytes_max: u64,
    /// What may be removed when the stream is so long: until then watchers and readers may need it.
    waste: VecDeque<(u64, Waste)>,
    graves: VecDeque<(Instant, Waste)>,
}

impl Mirror {
    pub(super) fn new(lag_max: u32, bytes_max: u64) -> Self {
        Self {
            applied: 0,
            keys: BTreeMap::new(),
            watchers: Watchers::default(),
            lag_max,
            bytes_max,
            waste: VecDeque::new(),
            graves: VecDeque::new(),
        }
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// Keys that are known, deleted ones included.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn last(&self, key: &str) -> Option<Last> {
        self.keys.get(key).copied()
    }

    /// Records under `prefix` behind `after`, with the writes that made them.
    pub(super) fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Vec<(String, u64)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let behind = self.keys.range::<str, _>((start, Bound::Unbounded));
        let named = behind.take_while(|(key, _)| key.starts_with(prefix));
        let there = named.filter(|(_, last)| !last.is_deletion);
        there.take(max).map(|(key, last)| (key.clone(), last.sequence)).collect()
    }

    /// Reads a write of the past, while nobody watches.
    pub(super) fn recall(&mut self, written: Written) {
        self.applied = written.sequence;
        self.place(written.sequence, written.key, written.is_deletion, true);
    }

    /// The past ends at `last`: what changed until then is not known one by one.
    pub(super) fn begin(&mut self, last: u64) {
        self.applied = self.applied.max(last);
        self.watchers = Watchers::behind(Revision(self.applied));
    }

    /// Reads the next write; `is_own` says whether this process cleans up behind it.
    pub(super) fn read(&mut self, written: Written, is_own: bool) -> Vec<Waker> {
        let Written { sequence, key, value, is_deletion, .. } = written;
        self.applied = sequence;
        let revision = Revision(sequence);
        self.place(sequence, key.clone(), is_deletion, is_own);
        let change = if is_deletion {
            Change::Deleted { key, revision }
        } else {
            Change::Put(Record { key, value, revision })
        };
        self.watchers.tell(change, self.lag_max as usize, self.bytes_max)
    }

    /// The next write is gone, since newer ones have replaced it: watchers start over.
    pub(super) fn skip(&mut self) -> Vec<Waker> {
        self.applied += 1;
        self.watchers.skip(Revision(self.applied))
    }

    fn place(&mut self, sequence: u64, key: String, is_deletion: bool, is_own: bool) {
        let replaced = self.keys.insert(key.clone(), Last { sequence, is_deletion });
        let behind = sequence + u64::from(self.lag_max);
        if is_own && let Some(replaced) = replaced {
            self.waste.push_back((behind, Waste::Replaced(replaced.sequence)));
        }
        if is_deletion {
            // Others forget the key, too.
            self.waste.push_back((behind, Waste::Deleted { key, deletion: sequence }));
        }
    }

    /// What may be removed now. It comes again until it is [`Mirror::removed`].
    pub(super) fn next_waste(&mut self, now: Instant) -> Option<Waste> {
        while let Some((at, grave)) = self.graves.front()
            && *at <= now
        {
            let Waste::Grave { key, deletion } = grave else {
                return None;
            };
            if self.keys.get(key).is_some_and(|last| last.sequence == *deletion) {
                return Some(grave.clone());
            }
            self.graves.pop_front();
        }
        let (behind, waste) = self.waste.front()?;
        (*behind <= self.applied).then(|| waste.clone())
    }

    pub(super) fn removed(&mut self, waste: Waste, now: Instant) {
        if let Waste::Grave { key, .. } = &waste {
            self.keys.remove(key);
            self.graves.pop_front();
            return;
        }
        self.waste.pop_front();
        if let Waste::Deleted { key, deletion } = waste {
            self.graves.push_back((now + KEPT, Waste::Grave { key, deletion }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mirror: &mut Mirror, key: &str, is_deletion: bool) -> u64 {
        let sequence = mirror.applied() + 1;
        let (key, value) = (key.to_owned(), "v".into());
        mirror.read(Written { sequence, key, value, is_deletion, write: None }, true);
        sequence
    }

    fn removed(mirror: &mut Mirror, now: Instant) -> Vec<Waste> {
        let mut all = Vec::new();
        while let Some(waste) = mirror.next_waste(now) {
            mirror.removed(waste.clone(), now);
            all.push(waste);
        }
        all
    }

    #[test]
    fn what_was_replaced_goes_when_no_watcher_can_need_it() {
        let mut mirror = Mirror::new(3, 1000);
        for _ in 0..5 {
            read(&mut mirror, "a", false);
        }
        assert_eq!(removed(&mut mirror, Instant::ORIGIN), [Waste::Replaced(1)]);
        read(&mut mirror, "b", false);
        assert_eq!(removed(&mut mirror, Instant::ORIGIN), [Waste::Replaced(2)]);
        assert_eq!(mirror.list("", None, 9), [("a".to_owned(), 5), ("b".to_owned(), 6)]);
    }

    #[test]
    fn a_deletion_goes_long_after_what_it_deleted() {
        let mut mirror = Mirror::new(1, 1000);
        let (now, key) = (Instant::ORIGIN, || "a".to_owned());
        let first = read(&mut mirror, "a", false);
        let deletion = read(&mut mirror, "a", true);
        assert_eq!(removed(&mut mirror, now + KEPT), []);
        read(&mut mirror, "b", false);
        let gone = [Waste::Replaced(first), Waste::Deleted { key: key(), deletion }];
        assert_eq!(removed(&mut mirror, now), gone);
        assert_eq!(mirror.last("a"), Some(Last { sequence: deletion, is_deletion: true }));
        assert_eq!(removed(&mut mirror, now + KEPT), [Waste::Grave { key: key(), deletion }]);
        assert_eq!(mirror.last("a"), None);
        // One that was written again is no grave.
        read(&mut mirror, "b", true);
        read(&mut mirror, "c", false);
        removed(&mut mirror, now);
        let again = read(&mut mirror, "b", false);
        removed(&mut mirror, now + KEPT);
        assert_eq!(mirror.last("b"), Some(Last { sequence: again, is_deletion: false }));
    }
}
