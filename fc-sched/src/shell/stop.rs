//! Stopping instances.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{AttachmentId, Deadline, Hook, Instance};

use super::{PoolShell, Running};
use crate::core::{InstanceKey, StopReason};
use crate::sync::select;

/// What a runtime may take to stop an instance, before it is asked again.
const STOP_MAX: Duration = Duration::from_secs(10);

/// How often it is asked.
const STOP_ATTEMPTS: u32 = 3;

/// What it may take on a node that is lost: it frees what it has here, once.
const LOST_STOP_MAX: Duration = Duration::from_secs(1);

/// By when an instance is gone whose stop was decided: every attempt timed out, and so did its
/// network.
pub(crate) const STOPPED_WITHIN: Duration = STOP_MAX.saturating_mul(STOP_ATTEMPTS + 1);

impl PoolShell {
    pub(super) fn spawn_stop(
        self: &Arc<Self>,
        key: InstanceKey,
        running: Arc<Running>,
        reason: StopReason,
    ) {
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            let lost = running.node.lost.is_cancelled();
            if let StopReason::Retired { frozen } = reason
                && !lost
            {
                select! {
                    () = pool.pre_stop(&*running.instance, frozen) => {},
                    // A shutdown whose time is up does not wait for hooks.
                    () = pool.around.stop.cancelled() => {},
                    () = running.node.lost.cancelled() => {},
                }
            }
            pool.stop(&*running.instance, lost).await;
            // An instance that could not be stopped would be watched for ever.
            if let Some(watch) = running.watch.get() {
                watch.abort();
            }
            pool.detach(running.attachment).await;
            let share = running.share.lock().take();
            pool.update(None, |core| core.gone(key));
            // Last: whoever gets the share next finds the pool without this instance.
            drop(share);
        });
    }

    /// Runs the function's last hook within its own limit. Its failure is noted and ignored.
    async fn pre_stop(&self, instance: &dyn Instance, frozen: bool) {
        let lifecycle = self.version.lifecycle();
        let Some(hook) = lifecycle.and_then(|config| config.pre_stop.as_ref()) else {
            return;
        };
        let by = self.now() + Duration::from_secs(hook.timeout.into());
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let run = async {
            if frozen {
                instance.resume(cx).await?;
            }
            instance.run_hook(cx, Hook::PreStop).await
        };
        match self.around.clock.with_deadline(by, run).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(function = %self.version.name(), %error, "PreStop failed");
            }
            Err(_) => tracing::info!(function = %self.version.name(), "PreStop timed out"),
        }
    }

    pub(super) async fn stop(&self, instance: &dyn Instance, lost: bool) {
        let (attempts, most) = if lost { (1, LOST_STOP_MAX) } else { (STOP_ATTEMPTS, STOP_MAX) };
        for attempt in 1..=attempts {
            let by = self.now() + most;
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
        tracing::error!(function = %self.version.name(), lost, "an instance could not be stopped");
    }

    pub(super) async fn detach(&self, id: AttachmentId) {
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
}
