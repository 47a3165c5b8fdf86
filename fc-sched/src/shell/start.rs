//! Starting instances.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fc_core::{
    Attachment, Context, CpuBoost, Deadline, Error, ErrorKind, Exit, Hook, Instance, InstanceId,
    InstanceSpec, Instant, NetworkPolicy, Result,
};
use futures_util::FutureExt;

use super::{NodeShell, PoolShell, Running, Share};
use crate::core::InstanceKey;
use crate::core::placement::NodeKey;
use crate::sync::{Mutex, Planted, planted, select};

/// What a runtime has to say that an instance was not ready in time.
const READY_GRACE: Duration = Duration::from_secs(1);

/// Why a start gave nothing.
enum NoStart {
    /// It failed: those it was for are told.
    Failed(Error),
    /// Its node is gone: those it was for wait for another.
    NodeLost,
}

impl From<Error> for NoStart {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl PoolShell {
    /// Starts the instance that the core has just created.
    pub(super) fn spawn_start(self: &Arc<Self>, key: InstanceKey) {
        let Some(state) = self.with_core(|core| core.slots().state(key)) else {
            return;
        };
        let share = Share::new(self, key, state.node());
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            match pool.start(key, state.node()).await {
                Ok(running) => {
                    let running = Arc::new(running);
                    if !pool.ready(key, &running, share) {
                        pool.end_lost(key, &running).await;
                        return;
                    }
                    // A task of its own: this one is as large as a start needs. After `ready`: an
                    // exit that came before would find nothing to end.
                    let watch = pool.clone().watch(key, running.instance.clone());
                    let watch = pool.around.tasks.spawn(watch);
                    let _ = running.watch.set(watch.abort_handle());
                }
                Err(NoStart::Failed(error)) => {
                    tracing::warn!(function = %pool.version.name(), %error, "start failed");
                    pool.update(Some(&error), |core| core.start_failed(key));
                    drop(share);
                }
                Err(NoStart::NodeLost) => {
                    let (function, node) = (pool.version.name(), state.node());
                    tracing::warn!(%function, ?node, "node lost while starting: elsewhere");
                    pool.update(None, |core| core.start_lost(key));
                    drop(share);
                }
            }
        });
    }

    /// The instance serves from now on, unless its node is lost: it must not be given a request then.
    ///
    /// Asked under the pool's lock: whoever loses a node marks it first and then looks through the
    /// pools, so it either finds the instance here or is seen here.
    fn ready(self: &Arc<Self>, key: InstanceKey, running: &Arc<Running>, share: Share) -> bool {
        *running.share.lock() = Some(share);
        let now = self.now();
        let mut ready = false;
        self.update(None, |core| {
            ready = planted(Planted::KeepsLost) || !running.node.lost.is_cancelled();
            if ready {
                core.ready(key, running.clone(), now);
            }
        });
        ready
    }

    /// An instance whose node was lost after it started and before it served.
    async fn end_lost(self: &Arc<Self>, key: InstanceKey, running: &Running) {
        let (function, node) = (self.version.name(), &running.node.id);
        tracing::warn!(%function, %node, "node lost while starting: elsewhere");
        self.stop(&*running.instance, true).await;
        self.detach(running.attachment).await;
        let share = running.share.lock().take();
        self.update(None, |core| core.start_lost(key));
        drop(share);
    }

    /// Reports the instance's end.
    async fn watch(self: Arc<Self>, key: InstanceKey, instance: Arc<dyn Instance>) {
        let exit = instance.exited().await;
        drop(instance);
        if exit == Exit::Stopped {
            tracing::debug!(function = %self.version.name(), "instance stopped");
        } else {
            tracing::warn!(function = %self.version.name(), %exit, "instance ended by itself");
        }
        self.update(None, |core| core.exited(key));
    }

    async fn start(&self, key: InstanceKey, on: NodeKey) -> Result<Running, NoStart> {
        let node = self.around.node(on)?;
        let lost = node.lost.clone();
        select! {
            biased;
            () = lost.cancelled() => Err(NoStart::NodeLost),
            started = unless_panicked(self.start_on(key, on, node)) => Ok(started?),
        }
    }

    async fn start_on(
        &self,
        key: InstanceKey,
        on: NodeKey,
        node: Arc<NodeShell>,
    ) -> Result<Running> {
        let begun = self.now();
        let by = begun + Duration::from_millis(self.around.limits.ready_ms_max);
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let id = InstanceId::from_request(cx.request_id);
        self.in_time(by, self.prepare(cx, on, &node)).await?;
        let policy = NetworkPolicy::default();
        let attach = self.around.network.attach(cx, id, &policy);
        let attachment = self.in_time(by, attach).await?;
        // Freed by a task if this future is dropped, as when the node is lost.
        let mut attached = Attached { pool: self, id: Some(attachment.id) };
        let start = unless_panicked(self.start_attached(key, cx, id, attachment, &node));
        match self.unless_stopped(start).await {
            Ok(instance) => {
                let (born, watch) = (self.now(), OnceLock::new());
                let attachment = attached.keep()?;
                let (share, initialized) = (Mutex::new(None), born - begun);
                Ok(Running { id, instance, node, attachment, share, initialized, born, watch })
            }
            Err(error) => {
                if let Ok(id) = attached.keep() {
                    self.detach(id).await;
                }
                Err(error)
            }
        }
    }

    /// Bounds a part of a start, by its own time and by the platform's shutdown.
    async fn in_time<T>(&self, by: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work = self.around.clock.with_deadline(by, work);
        self.unless_stopped(async { work.await.unwrap_or_else(|_| Err(self.not_ready())) }).await
    }

    fn not_ready(&self) -> Error {
        let most = self.around.limits.ready_ms_max;
        let message = format!("the instance was not ready within {most} ms");
        Error::new(ErrorKind::FunctionNotStarted, message)
    }

    /// Gives up a part of a start when the platform's shutdown has run out of time.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        select! {
            done = work => done,
            () = self.around.stop.cancelled() => {
                Err(Error::new(ErrorKind::ResourceThrottled, "the platform is shutting down"))
            },
        }
    }

    async fn start_attached(
        &self,
        key: InstanceKey,
        cx: Context,
        id: InstanceId,
        attachment: Attachment,
        node: &NodeShell,
    ) -> Result<Arc<dyn Instance>> {
        let around = &self.around;
        let runtime = node.runtime(self.version.runtime().kind())?;
        let boost = self.boost(runtime.capabilities().enforces.cpu);
        let spec = InstanceSpec { id, version: self.version.clone(), attachment, boost };
        // The function's server has its whole time, whatever came before it.
        let ready_by = self.now() + Duration::from_millis(around.limits.ready_ms_max);
        let start = runtime.start(cx.with_deadline(Deadline::at(ready_by)), &spec);
        // The runtime, which knows what the program printed, speaks first.
        let started = around.clock.with_deadline(ready_by + READY_GRACE, start).await;
        let instance = started.map_err(|_| self.not_ready())??;
        // Guards the instance while its initializer runs: a dropped start leaves nothing.
        let started = StartedInstance { pool: self, instance: Some(instance) };
        started.initialize(key, cx).await
    }

    /// More CPU for a new instance (QUO-5), where the runtime holds it to any, for as long as the
    /// pool's rules say: what the pool would not end is not given.
    pub(super) fn boost(&self, enforced: bool) -> Option<CpuBoost> {
        let limits = &self.around.limits;
        let cpu_milli = self.version.resources().cpu_milli;
        let boosted = cpu_milli.saturating_mul(limits.cpu_boost_factor).min(limits.cpu_milli_max);
        let lasts = self.with_core(|core| core.rules().boost);
        let boosts = enforced && !lasts.is_zero() && boosted > cpu_milli;
        boosts.then_some(CpuBoost { cpu_milli: boosted, lasts })
    }
}

