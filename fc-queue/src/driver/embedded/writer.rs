//! The one thread that writes: it takes whatever waits, writes it as one frame, syncs once, and lets
//! all of it happen. While it syncs the next frame gathers, so there is no tick to wait for.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fc_core::port::queue::Lane;
use fc_core::{Error, Result, Timestamp};
use tokio::sync::oneshot;

use super::command::{Answer, Command};
use super::compact::Compaction;
use super::decide::{Change, Decide, Decided, Push};
use super::log::{crc, frame};
use super::shared::{Last, Shared};
use super::state::{Location, Put, Segment, State};
use super::tail::{Begun, Fault, Now, Tail};

/// Bytes of operations in one frame, unless one alone has more.
const FRAME_BYTES: u64 = 4 * 1024 * 1024;

/// Commands in a frame from which on settlements gather before the next one: as long as the frame took,
/// so that whoever pushes finds the disk free half of the time. Who settles so many at once gets no
/// fewer done: all that run meanwhile are in the next frame.
const MANY: usize = 32;
/// They gather no longer.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// The one thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) tail: Tail,
    decide: Decide,
    compaction: Compaction,
    /// Commands that met another of the last frame.
    later: Vec<Command>,
    frame: Vec<u8>,
    /// How long settlements alone are let gather before the next frame.
    pause: Duration,
}

/// A change that is written, what is answered, and who waits for it.
type Written = (Change, Answer, oneshot::Sender<Result<Answer>>);

impl Writer {
    /// `position` is the last one that was used.
    pub(super) fn new(shared: Arc<Shared>, tail: Tail, position: u64, tasks_max: u64) -> Self {
        let decide = Decide::new(position, tasks_max);
        let compaction = Compaction::default();
        let (later, frame) = (Vec::new(), Vec::new());
        Self { shared, tail, decide, compaction, later, frame, pause: Duration::ZERO }
    }

    /// Serves commands until the inbox is closed and empty.
    pub(super) fn run(mut self) {
        let _last = Last(self.shared.clone());
        loop {
            let is_busy =
                !self.later.is_empty() || self.compaction.is_due(&self.shared, &self.tail);
            if !is_busy && !self.pause.is_zero() {
                self.shared.inbox.gather(std::mem::take(&mut self.pause));
            }
            let mut commands = std::mem::take(&mut self.later);
            match self.shared.inbox.take(FRAME_BYTES, !is_busy) {
                Some(taken) => commands.extend(taken),
                None if commands.is_empty() => return,
                None => {}
            }
            if !commands.is_empty() {
                let begun = self.shared.clock.clock().now();
                let is_many = commands.len() >= MANY;
                self.serve(commands);
                if is_many {
                    let took = self.shared.clock.clock().now() - begun;
                    self.pause = took.min(PAUSE_MAX);
                }
            }
            if self.compaction.is_due(&self.shared, &self.tail) {
                self.compact();
            }
        }
    }

    /// One frame of commands.
    fn serve(&mut self, commands: Vec<Command>) {
        let now = self.shared.clock.now();
        self.decide.clear();
        self.decide.refuse_pushes = self.tail.prepare(self.shared.clock.clock().now());
        let mut answered = Vec::new();
        let mut changes = Vec::with_capacity(commands.len());
        {
            let mut state = self.shared.state.lock();
            for Command { op, reply } in commands {
                match self.decide.decide(&mut state, op, now) {
                    Decided::Now(answer) => answered.push((answer, reply)),
                    Decided::Write(change, answer) => changes.push((change, answer, reply)),
                    Decided::Later(op) => self.later.push(Command { op, reply }),
                }
            }
        }
        answer(answered);
        if !changes.is_empty() {
            self.write(changes, now);
        }
        if self.shared.leases.lock().bytes() > self.tail.segment_bytes {
            self.tail.is_over = true;
            // A failure is said by the next who needs room.
            if let Ok(Some(begun)) = self.tail.room_for(0, self.told(now)) {
                self.begun(begun);
            }
        }
    }

    fn write(&mut self, changes: Vec<Written>, now: Timestamp) {
        frame::begin(&mut self.frame);
        // Where the payloads will lie in the frame, in the order of the changes.
        let mut locations = Vec::with_capacity(changes.len());
        for (change, ..) in &changes {
            let mut pushes = change.pushes();
            change.record().put(&mut self.frame, |at| {
                if let Some(push) = pushes.next() {
                    let payload = &push.task.payload;
                    let (offset, len) = (at as u32, payload.len() as u32);
                    locations.push(Location { segment: 0, offset, len, crc: crc(0, &[payload]) });
                }
            });
        }
        match self.append(changes.len() as u32, now) {
            Ok(begin) => self.happen(changes, &locations, begin),
            Err(error) => self.fail(changes, &error),
        }
    }

