//! The tasks of one lane.

mod facts;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use fc_core::Timestamp;
use fc_core::port::queue::{LaneDepth, NewTask, Place};

pub use facts::Standing;

/// A task as its lane keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<P> {
    /// Its id.
    pub id: Box<str>,
    /// Where its payload is.
    pub payload: P,
    /// What is known of it; empty: nothing.
    pub note: Box<[u8]>,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// From when on it can be leased: not before it was pushed.
    pub visible_at: Timestamp,
    /// How often it was leased.
    pub leases: u32,
    /// Why it was buried, if it was.
    pub reason: Option<Box<str>>,
    /// The last lease, if it was not settled. Few tasks have one, so it is elsewhere.
    lease: Option<Box<Lease>>,
}

/// A lease that may still be settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Lease {
    fence: u64,
    /// Until when it holds the task; `None`: it has ended.
    until: Option<Timestamp>,
}

impl<P> Entry<P> {
    /// The last lease that was not settled; 0: none.
    fn fence(&self) -> u64 {
        self.lease.as_deref().map_or(0, |lease| lease.fence)
    }

    /// Until when that lease holds the task; `None`: nobody does.
    fn held_until(&self) -> Option<Timestamp> {
        self.lease.as_deref().and_then(|lease| lease.until)
    }

    fn set_lease(&mut self, fence: u64, until: Option<Timestamp>) {
        let is_one = fence != 0 || until.is_some();
        self.lease = is_one.then(|| Box::new(Lease { fence, until }));
    }

    /// The same lease, which holds the task until then.
    fn set_held_until(&mut self, until: Option<Timestamp>) {
        match self.lease.as_deref_mut() {
            Some(lease) => lease.until = until,
            None => self.set_lease(0, until),
        }
    }
}

/// Where a task stood that was set apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Apart {
    /// It waited.
    Waiting,
    /// It was held until then.
    Held(Timestamp),
    /// It was a dead letter.
    Buried,
}

/// When a lane's next task can be leased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visible {
    /// Now.
    Now,
    /// At this time, if nothing changes.
    At(Timestamp),
    /// There is none.
    Never,
}

/// The tasks of one lane by position; beside them, what finds the next without a search.
#[derive(Debug)]
pub(super) struct LaneBook<P> {
    /// Boxed: half of the places in a tree that grows at its end are empty.
    tasks: BTreeMap<u64, Box<Entry<P>>>,
    /// Those that wait, in the order in which they are leased.
    due: BTreeSet<(Timestamp, u64)>,
    /// The same in the order of pushes.
    waiting: BTreeSet<u64>,
    /// Those that are held, by the end of their lease.
    leased: BTreeSet<(Timestamp, u64)>,
    /// Dead letters.
    buried: BTreeSet<u64>,
}

impl<P> Default for LaneBook<P> {
    fn default() -> Self {
        Self {
            tasks: BTreeMap::new(),
            due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            leased: BTreeSet::new(),
            buried: BTreeSet::new(),
        }
    }
}

impl<P: Clone> LaneBook<P> {
    pub(super) fn len(&self) -> u64 {
        self.tasks.len() as u64
    }

    pub(super) fn entry(&self, position: u64) -> Option<&Entry<P>> {
        self.tasks.get(&position).map(|entry| &**entry)
    }

    pub(super) fn is_leased(&self, position: u64) -> bool {
        self.entry(position).is_some_and(|entry| entry.held_until().is_some())
    }

    pub(super) fn is_buried(&self, position: u64) -> bool {
        self.buried.contains(&position)
    }

    pub(super) fn buried(&self) -> impl Iterator<Item = u64> {
        self.buried.iter().copied()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().copied()
    }

    /// Adds a task whose id the lane does not have.
    pub(super) fn push(&mut self, position: u64, task: NewTask, payload: P, now: Timestamp) {
        let visible_at = task.visible_at.max(now);
        self.due.insert((visible_at, position));
        self.waiting.insert(position);
        let entry = Entry {
            id: task.id.into(),
            payload,
            note: super::boxed(task.note),
            pushed_at: now,
            visible_at,
            leases: 0,
            reason: None,
            lease: None,
        };
        self.tasks.insert(position, Box::new(entry));
    }

