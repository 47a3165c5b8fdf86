//! What the memory queue holds, and how much.

use std::collections::HashSet;

use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, FollowUp, Lane, LeaseToken, Leased, NewTask, Place, Pushed, Settlement, TaskView,
    Verdict,
};
use fc_core::{Error, ErrorKind, Result, Timestamp};

use super::waiting::{Waiting, Wakers};
use crate::core::book::{Book, Entry};

/// How much all lanes together may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) tasks_max: u64,
    pub(super) bytes_max: u64,
}

impl Room {
    fn check(self, tasks: u64, bytes: u64) -> Result<()> {
        let full = |field: &str, limit: u64, value: u64| {
            let what = format!("{field}: {value} is over the queue's limit of {limit}");
            Err(Error::new(ErrorKind::ResourceExhausted, what))
        };
        if tasks > self.tasks_max {
            return full("tasks", self.tasks_max, tasks);
        }
        if bytes > self.bytes_max {
            return full("bytes of all tasks", self.bytes_max, bytes);
        }
        Ok(())
    }
}

/// All tasks, and who waits for them.
pub(super) struct State {
    pub(super) book: Book<Bytes>,
    /// What [`weight`] gives for all tasks together.
    pub(super) bytes: u64,
    pub(super) waiting: Waiting,
}

impl Default for State {
    fn default() -> Self {
        Self { book: Book::new(0, 0), bytes: 0, waiting: Waiting::default() }
    }
}

impl State {
    pub(super) fn push(
        &mut self,
        room: Room,
        lane: &Lane,
        task: NewTask,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> Result<Pushed> {
        if !self.book.contains(lane.as_str(), &task.id) {
            room.check(self.book.len() + 1, self.bytes + weight_of_new(&task))?;
        }
        Ok(self.add(lane, task, now, wakers))
    }

    fn add(&mut self, lane: &Lane, task: NewTask, now: Timestamp, wakers: &mut Wakers) -> Pushed {
        let bytes = weight_of_new(&task);
        // A copy: a slice would keep all of a larger buffer.
        let payload = Bytes::copy_from_slice(&task.payload);
        let pushed = self.book.push(lane, task, payload, now);
        if pushed == Pushed::New {
            self.bytes += bytes;
            self.waiting.wake(lane, wakers);
        }
        pushed
    }

    pub(super) fn lease(
        &mut self,
        lane: &Lane,
        max: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Vec<Leased> {
        let lent = self.book.lease(lane, max, until, now).into_iter();
        lent.map(|lent| Leased {
            token: lent.token,
            payload: lent.entry.payload,
            note: Bytes::from(lent.entry.note),
            leases_before: lent.entry.leases - 1,
            pushed_at: lent.entry.pushed_at,
            visible_at: lent.entry.visible_at,
        })
        .collect()
    }

    pub(super) fn extend(
        &mut self,
        lease: &LeaseToken,
        until: Timestamp,
        wakers: &mut Wakers,
    ) -> Result<()> {
        self.book.extend(lease, until)?;
        // It may end earlier than before.
        self.waiting.wake(&lease.lane, wakers);
        Ok(())
    }

    /// All of a settlement that was checked, or nothing.
    pub(super) fn settle(
        &mut self,
        room: Room,
        lease: &LeaseToken,
        settlement: Settlement,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> Result<()> {
        let Settlement { verdict, follow_ups } = settlement;
        let held = weight(self.book.held(lease)?);
        let done = verdict == Verdict::Done;
        let (tasks, bytes) = self.new_of(&follow_ups);
        if tasks > 0 {
            let left = if done { (1, held) } else { (0, 0) };
            room.check(self.book.len() + tasks - left.0, self.bytes + bytes - left.1)?;
        }
        // First, as in queues that do not do all at once: an id is known until its task is over.
        for FollowUp { lane, task } in follow_ups {
            self.add(&lane, task, now, wakers);
        }
        let retried = matches!(verdict, Verdict::Retry { .. });
        self.book.settle(lease, verdict)?;
        let is = self.book.entry(lease.lane.as_str(), lease.position).map_or(0, weight);
        self.bytes = self.bytes - held + is;
        if retried {
            self.waiting.wake(&lease.lane, wakers);
        }
        Ok(())
    }

    /// How many of the follow-ups are new tasks, and their bytes.
    fn new_of(&self, follow_ups: &[FollowUp]) -> (u64, u64) {
        let mut seen = HashSet::new();
        let mut sum = (0, 0);
        for FollowUp { lane, task } in follow_ups {
            if !self.book.contains(lane.as_str(), &task.id) && seen.insert((lane, &task.id)) {
                sum = (sum.0 + 1, sum.1 + weight_of_new(task));
            }
        }
        sum
    }

    pub(super) fn cancel(&mut self, lane: &Lane, id: &str, now: Timestamp) -> Cancelled {
        let bytes = self.book.get(lane.as_str(), id).map_or(0, |(_, entry)| weight(entry));
        let (cancelled, _) = self.book.cancel(lane, id, now);
        if cancelled == Cancelled::Removed {
            self.bytes -= bytes;
        }
        cancelled
    }

    pub(super) fn list(
        &mut self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
        now: Timestamp,
    ) -> Vec<TaskView> {
        let listed = self.book.list(lane.as_str(), place, after, max, now).into_iter();
        listed
            .map(|(position, entry)| TaskView {
                position,
                id: entry.id.into(),
                payload: entry.payload,
                note: Bytes::from(entry.note),
                pushed_at: entry.pushed_at,
                visible_at: entry.visible_at,
                leases: entry.leases,
                reason: entry.reason.map(String::from),
            })
            .collect()
    }

    pub(super) fn redrive(
        &mut self,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: &Bytes,
        wakers: &mut Wakers,
    ) -> u64 {
        let positions = self.book.buried(lane.as_str(), id);
        for position in &positions {
            let of = |book: &Book<Bytes>| book.entry(lane.as_str(), *position).map_or(0, weight);
            let was = of(&self.book);
            self.book.revive(lane, *position, at, note.clone());
            self.bytes = self.bytes - was + of(&self.book);
        }
        if !positions.is_empty() {
            self.waiting.wake(lane, wakers);
        }
        positions.len() as u64
    }

    pub(super) fn purge(&mut self, lane: &Lane, place: Place, now: Timestamp) -> Result<u64> {
        let positions = self.book.purgeable(lane.as_str(), place, now)?;
        for position in &positions {
            let removed = self.book.remove(lane, *position);
            self.bytes -= removed.as_ref().map_or(0, weight);
        }
        Ok(positions.len() as u64)
    }
}

fn weight(entry: &Entry<Bytes>) -> u64 {
    let reason = entry.reason.as_ref().map_or(0, |reason| reason.len());
    (entry.id.len() + entry.payload.len() + entry.note.len() + reason) as u64
}

fn weight_of_new(task: &NewTask) -> u64 {
    (task.id.len() + task.payload.len() + task.note.len()) as u64
}
