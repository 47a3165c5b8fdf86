//! One scripted instance.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    Body, Clock, Context, Error, ErrorKind, Exit, Hook, Instance, InstanceSpec, Invocation, Reply,
    RequestId, Response, Result,
};
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::answer::{Crowd, EndsWithInstance, Presence, died, exit_of};
use super::witness::{Event, Ledger};
use super::{Answer, Script, ScriptedRuntime, Scripts};

/// Requests whose log is kept.
const LOGS_MAX: usize = 16;

/// Most that is read of a request: twice what a gateway lets through.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) struct ScriptedInstance {
    clock: Arc<dyn Clock>,
    spec: InstanceSpec,
    scripts: Arc<Mutex<Scripts>>,
    ledger: Arc<Mutex<Ledger>>,
    streaming: bool,
    suspend: bool,
    enforces_cpu: bool,
    initializer_fails: bool,
    initialized: AtomicBool,
    exit: watch::Sender<Option<Exit>>,
    crowd: Arc<watch::Sender<Crowd>>,
    logs: Mutex<VecDeque<(RequestId, Bytes)>>,
}

impl ScriptedInstance {
    fn print(&self, request: RequestId, text: Bytes) {
        let mut logs = self.logs.lock();
        logs.truncate(LOGS_MAX - 1);
        logs.push_front((request, text));
    }

    pub(super) fn new(
        runtime: &ScriptedRuntime,
        spec: InstanceSpec,
        initializer_fails: bool,
    ) -> Self {
        Self {
            clock: runtime.clock.clone(),
            spec,
            scripts: runtime.scripts.clone(),
            ledger: runtime.ledger.clone(),
            streaming: runtime.capabilities.streaming,
            suspend: runtime.capabilities.suspend,
            enforces_cpu: runtime.capabilities.enforces.cpu,
            initializer_fails,
            initialized: AtomicBool::new(false),
            exit: watch::Sender::new(None),
            crowd: Arc::default(),
            logs: Mutex::default(),
        }
    }

    fn script(&self) -> Script {
        self.scripts.lock().of(&self.spec.version).clone()
    }

    /// Ends it, if nothing has ended it before.
    fn end(&self, exit: Exit) {
        self.exit.send_if_modified(|before| {
            let alive = before.is_none();
            before.get_or_insert(exit);
            alive
        });
    }

    async fn pass(&self, time: Duration) {
        if !time.is_zero() {
            self.clock.sleep_until(self.clock.now() + time).await;
        }
    }

    async fn answer(&self, cx: Context, invocation: Invocation, serial: u64) -> Result<Response> {
        let script = self.script();
        self.pass(script.run_time).await;
        let (head, body) = invocation.request.into_parts();
        let text = |text: String| Ok(Response::new(Body::from(text)));
        match script.answer {
            Answer::Echo => {
                let body =
                    if self.streaming { body } else { body.read(BODY_BYTES_MAX).await?.into() };
                let mut response = Response::new(body);
                let headers = response.headers_mut();
                let path = head.uri.path_and_query().map_or("", |path| path.as_str());
                for (name, value) in [("x-method", head.method.as_str()), ("x-path", path)] {
                    if let Ok(value) = HeaderValue::from_str(value) {
                        headers.insert(name, value);
                    }
                }
                Ok(response)
            }
            Answer::Wait => {
                let (millis, body) = number(body).await?;
                self.pass(Duration::from_millis(millis)).await;
                Ok(Response::new(body))
            }
            Answer::Meet => {
                let (others, body) = number(body).await?;
                let mut crowd = self.crowd.subscribe();
                // The sender is this instance's own: it cannot be gone.
                let _ = crowd.wait_for(|crowd| u64::from(crowd.peak) >= others).await;
                Ok(Response::new(body))
            }
            Answer::Count => text(serial.to_string()),
            Answer::Initialized => {
                let yes = self.initialized.load(Ordering::Acquire);
                text(if yes { "yes" } else { "no" }.to_owned())
            }
            Answer::Print => {
                let printed = body.read(BODY_BYTES_MAX).await?;
                self.print(cx.request_id, printed.clone());
                Ok(Response::new(printed.into()))
            }
            Answer::Never => std::future::pending().await,
            Answer::Fail => {
                self.print(cx.request_id, Bytes::from_static(b"about to fail"));
                Err(Error::new(ErrorKind::FunctionFailed, "scripted to fail"))
            }
            Answer::Crash => {
                self.ledger.lock().happened(self.spec.id, Event::Crashed);
                self.end(Exit::Code(1));
                Err(died(Exit::Code(1)))
            }
            // What a bug of a driver looks like to its caller.
            Answer::Panic => panic!("scripted to panic"),
        }
    }

