//! Which tasks there are, and who holds them: the index of every driver that keeps one in memory.

mod facts;
mod ids;
mod lane;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;

use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, NewTask, Place, Pushed, Verdict,
};
use fc_core::{Error, ErrorKind, Result, Timestamp};

#[cfg(feature = "embedded")]
pub(crate) use ids::AsIs;
use ids::Ids;
use lane::LaneBook;
pub use lane::{Apart, Entry, Standing, Visible};

/// All lanes of a queue. `P` is where a task's payload is: the bytes, or their place in a file.
///
/// A waiting task costs 300 bytes with an id of 40 and a `P` of 16 bytes (`tests/memory.rs`).
/// Every operation but [`Book::list`], [`Book::purgeable`] and a redrive of all costs the logarithm of the
/// lane's tasks at most. Fences and positions grow and are never used again; a book that is built anew
/// begins both above those of its past ([`Book::new`]).
///
/// A task that may be leased from a time in the past on takes its place behind those that are visible
/// already: what is tried again or redriven does not starve behind new tasks, nor they behind it.
#[derive(Debug)]
pub struct Book<P> {
    lanes: BTreeMap<Lane, LaneBook<P>>,
    /// Where the tasks of all lanes are, by the hashes of their lanes and ids.
    ids: Ids,
    hasher: RandomState,
    /// Tasks of all lanes.
    len: u64,
    position: u64,
    fence: u64,
    /// The latest time that was told.
    latest: Timestamp,
}

/// A task as it was leased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lent<P> {
    /// Proof of the hold.
    pub token: LeaseToken,
    /// The task.
    pub entry: Entry<P>,
}

impl<P: Clone> Book<P> {
    /// An empty book whose positions and fences are above these.
    pub fn new(position: u64, fence: u64) -> Self {
        Self {
            lanes: BTreeMap::new(),
            ids: Ids::default(),
            hasher: RandomState::new(),
            len: 0,
            position,
            fence,
            latest: Timestamp::default(),
        }
    }

    /// The position of the next push, if nobody names another.
    pub fn next_position(&self) -> u64 {
        self.position + 1
    }

    /// Tasks of all lanes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the lane has a task of this id, wherever it stands.
    pub fn contains(&self, lane: &str, id: &str) -> bool {
        self.get(lane, id).is_some()
    }

    /// The task of this id, wherever it stands.
    pub fn get(&self, lane: &str, id: &str) -> Option<(u64, &Entry<P>)> {
        self.get_hashed(self.hash(lane, id), lane, id)
    }

    fn get_hashed(&self, hash: u64, lane: &str, id: &str) -> Option<(u64, &Entry<P>)> {
        let lane = self.lanes.get(lane)?;
        let mut alike = self.ids.find(hash).filter_map(|at| Some((at, lane.entry(at)?)));
        alike.find(|(_, entry)| *entry.id == *id)
    }

    fn hash(&self, lane: &str, id: &str) -> u64 {
        self.hasher.hash_one((lane, id))
    }

    /// The task at a position.
    pub fn entry(&self, lane: &str, position: u64) -> Option<&Entry<P>> {
        self.lanes.get(lane)?.entry(position)
    }

    /// Adds a task at the next position, unless its id is known.
    pub fn push(&mut self, lane: &Lane, task: NewTask, payload: P, now: Timestamp) -> Pushed {
        let position = self.next_position();
        self.push_at(position, lane, task, payload, now)
    }

    /// Adds a task at a position that the driver names, above all that were used in its lane.
    pub fn push_at(
        &mut self,
        position: u64,
        lane: &Lane,
        task: NewTask,
        payload: P,
        now: Timestamp,
    ) -> Pushed {
        self.latest = self.latest.max(now);
        let hash = self.hash(lane.as_str(), &task.id);
        if self.get_hashed(hash, lane.as_str(), &task.id).is_some() {
            return Pushed::Known;
        }
        match self.lanes.get_mut(lane) {
            Some(book) => book.push(position, task, payload, now),
            None => {
                let mut book = LaneBook::default();
                book.push(position, task, payload, now);
                self.lanes.insert(lane.clone(), book);
            }
        }
        self.ids.insert(hash, position);
        self.position = self.position.max(position);
        self.len += 1;
        Pushed::New
    }

