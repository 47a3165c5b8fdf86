//! Taking an idle instance's CPU away, and giving it back (SCH-7).

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Deadline, Error, ErrorKind, Hook, Result};

use super::{PoolShell, Running};
use crate::core::InstanceKey;

/// What a runtime may take to suspend or to resume.
const SUSPEND_MAX: Duration = Duration::from_secs(5);

impl PoolShell {
    pub(super) fn spawn_freeze(self: &Arc<Self>, key: InstanceKey, running: Arc<Running>) {
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            pool.pre_freeze(&running).await;
            let frozen = pool.suspended(&running, true).await;
            if let Err(error) = &frozen {
                tracing::warn!(function = %pool.version.name(), %error, "not frozen: it ends");
            }
            pool.update(None, |core| core.frozen(key, frozen.is_ok()));
        });
    }

    pub(super) fn spawn_thaw(self: &Arc<Self>, key: InstanceKey, running: Arc<Running>) {
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            let thawed = pool.suspended(&running, false).await;
            if let Err(error) = &thawed {
                tracing::warn!(function = %pool.version.name(), %error, "not thawed: it ends");
            }
            let now = pool.now();
            pool.update(None, |core| core.thawed(key, thawed.is_ok(), now));
        });
    }

    /// Ends the time in which an instance had more CPU (QUO-5).
    pub(super) fn spawn_end_boost(self: &Arc<Self>, running: Arc<Running>) {
        let runtime = running.node.runtime(self.version.runtime().kind());
        let enforced = runtime.is_ok_and(|runtime| runtime.capabilities().enforces.cpu);
        if self.boost(enforced).is_none() {
            // It was given none: pools do not know which of their instances were.
            return;
        }
        let pool = self.clone();
        self.around.tasks.spawn(async move {
            let by = pool.now() + SUSPEND_MAX;
            let cx = pool.around.own_context().with_deadline(Deadline::at(by));
            let end = running.instance.end_boost(cx);
            match pool.around.clock.with_deadline(by, end).await {
                Ok(Ok(())) => {}
                failed => {
                    let function = pool.version.name();
                    tracing::warn!(%function, ?failed, "an instance keeps the CPU of its start");
                }
            }
        });
    }

    /// Runs the function's hook within its own limit, before its CPU is taken (I16). Its failure is
    /// noted and ignored.
    async fn pre_freeze(&self, running: &Running) {
        let lifecycle = self.version.lifecycle();
        let Some(hook) = lifecycle.and_then(|config| config.pre_freeze.as_ref()) else {
            return;
        };
        let by = self.now() + Duration::from_secs(hook.timeout.into());
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let run = running.instance.run_hook(cx, Hook::PreFreeze);
        match self.around.clock.with_deadline(by, run).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::info!(function = %self.version.name(), %error, "PreFreeze failed");
            }
            Err(_) => tracing::info!(function = %self.version.name(), "PreFreeze timed out"),
        }
    }

    async fn suspended(&self, running: &Running, suspend: bool) -> Result<()> {
        let by = self.now() + SUSPEND_MAX;
        let cx = self.around.own_context().with_deadline(Deadline::at(by));
        let work = async {
            if suspend {
                running.instance.suspend(cx).await
            } else {
                running.instance.resume(cx).await
            }
        };
        self.around.clock.with_deadline(by, work).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} s", SUSPEND_MAX.as_secs());
            Err(Error::new(ErrorKind::InternalServerError, message))
        })
    }
}
