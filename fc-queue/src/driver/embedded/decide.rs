//! What a command comes to, given what is durable and what is being written: pure.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LeaseToken, NewTask, Place, Pushed, Settlement, Verdict,
};
use fc_core::{Error, ErrorKind, Result, Timestamp};

use super::command::{Answer, Op, Which};
use super::log::record::{Record, Task};
use super::state::State;
use crate::core::book::AsIs;

/// Tasks that one record moves at most.
pub(super) const CHUNK: usize = 8192;

/// A task that is being pushed.
#[derive(Debug)]
pub(super) struct Push {
    pub lane: Lane,
    pub position: u64,
    pub pushed_at: Timestamp,
    pub task: NewTask,
}

/// A change that is to be written.
#[derive(Debug)]
pub(super) enum Change {
    Push(Push),
    Settle { lane: Lane, position: u64, leases: u32, verdict: Verdict, follow_ups: Vec<Push> },
    Remove { lane: Lane, positions: Vec<u64> },
    Revive { lane: Lane, at: Timestamp, note: Bytes, positions: Vec<u64> },
}

/// What a command comes to.
#[derive(Debug)]
pub(super) enum Decided {
    /// It is answered: nothing changes.
    Now(Result<Answer>),
    /// It changes something.
    Write(Change, Answer),
    /// It meets another change of the same frame, and has to see that first.
    Later(Op),
}

/// Decides the commands of one frame, one after another. No two of them meet the same task, so that
/// each is decided by what is durable.
#[derive(Debug)]
pub(super) struct Decide {
    /// Tasks that are changed, by the hash of lane and id.
    tasks: HashSet<u64, AsIs>,
    /// Lanes with such a task.
    lanes: HashSet<u64, AsIs>,
    /// Lanes that are changed as a whole.
    whole: HashSet<u64, AsIs>,
    hasher: RandomState,
    /// Pushes that are to be refused, and why.
    pub refuse_pushes: Option<Error>,
    pub tasks_max: u64,
    /// The last position that was used.
    pub position: u64,
    pushes: u64,
}

impl Decide {
    pub(super) fn new(position: u64, tasks_max: u64) -> Self {
        Self {
            tasks: HashSet::default(),
            lanes: HashSet::default(),
            whole: HashSet::default(),
            hasher: RandomState::new(),
            refuse_pushes: None,
            tasks_max,
            position,
            pushes: 0,
        }
    }

    /// Before the first command of the next frame.
    pub(super) fn clear(&mut self) {
        self.tasks.clear();
        self.lanes.clear();
        self.whole.clear();
        self.refuse_pushes = None;
        self.pushes = 0;
    }

    /// Decides one command. What it is to change is set apart in `state` until it is written.
    pub(super) fn decide(&mut self, state: &mut State, op: Op, now: Timestamp) -> Decided {
        if self.meets(&op) {
            return Decided::Later(op);
        }
        let decided = match op {
            Op::Push { lane, task } => self.push(state, lane, task, now),
            Op::Settle { lease, settlement } => self.settle(state, lease, settlement, now),
            Op::Cancel { lane, id } => self.cancel(state, lane, &id, now),
            Op::Redrive { lane, which, at, note } => {
                self.redrive(state, lane, which, at.max(now), note)
            }
            Op::Purge { lane, place, which } => self.purge(state, lane, place, &which, now),
            Op::Turn => Ok(Decided::Now(Ok(Answer::Turned))),
        };
        decided.unwrap_or_else(|error| Decided::Now(Err(error)))
    }

    fn push(
        &mut self,
        state: &State,
        lane: Lane,
        task: NewTask,
        now: Timestamp,
    ) -> Result<Decided> {
        if state.book.contains(lane.as_str(), &task.id) {
            return Ok(Decided::Now(Ok(Answer::Pushed(Pushed::Known))));
        }
        self.room_for(state, 1)?;
        self.touch(&lane, &task.id);
        let push = self.place(lane, task, now);
        Ok(Decided::Write(Change::Push(push), Answer::Pushed(Pushed::New)))
    }

