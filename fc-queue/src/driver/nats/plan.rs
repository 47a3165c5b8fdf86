//! What is written next: pure decisions on what was asked, at one state of the log.

use std::collections::HashSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, NewTask, Place, Pushed, Settlement, Verdict,
};
use fc_core::{Error, ErrorKind, Result, Timestamp};

use crate::core::book::{Entry, Standing, Visible};

use super::fact::{Carried, Fact, begin};
use super::ledger::{FACTS_MAX, Ledger, Spot};

/// Something that is asked of the queue.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Push(Lane, NewTask),
    Lease(Lane, usize, Duration),
    Extend(LeaseToken, Duration),
    Settle(LeaseToken, Settlement),
    Cancel(Lane, String),
    Visible(Lane),
    Depth(Lane),
    Lanes(Option<Lane>, usize),
    List(Lane, Place, Option<u64>, usize),
    /// Dead letters behind a position, as many as fit.
    Redrive(Lane, Option<String>, Option<u64>, Timestamp, Bytes),
    /// Tasks behind a position, as many as fit.
    Purge(Lane, Place, Option<u64>),
}

/// A task that was leased by the message that tells of it.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) position: u64,
    pub(super) entry: Entry<Spot>,
}

/// How many tasks were changed, and behind which one there may be more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Portion {
    pub(super) count: u64,
    pub(super) behind: Option<u64>,
}

/// What is answered once the plan's facts are in the log, if there are any.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Pushed(Pushed),
    /// The fence is the message's sequence.
    Leased(Vec<Taken>),
    Done,
    Cancelled(Cancelled),
    Visible(bool),
    Depth(LaneDepth),
    Lanes(Vec<Lane>),
    List(Vec<(u64, Entry<Spot>)>),
    Changed(Portion),
}

/// What an operation came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This, if the log is where it was.
    Answer(Result<Answer>),
    /// It must wait for the next message.
    Later,
}

/// What a message may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes of the facts.
    pub(super) facts_bytes: usize,
    /// Bytes of the payloads.
    pub(super) body_bytes: usize,
    /// Bytes of the log above which pushes are refused.
    pub(super) log_bytes: u64,
}

/// The next message.
#[derive(Debug)]
pub(super) struct Plan {
    room: Room,
    now: Timestamp,
    facts: Vec<Fact>,
    encoded: BytesMut,
    body: BytesMut,
    /// Tasks that it changes: one change each.
    touched: HashSet<u64>,
    /// Ids that it pushes.
    pushed: HashSet<(Lane, String)>,
}

/// How far a plan had come.
#[derive(Clone, Copy)]
struct Mark {
    facts: usize,
    encoded: usize,
    body: usize,
}

