//! What an instance's calls, bodies and tasks share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fc_core::{
    Blame, Clock, Context, Error, ErrorKind, Exit, FunctionVersion, InstanceId, Instant,
};
use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::sync::watch;

use super::capture::Capture;
use super::client::Broken;
use super::connections::Connections;
use super::descriptor;
use super::head::Heads;
use super::leader::Leader;
use super::log::{Call, Ended};
use super::memory::{OomCount, PeakMemory};
use super::tree::Tree;

/// How long a lost connection waits for the news that the process is gone.
const DEATH_NEWS: Duration = Duration::from_millis(100);

/// A program that was started.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: InstanceId,
    pub(super) version: Arc<FunctionVersion>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) leader: Arc<Leader>,
    pub(super) capture: Arc<Capture>,
    pub(super) connections: Connections,
    pub(super) heads: Heads,
    pub(super) memory: PeakMemory,
    /// Requests that run, their answers' bodies included.
    active: AtomicU32,
    /// What the platform ended it for, if it did: set before the signal.
    cause: Mutex<Option<Exit>>,
    exit: watch::Sender<Option<Exit>>,
    oom: OomCount,
}

impl Running {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        id: InstanceId,
        version: Arc<FunctionVersion>,
        clock: Arc<dyn Clock>,
        leader: Arc<Leader>,
        capture: Arc<Capture>,
        connections: Connections,
        heads: Heads,
    ) -> Self {
        Self {
            id,
            memory: PeakMemory::new(leader.pid()),
            version,
            clock,
            leader,
            capture,
            connections,
            heads,
            active: AtomicU32::new(0),
            cause: Mutex::new(None),
            exit: watch::Sender::new(None),
            oom: OomCount::read(),
        }
    }

    /// Waits for the leader's end, tells everybody, and ends the rest of the tree: a request whose
    /// connection a child of the leader holds open too would wait for its answer for ever.
    pub(super) async fn watch_over(self: Arc<Self>, tree: Arc<Tree>) {
        let outcome = self.wait_for_end().await;
        self.leader.signal_group(Signal::KILL);
        let own = match outcome {
            Exit::Signal(9) if self.oom.has_grown() => Exit::OutOfMemory,
            other => other,
        };
        let exit = *self.cause.lock().get_or_insert(own);
        self.connections.close();
        self.exit.send_replace(Some(exit));
        tree.begin_end();
    }

    async fn wait_for_end(&self) -> Exit {
        let watched = self.leader.pidfd().and_then(descriptor::readable);
        let watched = match watched {
            Ok(watched) => watched,
            Err(error) => {
                // An instance whose end nobody would see is not kept.
                tracing::error!(instance = %self.id, %error, "a process cannot be watched");
                self.leader.signal_group(Signal::KILL);
                return Exit::Signal(9);
            }
        };
        loop {
            if let Some(exit) = self.leader.outcome() {
                return exit;
            }
            match watched.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return Exit::Signal(9),
            }
        }
    }

    /// Notes why the platform is about to end it, unless it has ended or another reason came first.
    pub(super) fn end_for(&self, cause: Exit) {
        self.cause.lock().get_or_insert(cause);
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    pub(super) async fn exited(&self) -> Exit {
        let mut news = self.exit.subscribe();
        let exit = news.wait_for(Option::is_some).await.map(|exit| *exit);
        // The sender is ours and lives.
        exit.ok().flatten().unwrap_or(Exit::Stopped)
    }

    /// How it ended, if it has, or does within [`DEATH_NEWS`].
    pub(super) async fn died(&self) -> Option<Exit> {
        let by = self.clock.now() + DEATH_NEWS;
        self.clock.with_deadline(by, self.exited()).await.ok()
    }

    /// Why an answer broke off.
    pub(super) async fn broken(&self, began: Instant, broken: Broken) -> Error {
        let error = match broken {
            Broken::Body(error) => return error,
            Broken::Malformed(what) => {
                let message = format!("the function's server answered no valid HTTP: {what}");
                return Error::new(ErrorKind::BadResponse, message);
            }
            Broken::Lost(error) => error,
        };
        match self.died().await {
            Some(exit) => self.crashed(began, exit),
            None => {
                let message = "the function's server closed the connection before its answer ended";
                Error::new(ErrorKind::BadResponse, message).with_source(error)
            }
        }
    }

    pub(super) fn crashed(&self, began: Instant, exit: Exit) -> Error {
        let duration = (self.clock.now() - began).as_millis();
        let memory_mb = self.memory.last().unwrap_or(0).div_ceil(1024 * 1024);
        let message = format!(
            "Process exited unexpectedly before completing request (duration: {duration}ms, \
             maxMemoryUsage: {memory_mb}MB): {exit}"
        );
        let error = Error::new(ErrorKind::FunctionCrashed, message);
        match exit {
            // Nobody's code failed: the platform took the instance away.
            Exit::Stopped => error.with_blame(Blame::Platform),
            _ => error,
        }
    }

    /// Whether as many requests run as may at once.
    pub(super) fn is_full(&self) -> bool {
        self.active.load(Ordering::Relaxed) >= self.version.instance_concurrency()
    }

    /// Begins a call: its part of the log, its share of the concurrency.
    pub(super) fn begin(self: &Arc<Self>, call: Call, cx: Context, exact_log: bool) -> Begun {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.capture.begin(call, cx.request_id);
        Begun {
            running: self.clone(),
            call,
            cx,
            at: self.clock.now(),
            exact_log,
            ended: Ended::Cancelled,
        }
    }
}

/// A call that runs. Dropped, it is over, however it went.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) running: Arc<Running>,
    call: Call,
    cx: Context,
    pub(super) at: Instant,
    exact_log: bool,
    /// Until something else is known: whoever drops a call cancels it.
    pub(super) ended: Ended,
}

impl Begun {
    pub(super) fn fail(&mut self) {
        self.ended = Ended::Failed;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let running = &self.running;
        if self.ended == Ended::Cancelled && running.clock.now() >= self.cx.deadline.soft {
            self.ended = Ended::Failed;
        }
        running.capture.finish(self.call, self.cx.request_id, self.ended, self.exact_log);
        running.active.fetch_sub(1, Ordering::Relaxed);
    }
}
