//! What the log says so far: the same in every process that has read as far.

use std::collections::BTreeMap;

use bytes::Bytes;
use fc_core::Timestamp;
use fc_core::port::queue::{Lane, NewTask, Place, Pushed, Verdict};

use crate::core::book::Book;

use super::fact::{Batch, Carried, Fact};

/// Facts of a message, at most: a position is the message's sequence and the fact's place in it.
pub(super) const FACTS_MAX: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 12;

/// What a task takes in the log beside its payload, roughly.
const TASK_BYTES: u64 = 256;

/// Where a payload is: in the body of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub(super) sequence: u64,
    pub(super) offset: u32,
    pub(super) bytes: u32,
}

/// What became of a message that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// It is the next; in these lanes something may have become visible.
    Next(Vec<Lane>),
    /// It was read before.
    Old,
    /// Others come before it.
    Gap,
}

/// The state at the end of the log, as far as it was read.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) book: Book<Spot>,
    /// The last message that was read.
    applied: u64,
    /// The first message of the log, as far as it is known.
    pub(super) first: u64,
    /// Bytes of the log, roughly.
    pub(super) bytes: u64,
    /// The number of the last batch of `own`, and its message.
    own: u64,
    last_own: Option<(u64, u64)>,
    /// Tasks by the message that their payload is in: the log is needed from the first on.
    bases: BTreeMap<(u64, u64), Lane>,
    /// What a log of nothing but these tasks would take, roughly.
    live_bytes: u64,
}

impl Ledger {
    /// Nothing read behind message `applied`; batches of writer `own` are noted.
    pub(super) fn new(applied: u64, own: u64) -> Self {
        Self {
            book: Book::new(0, 0),
            applied,
            first: applied + 1,
            bytes: 0,
            own,
            last_own: None,
            bases: BTreeMap::new(),
            live_bytes: 0,
        }
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// The message that holds batch `number` of this process, if it was the last one read.
    pub(super) fn own(&self, number: u64) -> Option<u64> {
        self.last_own.filter(|(last, _)| *last == number).map(|(_, sequence)| sequence)
    }

    /// The messages of the log.
    pub(super) fn messages(&self) -> u64 {
        (self.applied + 1).saturating_sub(self.first)
    }

    /// Tasks.
    pub(super) fn live(&self) -> u64 {
        self.bases.len() as u64
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The first message that is needed; the last one always is.
    pub(super) fn needed(&self) -> u64 {
        let first = self.bases.first_key_value().map(|((sequence, _), _)| *sequence);
        first.unwrap_or(self.applied).min(self.applied)
    }

    /// The tasks that the beginning of the log is needed for, the first of it first.
    pub(super) fn rearmost(&self) -> impl Iterator<Item = (u64, &Lane)> {
        self.bases.iter().map(|((_, position), lane)| (*position, lane))
    }

    /// Message `sequence` is no batch: passes it over.
    pub(super) fn skip(&mut self, sequence: u64) {
        if sequence == self.applied + 1 {
            self.applied = sequence;
        }
    }

    /// Reads message `sequence`, which was written behind message `previous`.
    pub(super) fn read(&mut self, sequence: u64, previous: u64, bytes: u64, batch: &Batch) -> Read {
        if sequence <= self.applied {
            return Read::Old;
        }
        if previous != self.applied {
            return Read::Gap;
        }
        self.applied = sequence;
        self.bytes += bytes;
        if batch.writer == self.own {
            self.last_own = Some((batch.number, sequence));
        }
        let mut woken: Vec<Lane> = Vec::new();
        let mut offset = 0;
        for (place, fact) in batch.facts.iter().enumerate() {
            let position = position_of(sequence, place);
            offset += self.apply(sequence, position, offset, batch.at, fact);
            if wakes(fact) && !woken.contains(fact.lane()) {
                woken.push(fact.lane().clone());
            }
        }
        Read::Next(woken)
    }

    /// Gives the bytes of the fact's payload.
    fn apply(&mut self, sequence: u64, place: u64, offset: u32, at: Timestamp, fact: &Fact) -> u32 {
        match fact {
            Fact::Pushed { lane, id, note, visible_at, payload_bytes } => {
                let task = NewTask {
                    id: id.clone(),
                    payload: Bytes::new(),
                    note: note.clone(),
                    visible_at: *visible_at,
                };
                let spot = Spot { sequence, offset, bytes: *payload_bytes };
                if self.book.push_at(place, lane, task, spot, at) == Pushed::New {
                    self.keep(lane, place, spot);
                }
                return *payload_bytes;
            }
            Fact::Leased { lane, position, until } => {
                self.book.lend(lane.as_str(), *position, sequence, *until);
            }
            Fact::Extended { lane, position, until } => {
                self.book.prolong(lane.as_str(), *position, *until);
            }
            Fact::Ended { lane, position, verdict } => {
                if let Some(spot) = self.book.conclude(lane, *position, verdict.clone()) {
                    self.let_go(*position, spot);
                }
            }
            Fact::Revived { lane, position, at, note } => {
                self.book.revive(lane, *position, *at, note.clone());
            }
            Fact::Carried(task) => {
                let spot = Spot { sequence, offset, bytes: task.payload_bytes };
                self.carry(task, spot);
                return task.payload_bytes;
            }
        }
        0
    }

    fn carry(&mut self, task: &Carried, spot: Spot) {
        let (lane, position) = (&task.lane, task.position);
        if let Some((entry, _)) = self.book.stands(lane.as_str(), position) {
            let old = entry.payload;
            self.let_go(position, old);
        }
        let new = NewTask {
            id: task.id.clone(),
            payload: Bytes::new(),
            note: task.note.clone(),
            visible_at: task.visible_at,
        };
        let reason = task.reason.as_deref().map(Box::from);
        let rest = (task.standing, task.leases, reason);
        self.book.restore(lane, position, new, spot, task.pushed_at, rest);
        self.keep(lane, position, spot);
    }

    fn keep(&mut self, lane: &Lane, position: u64, spot: Spot) {
        self.bases.insert((spot.sequence, position), lane.clone());
        self.live_bytes += u64::from(spot.bytes) + TASK_BYTES;
    }

    fn let_go(&mut self, position: u64, spot: Spot) {
        if self.bases.remove(&(spot.sequence, position)).is_some() {
            self.live_bytes -= u64::from(spot.bytes) + TASK_BYTES;
        }
    }
}

/// Grows with the log, and with the place in a message.
pub(super) fn position_of(sequence: u64, place: usize) -> u64 {
    (sequence << PLACE_BITS) | (place as u64 & (FACTS_MAX as u64 - 1))
}

fn wakes(fact: &Fact) -> bool {
    match fact {
        // A lease may be made to end earlier.
        Fact::Pushed { .. } | Fact::Revived { .. } | Fact::Extended { .. } => true,
        Fact::Ended { verdict, .. } => matches!(verdict, Verdict::Retry { .. }),
        Fact::Carried(task) => task.standing.place == Place::Waiting,
        Fact::Leased { .. } => false,
    }
}
