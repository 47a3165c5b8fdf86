//! Gives room back: the oldest segment goes when no task's payload lies in it, and where too much of
//! the log is of no use, the few that are left are copied to its end first, a little at a time.
//!
//! Segments go from the oldest on only. So whatever says of a task that it is over outlives the task.

use std::time::Duration;

use fc_core::port::queue::Lane;
use fc_core::{Error, Instant, Result};

use super::log::HEADER_BYTES;
use super::log::bytes::Cursor;
use super::log::record::{Record, Task};
use super::recovery;
use super::scan::{self, Next, Scan};
use super::shared::Shared;
use super::state::{Location, Segment};
use super::tail::Tail;
use super::writer::Writer;

/// Bytes of tasks that are copied in one step, unless one frame has more.
const STEP_COPIED: usize = 256 * 1024;
/// Bytes of frames that are looked at in one step.
const STEP_READ: u32 = 2 * 1024 * 1024;
/// After a failure, it rests for so long.
const PAUSE: Duration = Duration::from_secs(1);
/// Segments that may be there whatever is in them.
const SEGMENTS_MIN: u64 = 16;

/// Where compaction stands.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// The segment that is being emptied, and how far it was read.
    under_way: Option<(u32, u32)>,
    /// A segment whose file is to be removed.
    leaving: Option<u32>,
    /// Not before this.
    rests_until: Instant,
    /// The oldest segment cannot be read: it stays.
    is_stuck: bool,
}

/// A task that is copied.
struct Copy {
    lane: Lane,
    position: u64,
    location: Location,
}

impl Compaction {
    /// Whether there is something to do now.
    pub(super) fn is_due(&self, shared: &Shared, tail: &Tail) -> bool {
        if self.is_stuck || shared.clock.clock().now() < self.rests_until {
            return false;
        }
        if self.under_way.is_some() || self.leaving.is_some() {
            return true;
        }
        let state = shared.state.lock();
        let Some((number, oldest)) = state.segments.first_key_value() else {
            return false;
        };
        // The last segment takes what is copied.
        if *number >= tail.number {
            return false;
        }
        let (log, live) = (state.log_bytes(), state.live_bytes);
        oldest.tasks == 0
            || log > 2 * live + 4 * tail.segment_bytes
            || state.segments.len() as u64 > SEGMENTS_MIN + 2 * (live / tail.segment_bytes)
    }

    /// Does a little of it.
    pub(super) fn step(&mut self, writer: &mut Writer) {
        if let Err(error) = self.try_step(writer) {
            tracing::warn!(%error, "compaction rests");
            self.rests_until = writer.shared.clock.clock().now() + PAUSE;
        }
    }

    fn try_step(&mut self, writer: &mut Writer) -> Result<()> {
        if let Some(number) = self.leaving {
            return self.leave(writer, number);
        }
        let (number, segment) = {
            let state = writer.shared.state.lock();
            match state.segments.first_key_value() {
                Some((number, segment)) => (*number, segment.clone()),
                None => return Ok(()),
            }
        };
        if segment.tasks == 0 {
            let record = Record::Oldest(number + 1);
            record.put(writer.begin_frame(), |_| {});
            let now = writer.shared.clock.now();
            writer.append(1, now)?;
            writer.tail.oldest = number + 1;
            self.under_way = None;
            self.leaving = Some(number);
            writer.shared.state.lock().segments.remove(&number);
            return self.leave(writer, number);
        }
        let from = match self.under_way {
            Some((under_way, offset)) if under_way == number => offset,
            _ => HEADER_BYTES,
        };
        let to = self.copy(writer, number, &segment, from)?;
        self.under_way = Some((number, to));
        let left = writer.shared.state.lock().segments.get(&number).map_or(0, |it| it.tasks);
        if to == segment.end && left > 0 {
            self.is_stuck = true;
            tracing::error!(number, left, "tasks were not found in their segment: it stays");
        }
        Ok(())
    }

    fn leave(&mut self, writer: &Writer, number: u32) -> Result<()> {
        let Tail { fs, dir, .. } = &writer.tail;
        recovery::remove(&**fs, dir, number).map_err(|e| {
            Error::internal(format!("segment {number} in '{}' stays: {e}", dir.display()))
        })?;
        self.leaving = None;
        Ok(())
    }

    /// Copies the tasks of the next frames; gives how far it came.
    fn copy(
        &mut self,
        writer: &mut Writer,
        number: u32,
        segment: &Segment,
        from: u32,
    ) -> Result<u32> {
        let mut scan = Scan::new(segment.file.clone(), segment.salt, from, u64::from(segment.end));
        let shared = writer.shared.clone();
        let frame = writer.begin_frame();
        let mut copies: Vec<Copy> = Vec::new();
        while frame.len() < STEP_COPIED && scan.offset - from < STEP_READ {
            let at = scan.offset;
            let next = scan.next().map_err(|e| Error::internal(format!("segment {number}: {e}")));
            let what = match next? {
                Next::End => break,
                Next::Frame(head, begin, records) => {
                    match copy_frame(&shared, number, begin, head.records, records, frame) {
                        Ok(found) => {
                            copies.extend(found);
                            continue;
                        }
                        Err(what) => what,
                    }
                }
                Next::Bad(what) => what,
            };
            self.is_stuck = true;
            tracing::error!(number, at, what, "a segment is corrupt: it stays");
            return Ok(at);
        }
        if !copies.is_empty() {
            let now = shared.clock.now();
            let (segment, begin) = writer.append(copies.len() as u32, now)?;
            let mut state = shared.state.lock();
            for Copy { lane, position, location } in copies {
                let location = Location { segment, offset: begin + location.offset, ..location };
                state.relocate(&lane, position, location);
            }
        }
        Ok(scan.offset)
    }
}

/// Appends the tasks of a frame that are still where it says.
fn copy_frame(
    shared: &Shared,
    number: u32,
    begin: u32,
    count: u32,
    records: &[u8],
    frame: &mut Vec<u8>,
) -> Result<Vec<Copy>, &'static str> {
    let mut cursor = Cursor::new(records);
    let mut copies = Vec::new();
    let state = shared.state.lock();
    let mut copy = |task: &Task<'_>| -> Result<(), &'static str> {
        let is_there = |payload: &Location| {
            payload.segment == number && payload.offset == scan::place(begin, records, task.payload)
        };
        let entry = state.book.entry(task.lane, task.position);
        let Some(entry) = entry.filter(|entry| is_there(&entry.payload)) else {
            return Ok(());
        };
        let record = Record::Copied(Task {
            visible_at: entry.visible_at,
            leases: entry.leases,
            reason: entry.reason.as_deref(),
            note: &entry.note,
            ..task.clone()
        });
        let mut offset = 0;
        record.put(frame, |at| offset = at as u32);
        let lane = Lane::new(task.lane).map_err(|_| "a lane's name is none")?;
        let location = Location { offset, ..entry.payload };
        copies.push(Copy { lane, position: task.position, location });
        Ok(())
    };
    for _ in 0..count {
        match Record::take(&mut cursor)? {
            Record::Pushed(task) | Record::Copied(task) => copy(&task)?,
            Record::Settled { follow_ups, .. } => follow_ups.iter().try_for_each(&mut copy)?,
            Record::Removed { .. } | Record::Revived { .. } | Record::Oldest(_) => {}
        }
    }
    Ok(copies)
}
