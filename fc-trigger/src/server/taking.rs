//! HTTP/2 answers that the client does not take (T16).
//!
//! Of a stream whose window is closed hyper does not poll the body, so that the body cannot watch
//! itself. What runs the stream does: hyper gives every stream to an executor, and ours ends a stream
//! whose client has taken nothing for too long. That resets it and drops the body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fc_core::{Clock, Instant};
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;

use super::timer::Watch;

tokio::task_local! {
    /// Of the stream that this task runs.
    static TAKING: Arc<Taking>;
}

/// How far the client of one HTTP/2 stream has taken its answer. Written and read by the stream's own
/// task alone: the order of the two values does not matter.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    /// It is the client's turn.
    is_offered: AtomicBool,
    /// Pieces that were handed out, modulo 2^32.
    pieces: AtomicU32,
}

impl Taking {
    /// Of the stream that is being served; `None` on any other task.
    pub(crate) fn current() -> Option<Arc<Self>> {
        TAKING.try_with(Arc::clone).ok()
    }

    /// The answer, or the next piece of it, is there for the client.
    pub(crate) fn offer(&self) {
        self.is_offered.store(true, Ordering::Relaxed);
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// All was taken; it is the function's turn.
    pub(crate) fn await_function(&self) {
        self.is_offered.store(false, Ordering::Relaxed);
    }

    fn offered(&self) -> Option<u32> {
        let pieces = self.pieces.load(Ordering::Relaxed);
        self.is_offered.load(Ordering::Relaxed).then_some(pieces)
    }
}

/// Runs the streams of HTTP/2 connections, each as long as its client takes the answer.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    clock: Arc<dyn Clock>,
    stall: Duration,
}

impl Streams {
    pub(super) fn new(clock: Arc<dyn Clock>, stall: Duration) -> Self {
        Self { clock, stall }
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        let taking = Arc::new(Taking::default());
        tokio::spawn(Watched {
            stream: TAKING.scope(taking.clone(), stream),
            taking,
            stall: self.stall,
            watch: Watch::new(self.clock.clone()),
            deadline: None,
        });
    }
}

pin_project! {
    struct Watched<F> {
        #[pin]
        stream: TaskLocalFuture<Arc<Taking>, F>,
        taking: Arc<Taking>,
        stall: Duration,
        watch: Watch,
        // Until when the client must take the piece of this number.
        deadline: Option<(u32, Instant)>,
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = this.taking.offered() else {
            *this.deadline = None;
            return Poll::Pending;
        };
        let at = match *this.deadline {
            Some((known, at)) if known == piece => at,
            _ => {
                let at = this.watch.after(*this.stall);
                *this.deadline = Some((piece, at));
                at
            }
        };
        ready!(this.watch.poll(cx, at));
        tracing::debug!("stream reset: its client does not take the answer");
        Poll::Ready(())
    }
}