    /// At most `max` tasks that are visible at `now`, held until `until`; none of them twice, even if
    /// that has passed.
    pub fn lease(
        &mut self,
        lane: &Lane,
        max: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Vec<Lent<P>> {
        self.latest = self.latest.max(now);
        let Some(book) = self.lanes.get_mut(lane) else {
            return Vec::new();
        };
        book.reclaim(now);
        let mut lent = Vec::new();
        while lent.len() < max {
            let Some((position, entry)) = book.lease(self.fence + 1, until, now) else {
                break;
            };
            self.fence += 1;
            let (lane, task) = (lane.clone(), entry.id.to_string());
            lent.push(Lent {
                token: LeaseToken { lane, task, position, fence: self.fence },
                entry,
            });
        }
        lent
    }

    /// The task that `lease` holds.
    ///
    /// # Errors
    ///
    /// `Conflict` if the token is stale.
    pub fn held(&self, lease: &LeaseToken) -> Result<&Entry<P>> {
        let book = self.lanes.get(&lease.lane);
        let entry = book.and_then(|book| book.held(lease.position, lease.fence));
        entry.filter(|entry| *entry.id == *lease.task).ok_or_else(|| stale(lease))
    }

    /// Holds a leased task until `until`.
    ///
    /// # Errors
    ///
    /// `Conflict` if the token is stale.
    pub fn extend(&mut self, lease: &LeaseToken, until: Timestamp) -> Result<()> {
        self.held(lease)?;
        if let Some(book) = self.lanes.get_mut(&lease.lane) {
            book.extend(lease.position, until);
        }
        Ok(())
    }

    /// Ends a lease; gives the task's payload if the task is over.
    ///
    /// # Errors
    ///
    /// `Conflict` if the token is stale.
    pub fn settle(&mut self, lease: &LeaseToken, verdict: Verdict) -> Result<Option<P>> {
        self.held(lease)?;
        Ok(self.conclude(&lease.lane, lease.position, verdict))
    }

    /// What a settlement does, whoever holds the task: for a driver that reads its log again.
    pub fn conclude(&mut self, lane: &Lane, position: u64, verdict: Verdict) -> Option<P> {
        let book = self.lanes.get_mut(lane)?;
        match verdict {
            Verdict::Done => self.remove(lane, position).map(|entry| entry.payload),
            Verdict::Retry { at, note } => {
                book.release(position, at.max(self.latest), boxed(note));
                None
            }
            Verdict::Bury { reason, note } => {
                book.bury(position, reason, boxed(note));
                None
            }
        }
    }

    /// Removes a task that nobody holds at `now`.
    pub fn cancel(&mut self, lane: &Lane, id: &str, now: Timestamp) -> (Cancelled, Option<P>) {
        if let Some(book) = self.lanes.get_mut(lane) {
            book.reclaim(now);
        }
        let Some((position, _)) = self.get(lane.as_str(), id) else {
            return (Cancelled::Absent, None);
        };
        if self.is_held(lane.as_str(), position) {
            return (Cancelled::Held, None);
        }
        (Cancelled::Removed, self.remove(lane, position).map(|entry| entry.payload))
    }

    /// Whether a task of the lane can be leased.
    pub fn visible(&mut self, lane: &str, now: Timestamp) -> Visible {
        self.lanes.get_mut(lane).map_or(Visible::Never, |book| book.visible(now))
    }

    /// What the lane holds.
    pub fn depth(&mut self, lane: &str, now: Timestamp) -> LaneDepth {
        self.lanes.get_mut(lane).map(|book| book.depth(now)).unwrap_or_default()
    }

    /// At most `max` lanes with tasks, in byte order behind `after`.
    pub fn lanes(&self, after: Option<&str>, max: usize) -> Vec<Lane> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.lanes.range::<str, _>((start, Bound::Unbounded));
        behind.map(|(lane, _)| lane.clone()).take(max).collect()
    }

