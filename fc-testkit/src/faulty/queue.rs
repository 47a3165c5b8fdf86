//! A queue behind a network that fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc_core::{Clock, Context, Queue, Result, Timestamp};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::fate::{End, Fate, Fates, Nature};
use super::{FaultCounts, FaultPlan};

/// A queue behind a network that fails: see [`faulty`](super).
///
/// Pushes, settlements and extensions may come late or twice. Such a push may queue a task anew that is
/// over meanwhile: an attempt more, as after an unknown outcome. A lease whose answer is lost holds its
/// tasks until its visibility ends.
pub struct FaultyQueue {
    good: Arc<dyn Queue>,
    fates: Fates,
    late: Mutex<Vec<Late>>,
}

/// A call that is done before the last of some calls.
struct Late {
    calls_left: u8,
    call: LateCall,
}

#[derive(Clone)]
enum LateCall {
    Push(Context, Lane, NewTask),
    Extend(Context, LeaseToken, Duration),
    Settle(Context, LeaseToken, Settlement),
}

impl FaultyQueue {
    /// `good` with faults.
    pub fn new(good: Arc<dyn Queue>, clock: Arc<dyn Clock>, plan: FaultPlan) -> Self {
        Self { good, fates: Fates::new(plan, clock), late: Mutex::default() }
    }

    /// Lets nothing fail any more, or again.
    pub fn turn(&self, is_on: bool) {
        self.fates.turn(is_on);
    }

    /// What has failed so far.
    pub fn counts(&self) -> FaultCounts {
        self.fates.counts()
    }

    /// Does a call that may not come late.
    async fn call<'c, T>(
        &self,
        nature: Nature,
        call: impl Fn() -> BoxFuture<'c, Result<T>>,
    ) -> Result<T> {
        self.do_late_calls().await;
        self.fates.run(self.fates.next(nature, false), call).await
    }

    /// The fate of a call that may come late; if it does, it is kept.
    async fn fate_of(&self, call: impl FnOnce() -> LateCall) -> Fate {
        /// What is in flight at most.
        const LATE_MAX: usize = 64;
        self.do_late_calls().await;
        let mut fate = self.fates.next(Nature::Idempotent, true);
        if let End::Late(calls_left) = fate.end {
            let mut late = self.late.lock();
            if late.len() < LATE_MAX {
                late.push(Late { calls_left, call: call() });
            } else {
                fate.end = End::Vanished;
            }
        }
        fate
    }

    /// Does what was kept and is due.
    async fn do_late_calls(&self) {
        let due: Vec<LateCall> = {
            let mut late = self.late.lock();
            late.iter_mut().for_each(|late| late.calls_left -= 1);
            let due = late.iter().filter(|late| late.calls_left == 0);
            let due = due.map(|late| late.call.clone()).collect();
            late.retain(|late| late.calls_left > 0);
            due
        };
        for call in due {
            // Nobody waits for the answers any more.
            match call {
                LateCall::Push(cx, lane, task) => _ = self.good.push(cx, &lane, task).await,
                LateCall::Extend(cx, lease, span) => _ = self.good.extend(cx, &lease, span).await,
                LateCall::Settle(cx, lease, settlement) => {
                    _ = self.good.settle(cx, &lease, settlement).await;
                }
            }
        }
    }
}

#[async_trait]
impl Queue for FaultyQueue {
    fn capabilities(&self) -> QueueCapabilities {
        self.good.capabilities()
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        let fate = self.fate_of(|| LateCall::Push(cx, lane.clone(), task.clone())).await;
        self.fates.run(fate, || self.good.push(cx, lane, task.clone())).await
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        self.do_late_calls().await;
        // The context's deadline is kept.
        let next = self.fates.next(Nature::Read, false);
        let fate = Fate { before: Duration::ZERO, after: Duration::ZERO, ..next };
        self.fates.run(fate, || self.good.wait(cx, lane)).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        self.call(Nature::Write, || self.good.lease(cx, lane, max, visibility)).await
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        let fate = self.fate_of(|| LateCall::Extend(cx, lease.clone(), visibility)).await;
        self.fates.run(fate, || self.good.extend(cx, lease, visibility)).await
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        let fate = self.fate_of(|| LateCall::Settle(cx, lease.clone(), settlement.clone())).await;
        self.fates.run(fate, || self.good.settle(cx, lease, settlement.clone())).await
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        // A second one might remove what another pushed since.
        self.call(Nature::Write, || self.good.cancel(cx, lane, id)).await
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.call(Nature::Read, || self.good.depth(lane)).await
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        self.call(Nature::Read, || self.good.lanes(after, max)).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        self.call(Nature::Read, || self.good.list(lane, place, after, max)).await
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.call(Nature::Write, || self.good.redrive(cx, lane, id, at, note.clone())).await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.call(Nature::Write, || self.good.purge(cx, lane, place)).await
    }
}

impl fmt::Debug for FaultyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyQueue")
            .field("good", &self.good)
            .field("counts", &self.counts())
            .field("late", &self.late.lock().len())
            .finish_non_exhaustive()
    }
}
