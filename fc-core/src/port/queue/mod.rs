//! Durable tasks, at least once.

mod lane;
mod lease;
mod task;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use lane::{LANE_BYTES_MAX, Lane};
pub use lease::{LeaseToken, Leased, Settlement, Verdict};
pub use task::{
    Cancelled, FollowUp, LaneDepth, NewTask, Place, Pushed, TASK_ID_BYTES_MAX, TaskView,
};

use super::store::Durability;
use crate::{Context, Result, Timestamp};

/// What a queue driver promises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QueueCapabilities {
    /// What an acknowledged push, settlement, cancellation, redrive or purge survives.
    pub durability: Durability,
    /// Whether one lessee gets a lane's visible tasks in the order in which they became visible, and
    /// those that became visible together in the order of their pushes.
    pub ordered: bool,
    /// Whether a settlement and its follow-ups happen together or not at all. Where they do not, the
    /// follow-ups come first, so that a settled task has pushed them.
    pub atomic_settle: bool,
    /// The longest delay.
    pub delay_max: Duration,
    /// Largest payload, bytes.
    pub payload_bytes_max: u64,
    /// Largest note or reason, bytes.
    pub note_bytes_max: u64,
}

/// Durable tasks, delivered at least once.
///
/// # Contract
///
/// - What returned is as durable as declared. An operation whose outcome is not known is an error of
///   kind [`Unknown`](crate::ErrorKind::Unknown): done, or not, or soon. Any other error means that
///   nothing was changed.
/// - A leased task is nobody else's until its visibility ends. Then its token is stale as soon as
///   somebody else has leased it; before that, its holder may still settle it.
/// - A settled, cancelled or purged task is never leased again.
/// - A task is not leased before `visible_at`, by the driver's clock.
/// - All operations are linearizable per task.
#[async_trait]
pub trait Queue: Debug + Send + Sync + 'static {
    /// What is promised. It does not change.
    fn capabilities(&self) -> QueueCapabilities;

    /// Queues `task`, durably on return. A known id changes nothing, and is as durable on return.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` as [`NewTask::check`]; `ResourceExhausted` if the queue is full;
    /// `ResourceThrottled` if it takes no writes now; `Unknown` if it may be queued.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have queued: push the same id again.
    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed>;

    /// Waits until a task of the lane can be leased; `false` if there is none by the context's soft
    /// deadline. Somebody else may lease it first.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from knowing.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool>;

    /// At most `max` tasks that are visible now, each held for `visibility`; none if there is none.
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
    /// `Conflict` if the token is stale: somebody else holds the task, or it is over.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have extended.
    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()>;

    /// Ends a lease, and pushes what follows, durably on return.
    ///
    /// # Errors
    ///
    /// `Conflict` if the token is stale, `InvalidArgument` for a follow-up as in [`Queue::push`], or a
    /// note or reason over its limit: nothing was changed. `Unknown` if it may have been settled; the
    /// same call again then succeeds, or is a `Conflict` if it was.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have settled.
    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()>;

    /// Removes a task that nobody holds.
    ///
    /// # Errors
    ///
    /// `Unknown` if it may be removed.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have removed.
    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled>;

    /// What the lane holds; all zero for a lane without tasks. The cost does not grow with their
    /// number.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    async fn depth(&self, lane: &Lane) -> Result<LaneDepth>;

    /// At most `max` lanes that hold tasks, in byte order behind `after`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>>;

    /// At most `max` tasks of a lane that stand at `place`, in the order of their pushes, behind
    /// position `after`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from reading.
    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>>;

    /// Lets dead letters wait again, visible at `at` and with `note` in place of theirs: the one of
    /// this id, or all of the lane. Gives how many.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a note over its limit; `Unknown` if some may have been.
    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64>;

    /// Removes all tasks of a lane that stand at `place`; [`Place::Leased`] is refused. Gives how
    /// many.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for leased tasks; `Unknown` if some may have been removed.
    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64>;
}