    fn settle(
        &mut self,
        state: &mut State,
        lease: LeaseToken,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Decided> {
        let leases = state.book.held(&lease)?.leases;
        let mut follow_ups = Vec::new();
        // Its own task is touched first, so that a follow-up of the same name is known.
        self.touch(&lease.lane, &lease.task);
        for follow_up in settlement.follow_ups {
            let is_known = state.book.contains(follow_up.lane.as_str(), &follow_up.task.id);
            if !is_known && self.touch(&follow_up.lane, &follow_up.task.id) {
                follow_ups.push(self.place(follow_up.lane, follow_up.task, now));
            }
        }
        let verdict = match settlement.verdict {
            Verdict::Retry { at, note } => Verdict::Retry { at: at.max(now), note },
            other => other,
        };
        let (lane, position) = (lease.lane, lease.position);
        state.set_apart(&lane, position);
        let change = Change::Settle { lane, position, leases, verdict, follow_ups };
        Ok(Decided::Write(change, Answer::Settled))
    }

    fn cancel(
        &mut self,
        state: &mut State,
        lane: Lane,
        id: &str,
        now: Timestamp,
    ) -> Result<Decided> {
        let found = |cancelled| Ok(Decided::Now(Ok(Answer::Cancelled(cancelled))));
        // Leases that have ended hold nothing.
        state.book.visible(lane.as_str(), now);
        let Some((position, _)) = state.book.get(lane.as_str(), id) else {
            return found(Cancelled::Absent);
        };
        if state.book.is_held(lane.as_str(), position) {
            return found(Cancelled::Held);
        }
        self.touch(&lane, id);
        state.set_apart(&lane, position);
        let change = Change::Remove { lane, positions: vec![position] };
        Ok(Decided::Write(change, Answer::Cancelled(Cancelled::Removed)))
    }

    fn redrive(
        &mut self,
        state: &mut State,
        lane: Lane,
        which: Which,
        at: Timestamp,
        note: Bytes,
    ) -> Result<Decided> {
        let (positions, next) = match which {
            Which::Id(id) => {
                self.touch(&lane, &id);
                (state.book.buried(lane.as_str(), Some(&id)), None)
            }
            Which::Behind { after, up_to } => {
                self.chunk(state, &lane, Place::Buried, after, up_to, at)
            }
        };
        let moved = Answer::Moved { count: positions.len() as u64, next };
        if positions.is_empty() {
            return Ok(Decided::Now(Ok(moved)));
        }
        Ok(Decided::Write(Change::Revive { lane, at, note, positions }, moved))
    }

    fn purge(
        &mut self,
        state: &mut State,
        lane: Lane,
        place: Place,
        which: &Which,
        now: Timestamp,
    ) -> Result<Decided> {
        let (after, up_to) = match which {
            Which::Behind { after, up_to } => (*after, *up_to),
            Which::Id(_) => return Err(Error::internal("a purge means all tasks of a place")),
        };
        let (positions, next) = self.chunk(state, &lane, place, after, up_to, now);
        let moved = Answer::Moved { count: positions.len() as u64, next };
        if positions.is_empty() {
            return Ok(Decided::Now(Ok(moved)));
        }
        positions.iter().for_each(|position| state.set_apart(&lane, *position));
        Ok(Decided::Write(Change::Remove { lane, positions }, moved))
    }

    /// The next tasks of a lane at `place`.
    fn chunk(
        &mut self,
        state: &mut State,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        up_to: u64,
        now: Timestamp,
    ) -> (Vec<u64>, Option<u64>) {
        let hash = self.hash(lane.as_str());
        self.whole.insert(hash);
        self.lanes.insert(hash);
        let listed = state.book.list(lane.as_str(), place, after, CHUNK, now);
        let next = (listed.len() == CHUNK).then(|| listed.last().map(|(position, _)| *position));
        let positions = listed.into_iter().map(|(position, _)| position);
        (positions.filter(|position| *position <= up_to).collect(), next.flatten())
    }

    /// Gives a task its position and its earliest time.
    fn place(&mut self, lane: Lane, task: NewTask, now: Timestamp) -> Push {
        self.position += 1;
        self.pushes += 1;
        let visible_at = task.visible_at.max(now);
        Push { lane, position: self.position, pushed_at: now, task: task.visible_at(visible_at) }
    }

    fn room_for(&self, state: &State, tasks: u64) -> Result<()> {
        if let Some(error) = &self.refuse_pushes {
            return Err(error.duplicate());
        }
        let held = state.book.len() + self.pushes;
        if held + tasks > self.tasks_max {
            let what = format!("the queue holds {held} tasks, and its limit is {}", self.tasks_max);
            return Err(Error::new(ErrorKind::ResourceExhausted, what));
        }
        Ok(())
    }

    fn meets(&self, op: &Op) -> bool {
        let one = |lane: &Lane, id: &str| {
            self.tasks.contains(&self.hash((lane.as_str(), id)))
                || (!self.whole.is_empty() && self.whole.contains(&self.hash(lane.as_str())))
        };
        match op {
            Op::Turn => false,
            Op::Push { lane, task } => one(lane, &task.id),
            Op::Settle { lease, settlement } => {
                let mut follow_ups = settlement.follow_ups.iter();
                one(&lease.lane, &lease.task)
                    || follow_ups.any(|follow_up| one(&follow_up.lane, &follow_up.task.id))
            }
            Op::Cancel { lane, id } | Op::Redrive { lane, which: Which::Id(id), .. } => {
                one(lane, id)
            }
            Op::Redrive { lane, .. } | Op::Purge { lane, .. } => {
                self.lanes.contains(&self.hash(lane.as_str()))
            }
        }
    }

    fn touch(&mut self, lane: &Lane, id: &str) -> bool {
        let lane_hash = self.hash(lane.as_str());
        self.lanes.insert(lane_hash);
        self.tasks.insert(self.hash((lane.as_str(), id)))
    }

    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}

impl Push {
    fn task(&self) -> Task<'_> {
        Task {
            lane: self.lane.as_str(),
            position: self.position,
            id: &self.task.id,
            pushed_at: self.pushed_at,
            visible_at: self.task.visible_at,
            leases: 0,
            reason: None,
            note: &self.task.note,
            payload: &self.task.payload,
        }
    }
}

