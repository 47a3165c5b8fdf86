//! One running program as an instance.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    Context, Error, ErrorKind, Exit, FailureType, Hook, Instance, Invocation, InvocationKind,
    LogType, Qualifier, Reply, RequestId, Response, Result, Target,
};
use http::Method;
use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use super::answer::Answer;
use super::client::{AnswerHead, Connection};
use super::head::{self, About};
use super::log::{Call, Ended};
use super::running::{Begun, Running};
use super::tree::Tree;

/// What of a failed hook's answer its error shows, bytes.
const HOOK_ANSWER_BYTES_MAX: usize = 4 * 1024;

/// How long a killed leader may take to end before its tree is ended without knowing how it did.
const KILLED_MAX: Duration = Duration::from_secs(5);

/// One program, its connections and its log.
#[derive(Debug)]
pub(super) struct ProcessInstance {
    running: Arc<Running>,
    tree: Arc<Tree>,
    stop_grace: Duration,
    /// Whether the health probes, if there are any, have begun.
    probed: AtomicBool,
    /// Those that watch, read and probe: over when the instance is.
    tasks: Mutex<Vec<Task>>,
}

/// A task that ends with its holder.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ProcessInstance {
    pub(super) fn new(running: &Arc<Running>, tree: Tree, stop_grace: Duration) -> Self {
        let tree = Arc::new(tree);
        let instance = Self {
            tree: tree.clone(),
            stop_grace,
            probed: AtomicBool::new(false),
            tasks: Mutex::new(Vec::with_capacity(4)),
            running: running.clone(),
        };
        instance.spawn(running.clone().watch_over(tree));
        for stream in 0..2 {
            instance.spawn(running.capture.clone().follow(stream));
        }
        instance
    }

    pub(super) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().push(Task(tokio::spawn(work)));
    }

    /// Begins the health probes, once: a program that still initializes is busy, not ill.
    fn begin_probes(&self) {
        if self.probed.load(Ordering::Relaxed) || self.probed.swap(true, Ordering::Relaxed) {
            return;
        }
        let config = self.running.version.custom_runtime();
        if let Some(health) = config.and_then(|config| config.health_check_config.clone()) {
            self.spawn(self.running.clone().probe(health));
        }
    }

    /// Ends the whole tree, after `grace` for those that heed SIGTERM.
    pub(super) async fn end(&self, grace: Duration) -> Result<()> {
        let running = &self.running;
        running.end_for(Exit::Stopped);
        // Before the program's end closes them: the side that closes first keeps the port busy
        // for a minute (TIME_WAIT), and the next instance needs it.
        running.connections.close();
        if running.exit().is_none() && !grace.is_zero() {
            running.leader.signal_group(Signal::TERM);
            self.exited_within(grace).await;
        }
        if running.exit().is_none() {
            running.leader.signal_group(Signal::KILL);
            self.exited_within(KILLED_MAX).await;
        }
        self.tree.end().await?;
        running.capture.close();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for mut task in tasks {
            task.0.abort();
            let _ = (&mut task.0).await;
        }
        Ok(())
    }

    async fn exited_within(&self, time: Duration) {
        let by = self.running.clock.now() + time;
        let exited = self.running.exited();
        let _ = self.running.clock.with_deadline(by, exited).await;
    }

    /// Sends an invocation, and answers it. What the answer does not need is gone when this
    /// returns, so that what waits for it is small.
    fn answer(
        &self,
        cx: Context,
        mut begun: Begun,
        invocation: Invocation,
    ) -> impl Future<Output = Result<Reply>> + Send {
        let running = &self.running;
        let Invocation { target, kind, client_ip: client, request, .. } = invocation;
        let (Target::Named { qualifier, .. } | Target::Resolved { qualifier, .. }) = target;
        let event = kind == InvocationKind::Event;
        let about = About { cx, qualifier: &qualifier, client };
        let request = match kind {
            InvocationKind::Event => running.heads.event(request.into_body(), about),
            InvocationKind::Http => running.heads.pass_on(request, about),
        };
        let begin = request.map(|request| running.send(request));
        async move {
            let answered = match begin {
                Ok(begin) => running.exchange(begin, begun.at).await,
                Err(error) => Err(error),
            };
            match answered {
                Ok((connection, head)) => Ok(self.reply(event, connection, head, begun)),
                Err(error) => {
                    begun.fail();
                    Err(error)
                }
            }
        }
    }

    fn reply(
        &self,
        event: bool,
        connection: Box<Connection>,
        mut head: AnswerHead,
        begun: Begun,
    ) -> Reply {
        let running = &self.running;
        let (whole, failure) = match head::take_failure(&mut head.headers) {
            true => (Ended::Failed, Some(FailureType::Unhandled)),
            false => (Ended::Done, None),
        };
        let mut response = Response::new(Answer::body(connection, whole, begun));
        // An event's answer is its body, whatever the head says (`alibaba-fc.md` 2.6).
        if !event {
            *response.status_mut() = head.status;
            *response.headers_mut() = head.headers;
        }
        let mut reply = Reply::new(response);
        reply.failure = failure;
        reply.report.instance = Some(running.id);
        reply.report.version = running.version.id();
        if event {
            reply.report.memory_bytes = running.memory.peak(running.clock.now());
        }
        reply
    }

    async fn hook(
        &self,
        cx: Context,
        call: Call,
        method: Method,
        path: &'static str,
    ) -> Result<()> {
        let mut begun = self.running.begin(call, cx, false);
        let outcome = self.call_hook(cx, &begun, method, path).await;
        match &outcome {
            Ok(()) => begun.ended = Ended::Done,
            Err(_) => begun.fail(),
        }
        outcome
    }

    async fn call_hook(
        &self,
        cx: Context,
        begun: &Begun,
        method: Method,
        path: &'static str,
    ) -> Result<()> {
        let running = &self.running;
        let about =
            About { cx, qualifier: &Qualifier::Version(running.version.id()), client: None };
        let request = running.heads.hook(&method, path, about)?;
        let begin = running.send(request);
        let (mut connection, answer) = running.exchange(begin, begun.at).await?;
        let status = answer.status;
        let body = connection.read(HOOK_ANSWER_BYTES_MAX).await;
        if status.is_success() {
            if body.is_some() {
                running.connections.keep(connection);
            }
            return Ok(());
        }
        let body = body.unwrap_or_default();
        let message = format!("{path} was answered with {status}: {}", body.escape_ascii());
        Err(Error::new(ErrorKind::FunctionFailed, message))
    }
}

