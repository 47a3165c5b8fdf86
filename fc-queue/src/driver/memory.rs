//! Tasks in this process's memory.

mod state;
#[cfg(test)]
mod tests;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc_core::port::store::Durability;
use fc_core::{Clock, Context, Queue, Result, Timestamp};
use parking_lot::Mutex;

use self::state::{Room, State};
use self::waiting::{Turn, Wakers};
use crate::anchored::AnchoredClock;

/// Tasks in this process's memory: gone with it, and shared by clones.
///
/// Its time is the wall clock as it stood at construction, moved on by the monotonic clock: a jump of
/// the wall clock makes no task early or late. By default a payload has at most 1 MiB, a note 4 KiB, a
/// delay 7 days; all tasks together number 1 000 000 and have 512 MiB of ids, payloads, notes and
/// reasons. A push over that is refused with `ResourceExhausted`; what is tried again or redriven is
/// not, even if its note grew.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use fc_core::port::queue::{Lane, NewTask, Pushed, Verdict};
/// use fc_core::{Context, Queue, RequestId, SystemClock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let queue = fc_queue::driver::MemoryQueue::new(Arc::new(SystemClock::new()));
/// let (cx, lane) = (Context::new(RequestId::NIL), Lane::new("1234").unwrap());
/// assert_eq!(queue.push(cx, &lane, NewTask::new("a", "payload")).await.unwrap(), Pushed::New);
/// let leased = queue.lease(cx, &lane, 8, Duration::from_secs(30)).await.unwrap();
/// queue.settle(cx, &leased[0].token, Verdict::Done.into()).await.unwrap();
/// assert_eq!(queue.depth(&lane).await.unwrap(), Default::default());
/// # });
/// ```
#[derive(Clone)]
pub struct MemoryQueue {
    capabilities: QueueCapabilities,
    room: Room,
    clock: AnchoredClock,
    state: Arc<Mutex<State>>,
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        /// The longest that Function Compute keeps an asynchronous request (`alibaba-fc.md` 3).
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        Self {
            capabilities: QueueCapabilities {
                durability: Durability::ProcessMemory,
                ordered: true,
                atomic_settle: true,
                delay_max: WEEK,
                // An asynchronous payload of 256 KiB (the larger of the two clouds' limits), its
                // headers, and what may come.
                payload_bytes_max: 1024 * 1024,
                note_bytes_max: 4096,
            },
            room: Room { tasks_max: 1_000_000, bytes_max: 512 * 1024 * 1024 },
            clock: AnchoredClock::new(clock),
            state: Arc::default(),
        }
    }

    /// With another limit for payloads, bytes.
    #[must_use]
    pub fn payload_bytes_max(mut self, bytes: u64) -> Self {
        self.capabilities.payload_bytes_max = bytes;
        self
    }

    /// With another limit for notes and reasons, bytes.
    #[must_use]
    pub fn note_bytes_max(mut self, bytes: u64) -> Self {
        self.capabilities.note_bytes_max = bytes;
        self
    }

    /// With another limit for delays.
    #[must_use]
    pub fn delay_max(mut self, delay: Duration) -> Self {
        self.capabilities.delay_max = delay;
        self
    }

    /// With another limit for the number of tasks of all lanes.
    #[must_use]
    pub fn tasks_max(mut self, tasks: u64) -> Self {
        self.room.tasks_max = tasks;
        self
    }

    /// With another limit for what the tasks of all lanes hold, bytes: ids, payloads, notes, reasons.
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.room.bytes_max = bytes;
        self
    }

    /// Changes the state, and then wakes whom the change concerns.
    fn change<T>(&self, change: impl FnOnce(&mut State, &mut Wakers) -> T) -> T {
        let mut wakers = Wakers::default();
        let output = change(&mut self.state.lock(), &mut wakers);
        // Without the lock: a waker may run its task here, and that may use the queue.
        wakers.wake();
        output
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn capabilities(&self) -> QueueCapabilities {
        self.capabilities
    }

    async fn push(&self, _: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        let now = self.clock.now();
        task.check(&self.capabilities, now)?;
        self.change(|state, wakers| state.push(self.room, lane, task, now, wakers))
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        let (clock, soft) = (self.clock.clock(), cx.deadline.soft);
        loop {
            let turn = Turn::take(&self.state, lane, self.clock.now());
            let (next, changed) = match turn {
                Turn::Now => return Ok(true),
                Turn::Later(next, changed) => (next, changed),
            };
            if clock.now() >= soft {
                return Ok(false);
            }
            let until = next.map_or(soft, |at| self.clock.instant(at).min(soft));
            // Whichever comes first: the lane is looked at again.
            _ = clock.with_deadline(until, changed).await;
        }
    }

    async fn lease(
        &self,
        _: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let mut state = self.state.lock();
        Ok(state.lease(lane, max, self.clock.after(visibility), self.clock.now()))
    }

    async fn extend(&self, _: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        self.change(|state, wakers| state.extend(lease, self.clock.after(visibility), wakers))
    }

    async fn settle(&self, _: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        let now = self.clock.now();
        self.capabilities.check_settlement(&settlement, now)?;
        self.change(|state, wakers| state.settle(self.room, lease, settlement, now, wakers))
    }

    async fn cancel(&self, _: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        Ok(self.state.lock().cancel(lane, id, self.clock.now()))
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        Ok(self.state.lock().book.depth(lane.as_str(), self.clock.now()))
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        Ok(self.state.lock().book.lanes(after.map(Lane::as_str), max))
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        Ok(self.state.lock().list(lane, place, after, max, self.clock.now()))
    }

    async fn redrive(
        &self,
        _: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.capabilities.check_note(&note)?;
        Ok(self.change(|state, wakers| state.redrive(lane, id, at, &note, wakers)))
    }

    async fn purge(&self, _: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.state.lock().purge(lane, place, self.clock.now())
    }
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("MemoryQueue")
            .field("tasks", &state.book.len())
            .field("bytes", &state.bytes)
            .finish_non_exhaustive()
    }
}