impl Change {
    /// What the log says of it.
    pub(super) fn record(&self) -> Record<'_> {
        match self {
            Self::Push(push) => Record::Pushed(push.task()),
            Self::Settle { lane, position, leases, verdict, follow_ups } => Record::Settled {
                lane: lane.as_str(),
                position: *position,
                leases: *leases,
                verdict: verdict.clone(),
                follow_ups: follow_ups.iter().map(Push::task).collect(),
            },
            Self::Remove { lane, positions } => {
                Record::Removed { lane: lane.as_str(), positions: positions.clone() }
            }
            Self::Revive { lane, at, note, positions } => {
                Record::Revived { lane: lane.as_str(), at: *at, note, positions: positions.clone() }
            }
        }
    }

    /// The tasks that it pushes, in the order of the record.
    pub(super) fn pushes(&self) -> impl Iterator<Item = &Push> {
        let pushes = match self {
            Self::Push(push) => std::slice::from_ref(push),
            Self::Settle { follow_ups, .. } => follow_ups,
            Self::Remove { .. } | Self::Revive { .. } => &[],
        };
        pushes.iter()
    }

    /// Puts back what was set apart: it could not be written.
    pub(super) fn undo(&self, state: &mut State) {
        match self {
            Self::Push(_) | Self::Revive { .. } => {}
            Self::Settle { lane, position, .. } => state.rejoin(lane, *position),
            Self::Remove { lane, positions } => {
                positions.iter().for_each(|position| state.rejoin(lane, *position));
            }
        }
    }

    /// Lanes in which a task may have become visible, done or undone.
    pub(super) fn lanes(&self) -> impl Iterator<Item = &Lane> {
        let (lane, follow_ups): (&Lane, &[Push]) = match self {
            Self::Push(push) => (&push.lane, &[]),
            Self::Settle { lane, follow_ups, .. } => (lane, follow_ups),
            Self::Remove { lane, .. } | Self::Revive { lane, .. } => (lane, &[]),
        };
        std::iter::once(lane).chain(follow_ups.iter().map(|push| &push.lane))
    }
}