/// A driver's panic is its failure, not the end of the pool's bookkeeping.
async fn unless_panicked<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Error::internal(format!("the start of an instance panicked: {text}")))
    })
}

/// A network identity whose instance does not serve yet. Dropped before it does, it is freed by a
/// task.
struct Attached<'p> {
    pool: &'p PoolShell,
    id: Option<fc_core::AttachmentId>,
}

impl Attached<'_> {
    /// It is the caller's to free.
    fn keep(&mut self) -> Result<fc_core::AttachmentId> {
        self.id.take().ok_or_else(|| Error::internal("an attachment was freed twice"))
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let (network, cx) = (self.pool.around.network.clone(), self.pool.around.own_context());
            self.pool.around.tasks.spawn(async move {
                if let Err(error) = network.detach(cx, id).await {
                    tracing::error!(%error, "network not detached: reconcile frees it");
                }
            });
        }
    }
}

/// An instance that does not serve yet. Dropped before it does, it is stopped by a task.
struct StartedInstance<'p> {
    pool: &'p PoolShell,
    instance: Option<Arc<dyn Instance>>,
}

impl StartedInstance<'_> {
    async fn initialize(mut self, key: InstanceKey, cx: Context) -> Result<Arc<dyn Instance>> {
        let pool = self.pool;
        pool.with_core(|core| core.initializing(key));
        let outcome = match &self.instance {
            Some(instance) => pool.run_initializer(&**instance, cx).await,
            None => Ok(()),
        };
        match (outcome, self.instance.take()) {
            (Ok(()), Some(instance)) => Ok(instance),
            (Err(error), Some(instance)) => {
                self.instance = Some(instance.clone());
                pool.stop(&*instance, false).await;
                self.instance = None;
                Err(error)
            }
            (_, None) => Err(Error::internal("the instance was lost before it served")),
        }
    }
}

impl Drop for StartedInstance<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            let cx = self.pool.around.own_context();
            self.pool.around.tasks.spawn(async move {
                if let Err(error) = instance.stop(cx).await {
                    tracing::warn!(%error, "stop of a cancelled start failed");
                }
            });
        }
    }
}

impl PoolShell {
    /// Runs the initializer, once, within its own limit (SCH-8).
    async fn run_initializer(&self, instance: &dyn Instance, cx: Context) -> Result<()> {
        let lifecycle = self.version.lifecycle();
        let Some(hook) = lifecycle.and_then(|config| config.initializer.as_ref()) else {
            return Ok(());
        };
        let by = self.now() + Duration::from_secs(hook.timeout.into());
        let run = instance.run_hook(cx.with_deadline(Deadline::at(by)), Hook::Initialize);
        self.around.clock.with_deadline(by, run).await.map_err(|_| {
            let message = format!("initializer: time out after {} s", hook.timeout);
            Error::new(ErrorKind::InitializationError, message)
        })?
    }
}
