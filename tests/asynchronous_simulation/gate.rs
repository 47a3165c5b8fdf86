//! Where a process dies: before or behind any call that it makes of a port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc::core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc::core::port::store::{ChangeStream, Record, Revision, StoreCapabilities, When};
use fc::core::{Queue, Store, Timestamp};
use fc::{Context, Result};
use parking_lot::Mutex;

use crate::counts::Seen;
use crate::truth::{Shared, TrueStore};

/// One life of a process.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) host: String,
    steps: AtomicU64,
    /// At which step it dies.
    dies_at: AtomicU64,
    is_dead: AtomicBool,
    /// What is seen of it from outside.
    pub(crate) seen: Mutex<Seen>,
    facts: Shared,
    records: Arc<TrueStore>,
}

impl Life {
    pub(crate) fn new(
        host: String,
        dies_at: Option<u64>,
        facts: Shared,
        records: Arc<TrueStore>,
    ) -> Arc<Self> {
        let dies_at = AtomicU64::new(dies_at.unwrap_or(u64::MAX));
        let (steps, is_dead) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { host, steps, dies_at, is_dead, seen: Mutex::default(), facts, records })
    }

    fn settled(&self, token: &LeaseToken, settlement: &Settlement, answer: &Result<()>) {
        let name = token.task.strip_prefix("i/").unwrap_or_default();
        let is_tracked = self.facts.lock().is_tracked(name);
        let recorded = is_tracked.then(|| self.records.ending(name));
        self.seen.lock().settled(token, settlement, answer, recorded);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    pub(crate) fn spare(&self) {
        self.dies_at.store(u64::MAX, Ordering::SeqCst);
    }

    /// Goes on, or is dead: then nothing that this process does has an effect any more.
    pub(crate) async fn step(&self) {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        if step >= self.dies_at.load(Ordering::SeqCst) {
            self.is_dead.store(true, Ordering::SeqCst);
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.step().await;
        let output = call.await;
        self.step().await;
        output
    }
}

/// A port as one process has it.
#[derive(Debug)]
pub(crate) struct Gated<P> {
    pub(crate) life: Arc<Life>,
    pub(crate) good: Arc<P>,
}

#[async_trait]
impl<Q: Queue> Queue for Gated<Q> {
    fn capabilities(&self) -> QueueCapabilities {
        self.good.capabilities()
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        self.life.around(self.good.push(cx, lane, task)).await
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        self.life.around(self.good.wait(cx, lane)).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let leased = self.life.around(self.good.lease(cx, lane, max, visibility)).await?;
        self.life.seen.lock().leased(&leased);
        Ok(leased)
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        self.life.around(self.good.extend(cx, lease, visibility)).await
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        let settled = self.good.settle(cx, lease, settlement.clone());
        let answer = self.life.around(settled).await;
        self.life.settled(lease, &settlement, &answer);
        answer
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        let cancelled = self.life.around(self.good.cancel(cx, lane, id)).await?;
        if cancelled == Cancelled::Removed {
            self.life.seen.lock().cancelled();
        }
        Ok(cancelled)
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.life.around(self.good.depth(lane)).await
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        self.life.around(self.good.lanes(after, max)).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        self.life.around(self.good.list(lane, place, after, max)).await
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.life.around(self.good.redrive(cx, lane, id, at, note)).await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.life.around(self.good.purge(cx, lane, place)).await
    }
}

#[async_trait]
impl<S: Store> Store for Gated<S> {
    fn capabilities(&self) -> StoreCapabilities {
        self.good.capabilities()
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.life.around(self.good.get(key)).await
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        self.life.around(self.good.put(key, value, when)).await
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        self.life.around(self.good.delete(key, when)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        self.life.around(self.good.list(prefix, after, max)).await
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        self.life.around(self.good.watch(prefix, since)).await
    }
}
