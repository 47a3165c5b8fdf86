//! Durable tasks, at least once.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::store::Durability;
use crate::{Context, Result, Timestamp};

/// A queue of one account or one busy function: what isolates its tasks from all others'.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lane(pub String);

/// A task to be queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTask {
    /// Unique within its lane: a second push of the same id gives the first.
    pub id: String,
    /// What the task is.
    pub payload: Bytes,
    /// Not leased before this time.
    pub visible_at: Timestamp,
}

/// What a push found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pushed {
    /// The task is queued now.
    New,
    /// A task of this id was there already, and stays as it was.
    Known,
}

/// Proof of a lease. It grows with every lease of the same task, so that an older holder's is told
/// apart (a fencing token).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LeaseToken {
    /// The lane.
    pub lane: String,
    /// The task.
    pub task: String,
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
    /// How often it was leased before.
    pub leases_before: u32,
    /// When it was pushed.
    pub pushed_at: Timestamp,
}

/// What becomes of a leased task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is over: removed.
    Done,
    /// Again, not before this time.
    RetryAt(Timestamp),
    /// Set aside as a dead letter, for this reason.
    Bury(String),
}

/// What a queue driver promises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QueueCapabilities {
    /// What an acknowledged push survives.
    pub durability: Durability,
    /// Whether tasks of a lane are leased in the order they became visible.
    pub ordered: bool,
    /// The longest delay.
    pub delay_max: Duration,
    /// Largest payload, bytes.
    pub payload_bytes_max: u64,
}

/// Durable tasks, delivered at least once.
///
/// # Contract
///
/// A push that returned is as durable as declared. A leased task is nobody else's until its
/// visibility ends. An operation whose outcome is not known is an error of kind
/// [`Unknown`](crate::ErrorKind::Unknown).
#[async_trait]
pub trait Queue: Debug + Send + Sync + 'static {
    /// What is promised.
    fn capabilities(&self) -> QueueCapabilities;

    /// Queues `task`, durably on return. A known id changes nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a payload or delay over its limit, `Unknown` if it may be queued.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have queued: push the same id again.
    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed>;

    /// At most `max` tasks that are visible, each held for `visibility`. Waits for one until the
    /// context's soft deadline, then gives none.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    ///
    /// # Cancel safety
    ///
    /// Tasks of a dropped call come back when their visibility ends.
    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>>;

    /// Holds a leased task for `visibility` from now.
    ///
    /// # Errors
    ///
    /// `Conflict` if the token is stale: somebody else may hold the task.
    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()>;

    /// Ends a lease.
    ///
    /// # Errors
    ///
    /// `Conflict` if the token is stale: nothing was changed.
    async fn settle(&self, cx: Context, lease: &LeaseToken, verdict: Verdict) -> Result<()>;

    /// Tasks of a lane that wait, visible or not, leased ones excluded.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    async fn depth(&self, lane: &Lane) -> Result<u64>;

    /// When the oldest waiting task of a lane was pushed.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    async fn oldest(&self, lane: &Lane) -> Result<Option<Timestamp>>;
}
