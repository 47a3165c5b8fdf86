//! What is queued, and what a queue tells of it.

use bytes::Bytes;

use super::lane::check_name;
use super::{Lane, QueueCapabilities, Settlement, Verdict};
use crate::{Error, Result, Timestamp};

/// Longest id of a task, bytes: a function's name, a caller's id and what tells their kinds apart.
pub const TASK_ID_BYTES_MAX: usize = 300;

/// A task to be queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTask {
    /// Unique within its lane while the task is there, dead letters included: 1 to 300 letters,
    /// digits, `-`, `_`, `:` or `/`.
    pub id: String,
    /// What the task is: never changed.
    pub payload: Bytes,
    /// What is known of it so far: small, and replaced when it is tried again.
    pub note: Bytes,
    /// Not leased before this time.
    pub visible_at: Timestamp,
}

impl NewTask {
    /// A task without a note that is visible at once.
    pub fn new(id: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            id: id.into(),
            payload: payload.into(),
            note: Bytes::new(),
            visible_at: Timestamp::default(),
        }
    }

    /// The same, not leased before `at`.
    #[must_use]
    pub fn visible_at(self, at: Timestamp) -> Self {
        Self { visible_at: at, ..self }
    }

    /// What a driver refuses before it does anything: a bad id, a payload or a note over its limit, a
    /// delay beyond the longest.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field, the limit and the value.
    pub fn check(&self, capabilities: &QueueCapabilities, now: Timestamp) -> Result<()> {
        check_name("task id", &self.id, TASK_ID_BYTES_MAX)?;
        within("payload", capabilities.payload_bytes_max, self.payload.len())?;
        capabilities.check_note(&self.note)?;
        let delay_ms = self.visible_at.as_unix_millis().saturating_sub(now.as_unix_millis());
        let delay_ms_max = u64::try_from(capabilities.delay_max.as_millis()).unwrap_or(u64::MAX);
        if delay_ms > delay_ms_max {
            return Err(Error::over_limit("visible_at", "milliseconds", delay_ms_max, delay_ms));
        }
        Ok(())
    }
}

fn within(field: &str, bytes_max: u64, bytes: usize) -> Result<()> {
    let bytes = bytes as u64;
    if bytes <= bytes_max {
        Ok(())
    } else {
        Err(Error::over_limit(field, "bytes", bytes_max, bytes))
    }
}

impl QueueCapabilities {
    /// What a driver refuses of a note or a reason.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the limit and the value.
    pub fn check_note(&self, note: &[u8]) -> Result<()> {
        within("note", self.note_bytes_max, note.len())
    }

    /// What a driver refuses of a settlement before it does anything.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field, the limit and the value.
    pub fn check_settlement(&self, settlement: &Settlement, now: Timestamp) -> Result<()> {
        match &settlement.verdict {
            Verdict::Done => {}
            Verdict::Retry { note, .. } => self.check_note(note)?,
            Verdict::Bury { reason, note } => {
                self.check_note(reason.as_bytes())?;
                self.check_note(note)?;
            }
        }
        settlement.follow_ups.iter().try_for_each(|follow_up| follow_up.task.check(self, now))
    }
}

/// What a push found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pushed {
    /// The task is queued now.
    New,
    /// A task of this id is there already, and stays as it was.
    Known,
}

/// What a cancellation found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cancelled {
    /// The task waited, or was a dead letter, and is removed: nobody will lease it.
    Removed,
    /// Somebody holds the task: nothing was changed.
    Held,
    /// There is no such task.
    Absent,
}

/// Where a task stands in its lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// It waits, visible or not.
    Waiting,
    /// Somebody holds it.
    Leased,
    /// It was set aside as a dead letter.
    Buried,
}

/// What a list shows of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskView {
    /// Its place in the order of pushes: go on behind it with [`Queue::list`](super::Queue::list).
    pub position: u64,
    /// Its id.
    pub id: String,
    /// What it is.
    pub payload: Bytes,
    /// What is known of it.
    pub note: Bytes,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// From when on it can be leased.
    pub visible_at: Timestamp,
    /// How often it was leased.
    pub leases: u32,
    /// Why it was buried, if it was.
    pub reason: Option<String>,
}

/// What a lane holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LaneDepth {
    /// Tasks that wait, visible or not.
    pub waiting: u64,
    /// Tasks that are held.
    pub leased: u64,
    /// Dead letters.
    pub buried: u64,
    /// When the oldest of the waiting ones was pushed.
    pub oldest: Option<Timestamp>,
}

/// A task that is pushed when another is settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowUp {
    /// Where to.
    pub lane: Lane,
    /// The task.
    pub task: NewTask,
}