    /// Writes the frame, and gives where it begins.
    pub(super) fn append(&mut self, records: u32, now: Timestamp) -> Result<(u32, u32)> {
        let time = now.as_unix_millis();
        let told = self.told(now);
        // The padding of the frame is at most 7 bytes.
        if let Some(begun) = self.tail.room_for(self.frame.len() + frame::ALIGN, told)? {
            self.begun(begun);
        }
        let begin =
            self.tail.append(&mut self.frame, records, time).map_err(|fault| match fault {
                Fault::Refused(error) | Fault::Unknown(error) => error,
            })?;
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        if let Some(segment) = self.shared.state.lock().segments.get_mut(&self.tail.number) {
            segment.end = self.tail.offset;
        }
        if self.frame.capacity() > 2 * FRAME_BYTES as usize {
            self.frame = Vec::new();
        }
        Ok((self.tail.number, begin))
    }

    fn told(&self, now: Timestamp) -> Now {
        let instant = self.shared.clock.clock().now();
        Now { time: now.as_unix_millis(), position: self.decide.position, instant }
    }

    fn begun(&self, begun: Begun) {
        let Begun { number, file, salt } = begun;
        let segment = Segment { file, salt, end: self.tail.offset, tasks: 0 };
        self.shared.state.lock().segments.insert(number, segment);
        self.shared.leases.lock().turn(number);
    }

    /// All of it is durable: let it happen, and say so.
    fn happen(&self, written: Vec<Written>, locations: &[Location], at: (u32, u32)) {
        let (segment, begin) = at;
        let mut placed =
            locations.iter().map(|at| Location { segment, offset: begin + at.offset, ..*at });
        let mut answered = Vec::with_capacity(written.len());
        let mut settled = Vec::new();
        let mut lanes: HashSet<Lane> = HashSet::new();
        let mut last: Option<Lane> = None;
        {
            let mut state = self.shared.state.lock();
            for (change, answer, reply) in written {
                for lane in change.lanes() {
                    // Neighbours are mostly of one lane.
                    if last.as_ref() != Some(lane) {
                        last = Some(lane.clone());
                        lanes.insert(lane.clone());
                    }
                }
                apply(&mut state, change, &mut placed);
                let whose = if answer == Answer::Settled { &mut settled } else { &mut answered };
                whose.push((Ok(answer), reply));
            }
        }
        lanes.iter().for_each(|lane| self.shared.waiters.notify(lane));
        // Whose task has run has the time to be woken after those whose task has not.
        answer(answered);
        answer(settled);
    }

    /// None of it is: put back what was set apart, and say so.
    fn fail(&self, written: Vec<Written>, error: &Error) {
        {
            let mut state = self.shared.state.lock();
            written.iter().for_each(|(change, ..)| change.undo(&mut state));
        }
        let lanes = written.iter().flat_map(|(change, ..)| change.lanes());
        lanes.for_each(|lane| self.shared.waiters.notify(lane));
        answer(written.into_iter().map(|(.., reply)| (Err(error.duplicate()), reply)).collect());
    }

    /// One step of compaction.
    fn compact(&mut self) {
        let mut compaction = std::mem::take(&mut self.compaction);
        compaction.step(self);
        self.compaction = compaction;
    }

    /// Begins a frame of what is not asked for by commands.
    pub(super) fn begin_frame(&mut self) -> &mut Vec<u8> {
        frame::begin(&mut self.frame);
        &mut self.frame
    }
}

fn answer(answered: Vec<(Result<Answer>, oneshot::Sender<Result<Answer>>)>) {
    for (answer, reply) in answered {
        // Whoever does not wait any more learns it by asking again.
        let _ = reply.send(answer);
    }
}

/// Takes as many `locations` as the change pushes tasks.
fn apply(state: &mut State, change: Change, locations: &mut impl Iterator<Item = Location>) {
    let mut put = |state: &mut State, push: Push| {
        if let Some(location) = locations.next() {
            let Push { lane, position, pushed_at, task } = push;
            state.cache.put(position, &task.payload);
            state.put(Put { lane, position, pushed_at, task, location });
        }
    };
    match change {
        Change::Push(push) => put(state, push),
        Change::Settle { lane, position, verdict, follow_ups, .. } => {
            follow_ups.into_iter().for_each(|push| put(state, push));
            state.conclude(&lane, position, verdict);
        }
        Change::Remove { lane, positions } => {
            positions.into_iter().for_each(|position| state.remove(&lane, position));
        }
        Change::Revive { lane, at, note, positions } => {
            for position in positions {
                state.revive(&lane, position, at, note.clone());
            }
        }
    }
}
