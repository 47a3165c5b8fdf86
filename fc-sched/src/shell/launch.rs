//! Starting and stopping instances.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fc_core::{
    Attachment, Context, Deadline, Error, ErrorKind, Exit, Hook, Instance, InstanceId,
    InstanceSpec, Instant, NetworkPolicy, Result,
};
use futures_util::FutureExt;
use parking_lot::Mutex;

use super::{PoolShell, QuotaPermit, Running};
use crate::core::{InstanceKey, StopReason};

/// What a runtime may take to stop an instance, before it is asked again.
const STOP_MAX: Duration = Duration::from_secs(10);

/// What a runtime has to say that an instance was not ready in time.
const READY_GRACE: Duration = Duration::from_secs(1);

/// How often it is asked.
const STOP_ATTEMPTS: u32 = 3;

impl PoolShell {
    /// Starts an instance, or fails those it is for if their account may have no more (QUO-4).
    pub(super) fn begin_start(self: &Arc<Self>, key: InstanceKey) {
        let version = &self.version;
        let (account, size) = (version.account(), version.resources());
        match self.around.accounts.permit(account, size, self.now()) {
            Ok(permit) => self.spawn_start(key, permit),
            Err(exceeded) => {
                tracing::info!(function = %version.name(), %account, %exceeded, "start refused");
                let error = Error::from(exceeded);
                self.update(Some(&error), |core| core.start_failed(key));
            }
        }
    }

    fn spawn_start(self: &Arc<Self>, key: InstanceKey, permit: QuotaPermit) {
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            match unless_panicked(pool.start(key)).await {
                Ok(running) => {
                    *running.permit.lock() = Some(permit);
                    let running = Arc::new(running);
                    let now = pool.now();
                    pool.update(None, |core| core.ready(key, running.clone(), now));
                    // A task of its own: this one is as large as a start needs. After `ready`: an
                    // exit that came before would find nothing to end.
                    let watch = pool.clone().watch(key, running.instance.clone());
                    let watch = pool.around.tasks.spawn(watch);
                    let _ = running.watch.set(watch.abort_handle());
                }
                Err(error) => {
                    drop(permit);
                    tracing::warn!(function = %pool.version.name(), %error, "start failed");
                    pool.update(Some(&error), |core| core.start_failed(key));
                }
            }
        });
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

    async fn start(&self, key: InstanceKey) -> Result<Running> {
        let begun = self.now();
        let by = begun + Duration::from_millis(self.around.limits.ready_ms_max);
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let id = InstanceId::from_request(cx.request_id);
        self.in_time(by, self.prepare(cx)).await?;
        let policy = NetworkPolicy::default();
        let attach = self.around.network.attach(cx, id, &policy);
        let attachment = self.in_time(by, attach).await?;
        let attached = attachment.id;
        let start = unless_panicked(self.start_attached(key, cx, id, attachment));
        match self.unless_stopped(start).await {
            Ok(instance) => {
                let (born, watch) = (self.now(), OnceLock::new());
                let initialized = born - begun;
                let permit = Mutex::new(None);
                Ok(Running { id, instance, attachment: attached, permit, initialized, born, watch })
            }
            Err(error) => {
                self.detach(attached).await;
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
        tokio::select! {
            done = work => done,
            () = self.around.stop.cancelled() => {
                Err(Error::new(ErrorKind::ResourceThrottled, "the platform is shutting down"))
            }
        }
    }

    async fn start_attached(
        &self,
        key: InstanceKey,
        cx: Context,
        id: InstanceId,
        attachment: Attachment,
    ) -> Result<Arc<dyn Instance>> {
        let around = &self.around;
        let runtime = around.runtime(self.version.runtime().kind())?;
        let spec = InstanceSpec { id, version: self.version.clone(), attachment };
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

    async fn detach(&self, id: fc_core::AttachmentId) {
        let by = self.now() + STOP_MAX;
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let detach = self.around.network.detach(cx, id);
        match self.around.clock.with_deadline(by, detach).await {
            Ok(Ok(())) => {}
            failed => {
                let function = self.version.name();
                tracing::error!(%function, ?failed, "network not detached: reconcile frees it");
            }
        }
    }

    pub(super) fn spawn_stop(
        self: &Arc<Self>,
        key: InstanceKey,
        running: Arc<Running>,
        reason: StopReason,
    ) {
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            if reason == StopReason::Retired {
                tokio::select! {
                    () = pool.pre_stop(&*running.instance) => {}
                    // A shutdown whose time is up does not wait for hooks.
                    () = pool.around.stop.cancelled() => {}
                }
            }
            pool.stop(&*running.instance).await;
            // An instance that could not be stopped would be watched for ever.
            if let Some(watch) = running.watch.get() {
                watch.abort();
            }
            pool.detach(running.attachment).await;
            drop(running.permit.lock().take());
            pool.update(None, |core| core.gone(key));
        });
    }

    /// Runs the function's last hook within its own limit. Its failure is noted and ignored.
    async fn pre_stop(&self, instance: &dyn Instance) {
        let lifecycle = self.version.lifecycle();
        let Some(hook) = lifecycle.and_then(|config| config.pre_stop.as_ref()) else {
            return;
        };
        let by = self.now() + Duration::from_secs(hook.timeout.into());
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let run = instance.run_hook(cx, Hook::PreStop);
        match self.around.clock.with_deadline(by, run).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(function = %self.version.name(), %error, "PreStop failed");
            }
            Err(_) => tracing::info!(function = %self.version.name(), "PreStop timed out"),
        }
    }

    async fn stop(&self, instance: &dyn Instance) {
        for attempt in 1..=STOP_ATTEMPTS {
            let by = self.now() + STOP_MAX;
            let cx = self.around.own_context().with_deadline(Deadline::at(by));
            match self.around.clock.with_deadline(by, instance.stop(cx)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::warn!(function = %self.version.name(), %error, attempt, "stop failed");
                }
                Err(_) => {
                    tracing::warn!(function = %self.version.name(), attempt, "stop timed out");
                }
            }
        }
        tracing::error!(function = %self.version.name(), "an instance could not be stopped");
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

/// An instance that does not serve yet. Dropped before it does, it is stopped by a task.
struct StartedInstance<'p> {
    pool: &'p PoolShell,
    instance: Option<Arc<dyn Instance>>,
}

impl StartedInstance<'_> {
    async fn initialize(mut self, key: InstanceKey, cx: Context) -> Result<Arc<dyn Instance>> {
        let pool = self.pool;
        pool.note_initializing(key);
        let outcome = match &self.instance {
            Some(instance) => pool.run_initializer(&**instance, cx).await,
            None => Ok(()),
        };
        match (outcome, self.instance.take()) {
            (Ok(()), Some(instance)) => Ok(instance),
            (Err(error), Some(instance)) => {
                self.instance = Some(instance.clone());
                pool.stop(&*instance).await;
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
    fn note_initializing(&self, key: InstanceKey) {
        self.with_core(|core| core.initializing(key));
    }

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
