//! A book as simple as can be.

use std::collections::BTreeSet;

use fc_core::Timestamp;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, NewTask, Place, Pushed, Verdict,
};

use super::super::{Entry, Visible};

struct Task {
    position: u64,
    lane: Lane,
    id: String,
    payload: u64,
    note: String,
    pushed_at: Timestamp,
    visible_at: Timestamp,
    leases: u32,
    reason: Option<String>,
    /// The lease that may settle it, and until when it holds it.
    lease: Option<(u64, Timestamp)>,
}

impl Task {
    fn place(&self, now: Timestamp) -> Place {
        match self.lease {
            _ if self.reason.is_some() => Place::Buried,
            Some((_, until)) if until > now => Place::Leased,
            _ => Place::Waiting,
        }
    }
}

/// All tasks, in the order of their pushes.
#[derive(Default)]
pub(super) struct Model {
    tasks: Vec<Task>,
    latest: Timestamp,
}

impl Model {
    fn find(&mut self, lane: &Lane, id: &str) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.lane == *lane && task.id == id)
    }

    fn held(&mut self, token: &LeaseToken) -> Option<&mut Task> {
        let is_it = |task: &&mut Task| task.lease.is_some_and(|(fence, _)| fence == token.fence);
        self.tasks.iter_mut().find(is_it)
    }

    fn of<'m>(&'m self, lane: &'m Lane) -> impl Iterator<Item = &'m Task> {
        self.tasks.iter().filter(move |task| task.lane == *lane)
    }

    pub(super) fn push(
        &mut self,
        position: u64,
        lane: &Lane,
        new: &NewTask,
        payload: u64,
        now: Timestamp,
    ) -> Pushed {
        self.latest = now;
        if self.find(lane, &new.id).is_some() {
            return Pushed::Known;
        }
        self.tasks.push(Task {
            position,
            lane: lane.clone(),
            id: new.id.clone(),
            payload,
            note: String::from_utf8(new.note.to_vec()).unwrap(),
            pushed_at: now,
            visible_at: new.visible_at.max(now),
            leases: 0,
            reason: None,
            lease: None,
        });
        Pushed::New
    }

    /// Positions in the order of the leases; [`Self::note_fence`] tells their fences.
    pub(super) fn lease(
        &mut self,
        lane: &Lane,
        max: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Vec<u64> {
        self.latest = now;
        let mut due: Vec<_> = self
            .of(lane)
            .filter(|task| task.place(now) == Place::Waiting && task.visible_at <= now)
            .map(|task| (task.visible_at, task.position))
            .collect();
        due.sort_unstable();
        due.truncate(max);
        let positions: Vec<_> = due.into_iter().map(|(_, position)| position).collect();
        for task in &mut self.tasks {
            if positions.contains(&task.position) {
                task.leases += 1;
                task.lease = Some((0, until));
            }
        }
        positions
    }

    pub(super) fn note_fence(&mut self, position: u64, fence: u64) {
        let task = self.tasks.iter_mut().find(|task| task.position == position).unwrap();
        task.lease = task.lease.map(|(_, until)| (fence, until));
    }

    pub(super) fn extend(&mut self, token: &LeaseToken, until: Timestamp) -> bool {
        let held = self.held(token);
        held.map(|task| task.lease = Some((token.fence, until))).is_some()
    }

    /// `None` for a stale token; the payload of what is over.
    pub(super) fn settle(&mut self, token: &LeaseToken, verdict: &Verdict) -> Option<Option<u64>> {
        let latest = self.latest;
        let task = self.held(token)?;
        let text = |note: &[u8]| String::from_utf8(note.to_vec()).unwrap();
        task.lease = None;
        match verdict {
            Verdict::Done => {
                let position = task.position;
                return Some(self.remove(position));
            }
            Verdict::Retry { at, note } => {
                task.visible_at = (*at).max(latest);
                task.note = text(note);
            }
            Verdict::Bury { reason, note } => {
                task.reason = Some(reason.clone());
                task.note = text(note);
            }
        }
        Some(None)
    }

    pub(super) fn cancel(
        &mut self,
        lane: &Lane,
        id: &str,
        now: Timestamp,
    ) -> (Cancelled, Option<u64>) {
        match self.find(lane, id) {
            None => (Cancelled::Absent, None),
            Some(task) if task.place(now) == Place::Leased => (Cancelled::Held, None),
            Some(task) => {
                let position = task.position;
                (Cancelled::Removed, self.remove(position))
            }
        }
    }

    pub(super) fn remove(&mut self, position: u64) -> Option<u64> {
        let index = self.tasks.iter().position(|task| task.position == position)?;
        Some(self.tasks.remove(index).payload)
    }

    pub(super) fn buried(&self, lane: &Lane, id: Option<&str>) -> Vec<u64> {
        let meant = |task: &&Task| task.reason.is_some() && id.is_none_or(|id| task.id == id);
        self.of(lane).filter(meant).map(|task| task.position).collect()
    }

    pub(super) fn revive(&mut self, position: u64, at: Timestamp, note: &str) {
        let task = self.tasks.iter_mut().find(|task| task.position == position).unwrap();
        task.reason = None;
        task.visible_at = at.max(self.latest);
        task.note = note.to_owned();
    }

    pub(super) fn len(&self) -> u64 {
        self.tasks.len() as u64
    }

    pub(super) fn lanes(&self) -> Vec<Lane> {
        let lanes: BTreeSet<_> = self.tasks.iter().map(|task| task.lane.clone()).collect();
        lanes.into_iter().collect()
    }

    pub(super) fn knows(&self, lane: &Lane, id: &str) -> bool {
        self.of(lane).any(|task| task.id == id)
    }

    pub(super) fn at(&self, lane: &Lane, place: Place, now: Timestamp) -> Vec<u64> {
        let there = self.of(lane).filter(|task| task.place(now) == place);
        there.map(|task| task.position).collect()
    }

    pub(super) fn depth(&self, lane: &Lane, now: Timestamp) -> LaneDepth {
        let count = |place| self.at(lane, place, now).len() as u64;
        let mut waiting = self.of(lane).filter(|task| task.place(now) == Place::Waiting);
        LaneDepth {
            waiting: count(Place::Waiting),
            leased: count(Place::Leased),
            buried: count(Place::Buried),
            oldest: waiting.next().map(|task| task.pushed_at),
        }
    }

    pub(super) fn visible(&self, lane: &Lane, now: Timestamp) -> Visible {
        let next = self.of(lane).filter_map(|task| match (task.place(now), task.lease) {
            (Place::Waiting, _) => Some(task.visible_at),
            (Place::Leased, Some((_, until))) => Some(until),
            _ => None,
        });
        match next.min() {
            None => Visible::Never,
            Some(at) if at <= now => Visible::Now,
            Some(at) => Visible::At(at),
        }
    }

    pub(super) fn shows(&self, position: u64, entry: &Entry<u64>) -> bool {
        self.tasks.iter().filter(|task| task.position == position).any(|task| {
            *entry.id == *task.id
                && entry.payload == task.payload
                && *entry.note == *task.note.as_bytes()
                && entry.pushed_at == task.pushed_at
                && entry.visible_at == task.visible_at
                && entry.leases == task.leases
                && entry.reason.as_deref() == task.reason.as_deref()
        })
    }
}