    fn suspending(&self, event: Event) -> Result<()> {
        if !self.suspend {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "suspend: not declared by this runtime",
            ));
        }
        self.ledger.lock().happened(self.spec.id, event);
        Ok(())
    }
}

#[async_trait]
impl Instance for ScriptedInstance {
    async fn run_hook(&self, _: Context, hook: Hook) -> Result<()> {
        self.ledger.lock().happened(self.spec.id, Event::Hook(hook));
        self.pass(self.script().hook_time).await;
        if hook == Hook::Initialize {
            if self.initializer_fails {
                let what = "the initializer is scripted to fail";
                return Err(Error::new(ErrorKind::InitializationError, what));
            }
            self.initialized.store(true, Ordering::Release);
        }
        Ok(())
    }

    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let id = self.spec.id;
        let dead = self.exit.borrow().is_some();
        let serial = self.ledger.lock().entered(id, &invocation, dead);
        self.crowd.send_modify(Crowd::enter);
        let presence = Presence { id, ledger: self.ledger.clone(), crowd: self.crowd.clone() };
        let response = tokio::select! {
            biased;
            exit = exit_of(self.exit.subscribe()) => return Err(died(exit)),
            response = self.answer(cx, invocation, serial) => response?,
        };
        let exit = Box::pin(exit_of(self.exit.subscribe()));
        let response = response.map(|body| {
            body.map_stream(|stream| EndsWithInstance { stream, exit })
                .guarded(move |_| drop(presence))
        });
        let mut reply = Reply::new(response);
        reply.report.instance = Some(id);
        reply.report.version = self.spec.version.id();
        Ok(reply)
    }

    async fn log_tail(&self, request: RequestId, max: usize) -> Option<Bytes> {
        let logs = self.logs.lock();
        let (_, log) = logs.iter().find(|(id, _)| *id == request)?;
        Some(log.slice(log.len().saturating_sub(max)..))
    }

    async fn suspend(&self, _: Context) -> Result<()> {
        self.suspending(Event::Suspended)
    }

    async fn resume(&self, _: Context) -> Result<()> {
        self.suspending(Event::Resumed)
    }

    async fn end_boost(&self, _: Context) -> Result<()> {
        if !self.enforces_cpu {
            let what = "CPU: not enforced by this runtime";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        self.ledger.lock().happened(self.spec.id, Event::BoostEnded);
        Ok(())
    }

    async fn exited(&self) -> Exit {
        exit_of(self.exit.subscribe()).await
    }

    async fn stop(&self, _: Context) -> Result<()> {
        self.ledger.lock().happened(self.spec.id, Event::Stopped);
        self.end(Exit::Stopped);
        Ok(())
    }
}

impl fmt::Debug for ScriptedInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedInstance")
            .field("id", &self.spec.id)
            .field("exit", &*self.exit.borrow())
            .finish()
    }
}

async fn number(body: Body) -> Result<(u64, Body)> {
    let text = body.read(20).await?;
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| Error::invalid("body", "must be a number"))?;
    Ok((number, text.into()))
}