impl Drop for ProcessInstance {
    fn drop(&mut self) {
        self.running.end_for(Exit::Stopped);
        self.running.connections.close();
        self.tree.begin_end();
    }
}

#[async_trait]
impl Instance for ProcessInstance {
    async fn run_hook(&self, cx: Context, hook: Hook) -> Result<()> {
        let lifecycle = self.running.version.lifecycle();
        match hook {
            Hook::Initialize => {
                if lifecycle.is_some_and(|config| config.initializer.is_some()) {
                    let done = self.hook(cx, Call::Initialize, Method::POST, "/initialize").await;
                    done.map_err(|error| {
                        Error::new(ErrorKind::InitializationError, error.to_string())
                            .with_source(error)
                    })?;
                }
                self.begin_probes();
                Ok(())
            }
            Hook::PreStop if lifecycle.is_some_and(|config| config.pre_stop.is_some()) => {
                self.hook(cx, Call::PreStop, Method::GET, "/pre-stop").await
            }
            // What the function does not ask for is not called.
            Hook::PreStop => Ok(()),
            Hook::PreFreeze => Err(Error::new(
                ErrorKind::Unsupported,
                "PreFreeze: process instances are not frozen",
            )),
        }
    }

    // By hand what the macro would make of an `async fn`, whose future keeps its arguments twice.
    fn invoke<'life0, 'async_trait>(
        &'life0 self,
        cx: Context,
        invocation: Invocation,
    ) -> Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let exact_log = invocation.log == LogType::Tail;
        let mut begun = self.running.begin(Call::Invoke, cx, exact_log);
        if let Some(exit) = self.running.exit() {
            begun.fail();
            let error = self.running.crashed(begun.at, exit);
            return Box::pin(std::future::ready(Err(error)));
        }
        self.begin_probes();
        Box::pin(self.answer(cx, begun, invocation))
    }

    async fn log_tail(&self, request: RequestId, max: usize) -> Option<Bytes> {
        self.running.capture.tail(request, max)
    }

    async fn suspend(&self, _: Context) -> Result<()> {
        Err(unsupported())
    }

    async fn resume(&self, _: Context) -> Result<()> {
        Err(unsupported())
    }

    async fn end_boost(&self, _: Context) -> Result<()> {
        Err(unsupported())
    }

    async fn exited(&self) -> Exit {
        self.running.exited().await
    }

    async fn stop(&self, _: Context) -> Result<()> {
        self.end(self.stop_grace).await
    }
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "process instances cannot be suspended")
}