impl Plan {
    pub(super) fn new(room: Room, writer: u64, number: u64, now: Timestamp) -> Self {
        Self {
            room,
            now,
            facts: Vec::new(),
            encoded: begin(writer, number, now),
            body: BytesMut::new(),
            touched: HashSet::new(),
            pushed: HashSet::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// The facts, their bytes, and the payloads.
    pub(super) fn finish(self) -> (Vec<Fact>, Bytes, Bytes) {
        (self.facts, self.encoded.freeze(), self.body.freeze())
    }

    /// Decides `op`; `after` gives the end of a span that begins now.
    pub(super) fn take(
        &mut self,
        ledger: &mut Ledger,
        op: &Op,
        after: impl Fn(Duration) -> Timestamp,
    ) -> Outcome {
        let mark = self.mark();
        let was_empty = self.is_empty();
        let taken = match op {
            Op::Push(lane, task) => self.push(ledger, lane, task).map(Answer::Pushed),
            Op::Lease(lane, max, span) => {
                Ok(Answer::Leased(self.lease(ledger, lane, *max, after(*span))))
            }
            Op::Extend(lease, span) => self.extend(ledger, lease, after(*span)),
            Op::Settle(lease, settlement) => self.settle(ledger, lease, settlement),
            Op::Cancel(lane, id) => self.cancel(ledger, lane, id).map(Answer::Cancelled),
            Op::Visible(lane) => {
                let visible = ledger.book.visible(lane.as_str(), self.now);
                Ok(Answer::Visible(visible == Visible::Now))
            }
            Op::Depth(lane) => Ok(Answer::Depth(ledger.book.depth(lane.as_str(), self.now))),
            Op::Lanes(after, max) => {
                Ok(Answer::Lanes(ledger.book.lanes(after.as_ref().map(Lane::as_str), *max)))
            }
            Op::List(lane, place, after, max) => {
                let listed = ledger.book.list(lane.as_str(), *place, *after, *max, self.now);
                Ok(Answer::List(listed))
            }
            Op::Redrive(lane, id, after, at, note) => {
                self.redrive(ledger, lane, id.as_deref(), *after, *at, note)
            }
            Op::Purge(lane, place, after) => self.purge(ledger, lane, *place, *after),
        };
        match taken {
            Ok(answer) => Outcome::Answer(Ok(answer)),
            Err(Stop::Refuse(error)) => {
                self.back_to(mark);
                Outcome::Answer(Err(error))
            }
            Err(Stop::Busy) => {
                self.back_to(mark);
                Outcome::Later
            }
            Err(Stop::Full) if was_empty => {
                self.back_to(mark);
                Outcome::Answer(Err(self.too_large()))
            }
            Err(Stop::Full) => {
                self.back_to(mark);
                Outcome::Later
            }
        }
    }

    /// Adds a task as it stands, so that the log before this message is not needed for it; `false` if
    /// there is no room.
    pub(super) fn carry(
        &mut self,
        ledger: &Ledger,
        lane: &Lane,
        position: u64,
        body: &[u8],
    ) -> bool {
        let Some((entry, standing)) = ledger.book.stands(lane.as_str(), position) else {
            return true;
        };
        if self.touched.contains(&position) {
            return true;
        }
        let mark = self.mark();
        let fact = Fact::Carried(Box::new(carried(lane, position, entry, standing)));
        let added = self.add(fact, body).is_ok();
        if added {
            self.touched.insert(position);
        } else {
            self.back_to(mark);
        }
        added
    }

    fn push(&mut self, ledger: &Ledger, lane: &Lane, task: &NewTask) -> Result<Pushed, Stop> {
        if let Some((position, _)) = ledger.book.get(lane.as_str(), &task.id) {
            // What this message does to it is not known yet.
            return if self.touched.contains(&position) {
                Err(Stop::Busy)
            } else {
                Ok(Pushed::Known)
            };
        }
        let id = (lane.clone(), task.id.clone());
        if self.pushed.contains(&id) {
            return Err(Stop::Busy);
        }
        let bytes = ledger.bytes + (self.body.len() + task.payload.len()) as u64;
        if bytes > self.room.log_bytes {
            let limit = self.room.log_bytes;
            let what = format!("queue: its log of {bytes} bytes is over the limit of {limit}");
            return Err(Stop::Refuse(Error::new(ErrorKind::ResourceExhausted, what)));
        }
        let fact = Fact::Pushed {
            lane: lane.clone(),
            id: task.id.clone(),
            note: task.note.clone(),
            visible_at: task.visible_at.max(self.now),
            // Checked against the driver's limit, which is below 4 GB.
            payload_bytes: u32::try_from(task.payload.len()).unwrap_or(u32::MAX),
        };
        self.add(fact, &task.payload)?;
        self.pushed.insert(id);
        Ok(Pushed::New)
    }

    fn lease(
        &mut self,
        ledger: &mut Ledger,
        lane: &Lane,
        max: usize,
        until: Timestamp,
    ) -> Vec<Taken> {
        let mut taken = Vec::new();
        let due = ledger.book.due(lane.as_str(), self.now);
        for (position, entry) in due.filter(|_| max > 0) {
            if self.touched.contains(&position) {
                continue;
            }
            let mark = self.mark();
            let fact = Fact::Leased { lane: lane.clone(), position, until };
            if self.add(fact, &[]).is_err() {
                self.back_to(mark);
                break;
            }
            self.touched.insert(position);
            taken.push(Taken { position, entry: entry.clone() });
            if taken.len() == max {
                break;
            }
        }
        taken
    }

    fn extend(
        &mut self,
        ledger: &Ledger,
        lease: &LeaseToken,
        until: Timestamp,
    ) -> Result<Answer, Stop> {
        let position = self.held(ledger, lease)?;
        self.add(Fact::Extended { lane: lease.lane.clone(), position, until }, &[])?;
        self.touched.insert(position);
        Ok(Answer::Done)
    }

    fn settle(
        &mut self,
        ledger: &Ledger,
        lease: &LeaseToken,
        settlement: &Settlement,
    ) -> Result<Answer, Stop> {
        let position = self.held(ledger, lease)?;
        let mut pushed = Vec::new();
        for follow_up in &settlement.follow_ups {
            match self.push(ledger, &follow_up.lane, &follow_up.task) {
                Ok(Pushed::New) => pushed.push((follow_up.lane.clone(), follow_up.task.id.clone())),
                Ok(Pushed::Known) => {}
                // The same id twice in one settlement: the second changes nothing.
                Err(Stop::Busy)
                    if pushed
                        .iter()
                        .any(|(lane, id)| *lane == follow_up.lane && *id == follow_up.task.id) => {}
                Err(stop) => {
                    pushed.iter().for_each(|id| _ = self.pushed.remove(id));
                    return Err(stop);
                }
            }
        }
        let verdict = match &settlement.verdict {
            Verdict::Retry { at, note } => {
                Verdict::Retry { at: (*at).max(self.now), note: note.clone() }
            }
            other => other.clone(),
        };
        let fact = Fact::Ended { lane: lease.lane.clone(), position, verdict };
        if let Err(stop) = self.add(fact, &[]) {
            pushed.iter().for_each(|id| _ = self.pushed.remove(id));
            return Err(stop);
        }
        self.touched.insert(position);
        Ok(Answer::Done)
    }

    fn cancel(&mut self, ledger: &mut Ledger, lane: &Lane, id: &str) -> Result<Cancelled, Stop> {
        if self.pushed.contains(&(lane.clone(), id.to_owned())) {
            return Err(Stop::Busy);
        }
        // Leases that have ended hold nothing.
        ledger.book.visible(lane.as_str(), self.now);
        let Some((position, _)) = ledger.book.get(lane.as_str(), id) else {
            return Ok(Cancelled::Absent);
        };
        if self.touched.contains(&position) {
            return Err(Stop::Busy);
        }
        let stands = ledger.book.stands(lane.as_str(), position);
        if stands.is_some_and(|(_, standing)| standing.place == Place::Leased) {
            return Ok(Cancelled::Held);
        }
        self.end(lane, position)?;
        Ok(Cancelled::Removed)
    }

    fn redrive(
        &mut self,
        ledger: &Ledger,
        lane: &Lane,
        id: Option<&str>,
        after: Option<u64>,
        at: Timestamp,
        note: &Bytes,
    ) -> Result<Answer, Stop> {
        let at = at.max(self.now);
        let buried = ledger.book.buried(lane.as_str(), id);
        self.each(buried, after, |plan, position| {
            let note = note.clone();
            plan.add(Fact::Revived { lane: lane.clone(), position, at, note }, &[])
        })
    }

    fn purge(
        &mut self,
        ledger: &mut Ledger,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
    ) -> Result<Answer, Stop> {
        let all = ledger.book.purgeable(lane.as_str(), place, self.now).map_err(Stop::Refuse)?;
        self.each(all, after, |plan, position| {
            let fact = Fact::Ended { lane: lane.clone(), position, verdict: Verdict::Done };
            plan.add(fact, &[])
        })
    }

    /// Changes the tasks at `positions` behind `after`, as many as fit.
    fn each(
        &mut self,
        mut positions: Vec<u64>,
        after: Option<u64>,
        mut change: impl FnMut(&mut Self, u64) -> Result<(), Stop>,
    ) -> Result<Answer, Stop> {
        positions.retain(|position| after.is_none_or(|after| *position > after));
        positions.sort_unstable();
        let mut count = 0;
        let mut last = None;
        for position in positions {
            let mark = self.mark();
            if self.touched.contains(&position) || change(self, position).is_err() {
                self.back_to(mark);
                // Nothing yet: the next message has room for it.
                return match last {
                    None => Err(Stop::Busy),
                    Some(last) => Ok(Answer::Changed(Portion { count, behind: Some(last) })),
                };
            }
            self.touched.insert(position);
            count += 1;
            last = Some(position);
        }
        Ok(Answer::Changed(Portion { count, behind: None }))
    }

    fn held(&self, ledger: &Ledger, lease: &LeaseToken) -> Result<u64, Stop> {
        ledger.book.held(lease).map_err(Stop::Refuse)?;
        if self.touched.contains(&lease.position) {
            return Err(Stop::Busy);
        }
        Ok(lease.position)
    }

    fn end(&mut self, lane: &Lane, position: u64) -> Result<(), Stop> {
        self.add(Fact::Ended { lane: lane.clone(), position, verdict: Verdict::Done }, &[])?;
        self.touched.insert(position);
        Ok(())
    }

    fn add(&mut self, fact: Fact, body: &[u8]) -> Result<(), Stop> {
        fact.encode(&mut self.encoded);
        let fits = self.encoded.len() <= self.room.facts_bytes
            && self.body.len() + body.len() <= self.room.body_bytes
            && self.facts.len() < FACTS_MAX;
        if !fits {
            return Err(Stop::Full);
        }
        self.body.extend_from_slice(body);
        self.facts.push(fact);
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark { facts: self.facts.len(), encoded: self.encoded.len(), body: self.body.len() }
    }

    fn back_to(&mut self, mark: Mark) {
        self.facts.truncate(mark.facts);
        self.encoded.truncate(mark.encoded);
        self.body.truncate(mark.body);
    }

    fn too_large(&self) -> Error {
        let Room { facts_bytes, body_bytes, .. } = self.room;
        let what = format!(
            "more than {body_bytes} bytes of payloads or {facts_bytes} of ids and notes in one call"
        );
        Error::invalid("settlement", what)
    }
}

/// Why an operation is not part of a plan.
enum Stop {
    /// It is refused.
    Refuse(Error),
    /// The plan changes its task already.
    Busy,
    /// The message has no room for it.
    Full,
}

fn carried(lane: &Lane, position: u64, entry: &Entry<Spot>, standing: Standing) -> Carried {
    Carried {
        lane: lane.clone(),
        position,
        id: entry.id.to_string(),
        note: Bytes::copy_from_slice(&entry.note),
        pushed_at: entry.pushed_at,
        visible_at: entry.visible_at,
        leases: entry.leases,
        reason: entry.reason.as_deref().map(str::to_owned),
        standing,
        payload_bytes: entry.payload.bytes,
    }
}
