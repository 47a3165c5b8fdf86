//! What the cases have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fc_core::{
    Body, Clock, Context, Error, Exit, FunctionVersion, Instance, InstanceId, InstanceSpec,
    Invocation, InvocationKind, LogType, Qualifier, Reply, Request, RequestId, Runtime,
    SystemClock, Target,
};

use super::{Behaviour, Subject};
use crate::conformance::{PATIENCE, Verdict, done, ensure, soon};

/// Most requests at once that the suite sends to one instance.
pub(super) const CONCURRENCY_TRIED_MAX: u32 = 16;

/// Nothing that a test waits for.
pub(super) const FOR_EVER_MS: &str = "600000";

pub(super) const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

pub(super) fn context() -> Context {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff_ffff;
    let text = format!("1-00000001-{:08x}-{serial:012x}", std::process::id());
    Context::new(text.parse().unwrap_or(RequestId::NIL))
}

/// One running instance.
pub(super) struct Running {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) version: Arc<FunctionVersion>,
}

impl Running {
    /// Starts an instance, if there is such a function.
    pub(super) async fn start(
        fixture: &Subject,
        runtime: &Arc<dyn Runtime>,
        behaviour: Behaviour,
    ) -> Result<Option<Self>, String> {
        let Some(version) = fixture.version(behaviour) else {
            return Ok(None);
        };
        let started = start(fixture, runtime, &version).await?;
        Ok(Some(Self { instance: done("start", started)?, version }))
    }

    pub(super) fn invocation(&self, body: impl Into<Body>) -> Invocation {
        Invocation {
            target: Target::Resolved {
                version: self.version.clone(),
                qualifier: Qualifier::default(),
            },
            kind: InvocationKind::Event,
            client_ip: None,
            log: LogType::None,
            asynchronous: None,
            request: Request::new(body.into()),
        }
    }

    pub(super) async fn invoke(
        &self,
        body: impl Into<Body>,
    ) -> Result<Result<Reply, Error>, String> {
        soon("an answer", self.instance.invoke(context(), self.invocation(body))).await
    }

    /// The answer's body.
    pub(super) async fn ask(&self, body: impl Into<Body>) -> Result<Bytes, String> {
        text(done("invoke", self.invoke(body).await?)?).await
    }

    pub(super) async fn stop(&self) -> Verdict {
        done("stop", soon("stop", self.instance.stop(context())).await?)
    }

    pub(super) async fn exited(&self) -> Result<Exit, String> {
        soon("exited", self.instance.exited()).await
    }
}

pub(super) async fn start(
    fixture: &Subject,
    runtime: &Arc<dyn Runtime>,
    version: &Arc<FunctionVersion>,
) -> Result<Result<Arc<dyn Instance>, Error>, String> {
    let spec = spec(fixture, version);
    done("prepare", soon("prepare", runtime.prepare(context(), version)).await?)?;
    Ok(runtime.start(context(), &spec).await)
}

pub(super) fn spec(fixture: &Subject, version: &Arc<FunctionVersion>) -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::from_request(context().request_id),
        version: version.clone(),
        attachment: fixture.attachment(),
        boost: None,
    }
}

pub(super) async fn text(reply: Reply) -> Result<Bytes, String> {
    let body = reply.response.into_body().read(ANSWER_BYTES_MAX);
    done("the answer's body", soon("the answer's body", body).await?)
}

pub(super) async fn pause(millis: u64) {
    let clock = SystemClock::new();
    clock.sleep_until(clock.now() + Duration::from_millis(millis)).await;
}

/// Waits until the driver holds no more than `before`.
pub(super) async fn released(fixture: &Subject, before: Option<usize>) -> Verdict {
    let (Some(before), clock) = (before, SystemClock::new()) else {
        return Ok(());
    };
    let end = clock.now() + PATIENCE;
    while let Some(held) = fixture.held() {
        if held <= before {
            return Ok(());
        }
        ensure(clock.now() < end, || {
            format!("{held} things are held, before there were {before}")
        })?;
        pause(10).await;
    }
    Ok(())
}

/// Starts an instance of a behaviour, or ends the case: there is no such function.
macro_rules! started {
    ($fixture:expr, $runtime:expr, $behaviour:ident) => {
        match Running::start($fixture, $runtime, Behaviour::$behaviour).await? {
            Some(running) => running,
            None => return Ok(()),
        }
    };
}
pub(super) use started;