    /// The next task, if it is visible among those that were reclaimed.
    pub(super) fn lease(
        &mut self,
        fence: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<(u64, Entry<P>)> {
        let &(visible_at, position) = self.due.first()?;
        if visible_at > now {
            return None;
        }
        self.due.pop_first();
        self.waiting.remove(&position);
        self.leased.insert((until, position));
        let entry = self.tasks.get_mut(&position)?;
        entry.leases = entry.leases.saturating_add(1);
        let lent = Entry::clone(entry);
        entry.set_lease(fence, Some(until));
        Some((position, lent))
    }

    /// The task, if its last lease that was not settled is this one.
    pub(super) fn held(&self, position: u64, fence: u64) -> Option<&Entry<P>> {
        self.entry(position).filter(|entry| entry.fence() == fence && fence != 0)
    }

    pub(super) fn extend(&mut self, position: u64, until: Timestamp) {
        self.unplace(position);
        if let Some(entry) = self.tasks.get_mut(&position) {
            entry.set_held_until(Some(until));
            self.leased.insert((until, position));
        }
    }

    pub(super) fn release(&mut self, position: u64, at: Timestamp, note: Box<[u8]>) {
        self.unplace(position);
        if let Some(entry) = self.tasks.get_mut(&position) {
            entry.lease = None;
            entry.visible_at = at;
            entry.note = note;
            self.due.insert((at, position));
            self.waiting.insert(position);
        }
    }

    pub(super) fn bury(&mut self, position: u64, reason: String, note: Box<[u8]>) {
        self.unplace(position);
        if let Some(entry) = self.tasks.get_mut(&position) {
            entry.lease = None;
            entry.reason = Some(reason.into());
            entry.note = note;
            self.buried.insert(position);
        }
    }

    pub(super) fn revive(&mut self, position: u64, at: Timestamp, note: Box<[u8]>) -> bool {
        let is_buried = self.buried.contains(&position);
        if is_buried {
            self.release(position, at, note);
            if let Some(entry) = self.tasks.get_mut(&position) {
                entry.reason = None;
            }
        }
        is_buried
    }

    pub(super) fn remove(&mut self, position: u64) -> Option<Entry<P>> {
        self.unplace(position);
        self.tasks.remove(&position).map(|removed| *removed)
    }

    pub(super) fn relocate(&mut self, position: u64, payload: P) {
        if let Some(entry) = self.tasks.get_mut(&position) {
            entry.payload = payload;
        }
    }

    pub(super) fn set_apart(&mut self, position: u64) -> Option<Apart> {
        let is_buried = self.buried.contains(&position);
        let apart = match self.tasks.get(&position)?.held_until() {
            Some(until) => Apart::Held(until),
            None if is_buried => Apart::Buried,
            None => Apart::Waiting,
        };
        self.unplace(position);
        Some(apart)
    }

    pub(super) fn rejoin(&mut self, position: u64, apart: Apart) {
        let Some(entry) = self.tasks.get_mut(&position) else {
            return;
        };
        match apart {
            Apart::Held(until) => {
                entry.set_held_until(Some(until));
                self.leased.insert((until, position));
            }
            Apart::Buried => _ = self.buried.insert(position),
            Apart::Waiting => {
                self.due.insert((entry.visible_at, position));
                self.waiting.insert(position);
            }
        }
    }

    pub(super) fn count_leases(&mut self, position: u64, leases: u32) {
        if let Some(entry) = self.tasks.get_mut(&position) {
            entry.leases = entry.leases.max(leases);
        }
    }

    /// Takes a task out of whatever says where it stands.
    fn unplace(&mut self, position: u64) {
        if let Some(entry) = self.tasks.get_mut(&position) {
            match entry.held_until() {
                Some(until) => {
                    entry.set_held_until(None);
                    self.leased.remove(&(until, position));
                }
                None => {
                    _ = self.due.remove(&(entry.visible_at, position));
                    self.waiting.remove(&position);
                    self.buried.remove(&position);
                }
            }
        }
    }

    /// Lets tasks wait again whose leases have ended. Their tokens stay good until somebody leases
    /// them.
    pub(super) fn reclaim(&mut self, now: Timestamp) {
        while let Some(&(until, position)) = self.leased.first()
            && until <= now
        {
            self.leased.pop_first();
            if let Some(entry) = self.tasks.get_mut(&position) {
                entry.set_held_until(None);
                self.due.insert((entry.visible_at, position));
                self.waiting.insert(position);
            }
        }
    }

    pub(super) fn visible(&mut self, now: Timestamp) -> Visible {
        self.reclaim(now);
        let next = |set: &BTreeSet<(Timestamp, u64)>| set.first().map(|(at, _)| *at);
        match (next(&self.due), next(&self.leased)) {
            (Some(at), _) if at <= now => Visible::Now,
            (Some(at), Some(end)) => Visible::At(at.min(end)),
            (Some(at), None) | (None, Some(at)) => Visible::At(at),
            (None, None) => Visible::Never,
        }
    }

    pub(super) fn depth(&mut self, now: Timestamp) -> LaneDepth {
        self.reclaim(now);
        let oldest = self.waiting.first().and_then(|at| self.tasks.get(at));
        LaneDepth {
            waiting: self.waiting.len() as u64,
            leased: self.leased.len() as u64,
            buried: self.buried.len() as u64,
            oldest: oldest.map(|entry| entry.pushed_at),
        }
    }

    pub(super) fn list(
        &self,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Vec<(u64, Entry<P>)> {
        let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let listed = |at: &u64| self.entry(*at).map(|entry| (*at, entry.clone()));
        match place {
            Place::Waiting => self.waiting.range(behind).filter_map(listed).take(max).collect(),
            Place::Buried => self.buried.range(behind).filter_map(listed).take(max).collect(),
            Place::Leased => {
                let mut held: Vec<u64> = self.leased.iter().map(|(_, at)| *at).collect();
                held.retain(|at| after.is_none_or(|after| *at > after));
                held.sort_unstable();
                held.iter().filter_map(listed).take(max).collect()
            }
        }
    }
}