    /// At most `max` tasks at `place`, with their positions, behind position `after`.
    pub fn list(
        &mut self,
        lane: &str,
        place: Place,
        after: Option<u64>,
        max: usize,
        now: Timestamp,
    ) -> Vec<(u64, Entry<P>)> {
        let Some(book) = self.lanes.get_mut(lane) else {
            return Vec::new();
        };
        book.reclaim(now);
        book.list(place, after, max)
    }

    /// Positions of the dead letters that a redrive means: the one of this id, or all.
    pub fn buried(&self, lane: &str, id: Option<&str>) -> Vec<u64> {
        let Some(book) = self.lanes.get(lane) else {
            return Vec::new();
        };
        let Some(id) = id else {
            return book.buried().collect();
        };
        let found = self.get(lane, id).map(|(position, _)| position);
        found.into_iter().filter(|at| book.is_buried(*at)).collect()
    }

    /// Lets a dead letter wait again.
    pub fn revive(&mut self, lane: &Lane, position: u64, at: Timestamp, note: Bytes) -> bool {
        let at = at.max(self.latest);
        self.lanes.get_mut(lane).is_some_and(|book| book.revive(position, at, boxed(note)))
    }

    /// Positions of all waiting tasks or dead letters at `now`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for leased tasks.
    pub fn purgeable(&mut self, lane: &str, place: Place, now: Timestamp) -> Result<Vec<u64>> {
        if place == Place::Leased {
            return Err(Error::invalid("place", "leased tasks cannot be purged"));
        }
        let Some(book) = self.lanes.get_mut(lane) else {
            return Ok(Vec::new());
        };
        book.reclaim(now);
        Ok(match place {
            Place::Buried => book.buried().collect(),
            Place::Waiting | Place::Leased => book.waiting().collect(),
        })
    }

    /// Removes the task at a position.
    pub fn remove(&mut self, lane: &Lane, position: u64) -> Option<Entry<P>> {
        let book = self.lanes.get_mut(lane)?;
        let removed = book.remove(position)?;
        if book.len() == 0 {
            self.lanes.remove(lane);
        }
        self.len -= 1;
        self.ids.remove(self.hash(lane.as_str(), &removed.id), position);
        Some(removed)
    }

    /// Changes where a task's payload is.
    pub fn relocate(&mut self, lane: &str, position: u64, payload: P) {
        if let Some(book) = self.lanes.get_mut(lane) {
            book.relocate(position, payload);
        }
    }

    /// Never uses this position again, nor any below it.
    pub fn begin_above(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// Whether somebody holds the task at a position, or did when the lane was last looked at.
    pub fn is_held(&self, lane: &str, position: u64) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_leased(position))
    }

    /// Sets a task apart, so that nobody can lease it and no lease of it ends, while what becomes of it
    /// is being written: until it is concluded, removed, or [`Book::rejoin`]ed with what this gives.
    pub fn set_apart(&mut self, lane: &str, position: u64) -> Option<Apart> {
        self.lanes.get_mut(lane)?.set_apart(position)
    }

    /// Puts a task that was set apart back to where it stood.
    pub fn rejoin(&mut self, lane: &str, position: u64, apart: Apart) {
        if let Some(book) = self.lanes.get_mut(lane) {
            book.rejoin(position, apart);
        }
    }

    /// Lets a task have been leased at least this often: for a driver that reads its log again.
    pub fn count_leases(&mut self, lane: &str, position: u64, leases: u32) {
        if let Some(book) = self.lanes.get_mut(lane) {
            book.count_leases(position, leases);
        }
    }
}

/// What is kept of a note: no more than its bytes.
fn boxed(note: Bytes) -> Box<[u8]> {
    Vec::from(note).into_boxed_slice()
}

/// The error of a token that holds nothing.
pub fn stale(lease: &LeaseToken) -> Error {
    let LeaseToken { lane, task, fence, .. } = lease;
    let what = format!("lease {fence} of task '{task}' in lane '{lane}' holds it no more");
    Error::new(ErrorKind::Conflict, what)
}
