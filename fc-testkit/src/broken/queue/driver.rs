//! A good queue behind a wrapper that breaks one rule.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc_core::{Clock, Context, Queue, RequestId, Result, Timestamp};
use parking_lot::Mutex;

use super::QueueFault;
use super::seen::{Held, Seen, key};

/// A good queue behind a wrapper that breaks one rule.
#[derive(Debug)]
pub struct BrokenQueue {
    pub(super) good: Arc<dyn Queue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fault: QueueFault,
    pub(super) seen: Mutex<Seen>,
}

impl BrokenQueue {
    /// Breaks `good`, which goes by this clock.
    pub fn new(good: Arc<dyn Queue>, clock: Arc<dyn Clock>, fault: QueueFault) -> Self {
        Self { good, clock, fault, seen: Mutex::default() }
    }

    /// What a crash does to it. Thereafter it breaks no rule but those about crashes.
    ///
    /// # Errors
    ///
    /// Whatever the good queue's are.
    pub async fn crash(&self) -> Result<()> {
        let last = {
            let mut seen = self.seen.lock();
            seen.has_crashed = true;
            seen.fence_base = None;
            seen.last_push.take()
        };
        if let (QueueFault::LastPushIsNotDurable, Some((lane, id))) = (self.fault, last) {
            let waiting = self.good.list(&lane, Place::Waiting, None, usize::MAX).await?;
            if waiting.iter().any(|view| view.id == id && view.leases == 0) {
                self.good.cancel(Context::new(RequestId::NIL), &lane, &id).await?;
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, fault: QueueFault) -> bool {
        self.fault == fault && !self.seen.lock().has_crashed
    }

    /// A tenth of a second before `at`, if this is the fault.
    pub(super) fn early(&self, fault: QueueFault, at: Timestamp) -> Timestamp {
        let ms = if self.has(fault) { 100 } else { 0 };
        Timestamp::from_unix_millis(at.as_unix_millis().saturating_sub(ms))
    }

    pub(super) async fn stands(&self, lane: &Lane, id: &str, place: Place) -> Result<bool> {
        let listed = self.good.list(lane, place, None, usize::MAX).await?;
        Ok(listed.iter().any(|view| view.id == id))
    }

    pub(super) async fn is_known(&self, lane: &Lane, id: &str) -> Result<bool> {
        Ok(self.stands(lane, id, Place::Waiting).await?
            || self.stands(lane, id, Place::Leased).await?
            || self.stands(lane, id, Place::Buried).await?)
    }

    /// The token that the good queue gave.
    pub(super) fn real(&self, token: &LeaseToken) -> LeaseToken {
        let fence = match self.fault {
            QueueFault::FencesFall => u64::MAX - token.fence,
            QueueFault::FencesBeginAnew => {
                token.fence + self.seen.lock().fence_base.unwrap_or_default()
            }
            _ => token.fence,
        };
        LeaseToken { fence, ..token.clone() }
    }

    /// The time that was pushed with a task, if the good queue was given another.
    fn time(&self, lane: &Lane, id: &str, is: Timestamp) -> Timestamp {
        let asked = || self.seen.lock().times.get(&(lane.clone(), id.to_owned())).copied();
        if self.fault == QueueFault::DelayIsShort { asked().unwrap_or(is) } else { is }
    }

    /// Leases, and remembers it.
    async fn lease_and_note(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let leased = self.good.lease(cx, lane, max, visibility).await?;
        let until = self.after(visibility);
        let mut seen = self.seen.lock();
        seen.leases += 1;
        for Leased { token, note, .. } in &leased {
            let held = Held { token: token.clone(), until, note: note.clone() };
            seen.held.insert(key(token), held);
        }
        Ok(leased)
    }

    pub(super) fn after(&self, span: Duration) -> Timestamp {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_unix_millis(self.clock.wall().as_unix_millis().saturating_add(ms))
    }

    /// What the lessee is shown of a lease.
    fn shown(&self, mut leased: Leased) -> Leased {
        leased.visible_at = self.time(&leased.token.lane, &leased.token.task, leased.visible_at);
        if self.has(QueueFault::LeasesAreNotCounted) {
            leased.leases_before = 0;
        }
        let fence = leased.token.fence;
        leased.token.fence = match self.fault {
            QueueFault::FencesFall => u64::MAX - fence,
            QueueFault::FencesBeginAnew => {
                fence - *self.seen.lock().fence_base.get_or_insert(fence - 1)
            }
            _ => fence,
        };
        leased
    }
}

#[async_trait]
impl Queue for BrokenQueue {
    fn capabilities(&self) -> QueueCapabilities {
        let mut capabilities = self.good.capabilities();
        if self.has(QueueFault::CapabilitiesChange) {
            let mut seen = self.seen.lock();
            seen.asked += 1;
            // Small enough to disturb no other case.
            capabilities.delay_max += Duration::from_nanos(seen.asked);
        }
        capabilities
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        self.seen.lock().settle_down();
        self.push_brokenly(cx, lane, task).await
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        self.wait_brokenly(cx, lane).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        mut max: usize,
        mut visibility: Duration,
    ) -> Result<Vec<Leased>> {
        self.seen.lock().settle_down();
        if self.has(QueueFault::ZeroIsOne) {
            max = max.max(1);
        }
        if self.has(QueueFault::LongVisibilityIsCut) && visibility > Duration::from_secs(60) {
            visibility = Duration::from_millis(1);
        }
        let mut among = Vec::new();
        if self.has(QueueFault::LeaseIsNotAtomic) {
            let others = {
                let mut seen = self.seen.lock();
                seen.leasing += 1;
                seen.leasing - 1
            };
            tokio::task::yield_now().await;
            let mut seen = self.seen.lock();
            seen.leasing -= 1;
            if others > 0 {
                among = seen.last_lease.get(lane).cloned().unwrap_or_default();
            }
        }
        let mut leased = self.lease_and_note(cx, lane, max, visibility).await?;
        self.seen.lock().last_lease.insert(lane.clone(), leased.clone());
        leased.extend(among);
        if self.has(QueueFault::LaneIsFolder) && leased.len() < max {
            let below = format!("{lane}/");
            for other in self.good.lanes(None, usize::MAX).await? {
                if other.as_str().starts_with(&below) {
                    let left = max - leased.len();
                    leased.extend(self.lease_and_note(cx, &other, left, visibility).await?);
                }
            }
        }
        if self.has(QueueFault::LastComesFirst) {
            leased.reverse();
        }
        Ok(leased.into_iter().map(|leased| self.shown(leased)).collect())
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        self.extend_brokenly(cx, &self.real(lease), visibility).await
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        self.settle_brokenly(cx, &self.real(lease), settlement).await
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        self.seen.lock().settle_down();
        self.cancel_brokenly(cx, lane, id).await
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.seen.lock().settle_down();
        self.depth_brokenly(lane).await
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        self.lanes_brokenly(after, max).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        let mut views = self.list_brokenly(lane, place, after, max).await?;
        for view in &mut views {
            view.visible_at = self.time(lane, &view.id, view.visible_at);
        }
        Ok(views)
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.redrive_brokenly(cx, lane, id, at, note).await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.purge_brokenly(cx, lane, place).await
    }
}
