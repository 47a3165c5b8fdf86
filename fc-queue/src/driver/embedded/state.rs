//! What the log says, in memory: every change goes through here, when it happens and when the log is
//! read again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use fc_core::Timestamp;
use fc_core::port::queue::{Lane, NewTask, Pushed, Verdict};

use super::cache::Cache;
use super::fs::File;
use super::log::record::TASK_OVERHEAD;
use crate::core::book::{Apart, Book, Entry};

/// Where a payload lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Location {
    pub segment: u32,
    pub offset: u32,
    pub len: u32,
    /// CRC-32 of the payload alone, so that it is judged without its frame.
    pub crc: u32,
}

/// A file of the log.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub file: Arc<dyn File>,
    pub salt: u64,
    /// Where its last durable frame ends.
    pub end: u32,
    /// Tasks whose payload lies in it.
    pub tasks: u64,
}

/// A task to be put into the state.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub lane: Lane,
    pub position: u64,
    pub pushed_at: Timestamp,
    /// Its payload is not looked at.
    pub task: NewTask,
    pub location: Location,
}

/// What is durable.
#[derive(Debug)]
pub(super) struct State {
    pub book: Book<Location>,
    pub segments: BTreeMap<u32, Segment>,
    pub cache: Cache,
    /// Tasks whose fate is being written, by position.
    pub apart: HashMap<u64, Apart>,
    /// Bytes that all tasks would need if they were written again.
    pub live_bytes: u64,
}

impl State {
    pub(super) fn new(position: u64, fence: u64, cache_bytes_max: u64) -> Self {
        Self {
            book: Book::new(position, fence),
            segments: BTreeMap::new(),
            cache: Cache::new(cache_bytes_max),
            apart: HashMap::new(),
            live_bytes: 0,
        }
    }

    /// Adds a task; `Known` changes nothing.
    pub(super) fn put(&mut self, put: Put) -> Pushed {
        let Put { lane, position, pushed_at, task, location } = put;
        let bytes = TASK_OVERHEAD
            + (lane.as_str().len() + task.id.len() + task.note.len()) as u64
            + u64::from(location.len);
        let pushed = self.book.push_at(position, &lane, task, location, pushed_at);
        if pushed == Pushed::New {
            self.live_bytes += bytes;
            self.count(location.segment, 1);
        }
        pushed
    }

    /// Ends a lease.
    pub(super) fn conclude(&mut self, lane: &Lane, position: u64, verdict: Verdict) {
        self.apart.remove(&position);
        if matches!(verdict, Verdict::Done) {
            self.remove(lane, position);
            return;
        }
        let before = self.texts(lane, position);
        self.book.conclude(lane, position, verdict);
        self.live_bytes = self.live_bytes - before + self.texts(lane, position);
    }

    /// Removes a task.
    pub(super) fn remove(&mut self, lane: &Lane, position: u64) {
        self.apart.remove(&position);
        self.cache.remove(position);
        if let Some(entry) = self.book.remove(lane, position) {
            self.live_bytes -= size(lane, &entry);
            self.count(entry.payload.segment, -1);
        }
    }

    /// Lets a dead letter wait again.
    pub(super) fn revive(&mut self, lane: &Lane, position: u64, at: Timestamp, note: Bytes) {
        let before = self.texts(lane, position);
        self.book.revive(lane, position, at, note);
        self.live_bytes = self.live_bytes - before + self.texts(lane, position);
    }

    /// Says that a payload lies elsewhere now.
    pub(super) fn relocate(&mut self, lane: &Lane, position: u64, location: Location) {
        let Some(before) = self.book.entry(lane.as_str(), position).map(|entry| entry.payload)
        else {
            return;
        };
        self.book.relocate(lane.as_str(), position, location);
        self.count(before.segment, -1);
        self.count(location.segment, 1);
    }

    /// Keeps everybody's hands off a task.
    pub(super) fn set_apart(&mut self, lane: &Lane, position: u64) {
        if let Some(apart) = self.book.set_apart(lane.as_str(), position) {
            self.apart.insert(position, apart);
        }
    }

    /// Puts a task back whose fate could not be written.
    pub(super) fn rejoin(&mut self, lane: &Lane, position: u64) {
        if let Some(apart) = self.apart.remove(&position) {
            self.book.rejoin(lane.as_str(), position, apart);
        }
    }

    /// Bytes of all segments.
    pub(super) fn log_bytes(&self) -> u64 {
        self.segments.values().map(|segment| u64::from(segment.end)).sum()
    }

    fn count(&mut self, segment: u32, by: i64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.tasks = segment.tasks.saturating_add_signed(by);
        }
    }

    /// Bytes of what changes of a task.
    fn texts(&self, lane: &Lane, position: u64) -> u64 {
        self.book.entry(lane.as_str(), position).map_or(0, texts)
    }
}

fn texts(entry: &Entry<Location>) -> u64 {
    (entry.note.len() + entry.reason.as_ref().map_or(0, |reason| reason.len())) as u64
}

fn size(lane: &Lane, entry: &Entry<Location>) -> u64 {
    let fixed = (lane.as_str().len() + entry.id.len()) as u64 + u64::from(entry.payload.len);
    TASK_OVERHEAD + fixed + texts(entry)
}
