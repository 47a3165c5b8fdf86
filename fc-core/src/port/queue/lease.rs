//! Tasks held for a time.

use bytes::Bytes;

use super::{FollowUp, Lane};
use crate::Timestamp;

/// Proof of a lease. It grows with every lease of the same task, also across a restart, so that an
/// older holder's is told apart (a fencing token).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LeaseToken {
    /// The lane.
    pub lane: Lane,
    /// The task.
    pub task: String,
    /// The driver's name for the task's place, so that it need not be searched.
    pub position: u64,
    /// Grows with each lease of the task.
    pub fence: u64,
}

/// A task held for a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leased {
    /// Proof of the hold.
    pub token: LeaseToken,
    /// What the task is.
    pub payload: Bytes,
    /// What is known of it: as it was pushed, or as the last one who tried it left it.
    pub note: Bytes,
    /// How often it was leased before. A lease whose holder died with the machine may be missing.
    pub leases_before: u32,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// From when on it could be leased.
    pub visible_at: Timestamp,
}

/// What becomes of a leased task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is over: removed.
    Done,
    /// Again, not before `at`.
    Retry {
        /// Not leased before this time.
        at: Timestamp,
        /// What is known of it now.
        note: Bytes,
    },
    /// Set aside as a dead letter.
    Bury {
        /// Why, for whoever looks at it.
        reason: String,
        /// What is known of it now.
        note: Bytes,
    },
}

/// How a lease ends: what becomes of the task, and what is pushed with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// What becomes of the task.
    pub verdict: Verdict,
    /// What is pushed with it; a known id changes nothing.
    pub follow_ups: Vec<FollowUp>,
}

impl From<Verdict> for Settlement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, follow_ups: Vec::new() }
    }
}
