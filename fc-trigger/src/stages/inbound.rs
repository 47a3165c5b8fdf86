//! A request's body: counted, without trailers, and never waited for in vain.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fc_core::{Body, Clock, Error, ErrorKind, Result, Sleep};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use crate::link::{Carrier, Link};

/// A body up to this length is awaited before the invocation, and goes on in memory. A client that
/// sends half of it holds no instance, nor is its function blamed for waiting; and a connection whose
/// request was read to its end shows when the client leaves (INV-8), also if it waits for `100
/// Continue` and the function never looks at the body.
const PRIMED_BYTES_MAX: u64 = 64 * 1024;

/// A request's body on its way in.
#[derive(Debug)]
pub(crate) struct Inbound {
    body: Body,
    fault: Fault,
    /// It is to be queued, and so awaited whatever its length.
    is_queued: bool,
}

impl Inbound {
    pub(crate) fn new<B>(body: B, link: &Link) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        if body.is_end_stream() {
            return Self { body: Body::EMPTY, fault: Fault(None), is_queued: false };
        }
        let config = &link.shared.config;
        let cell = Arc::new(FaultCell {
            limit: AtomicU64::new(config.limits.request_body_bytes_max),
            state: Mutex::default(),
        });
        let clock = (link.carrier != Carrier::Http1).then(|| link.shared.ports.clock.clone());
        let body = Body::stream(Counted {
            body,
            seen: 0,
            stall: clock.map(|clock| Stall { clock, timeout: config.stall_timeout, sleep: None }),
            fault: cell.clone(),
        });
        Self { body, fault: Fault(Some(cell)), is_queued: false }
    }

    /// INV-6: a length that is declared too large is refused before the invocation.
    pub(super) fn check_declared(&self, limit: u64) -> Result<()> {
        match self.body.known_length() {
            Some(length) if length > limit => Err(over(limit, length)),
            _ => Ok(()),
        }
    }

    /// The body is to be queued: it has a limit of its own, and is awaited whole, so that nothing is
    /// kept of one that does not come to its end.
    #[cold]
    pub(super) fn queue_within(&mut self, limit: u64) -> Result<()> {
        self.check_declared(limit)?;
        if let Some(cell) = &self.fault.0 {
            cell.limit.store(limit, Ordering::Relaxed);
        }
        self.is_queued = true;
        Ok(())
    }

    /// Whether the body is to be awaited.
    pub(super) fn wants_priming(&self) -> bool {
        let is_small = |length| length <= PRIMED_BYTES_MAX;
        !self.body.is_in_memory()
            && (self.is_queued || self.body.known_length().is_some_and(is_small))
    }

    /// Awaits the whole body, which lies in memory then.
    pub(super) async fn prime(&mut self) -> Result<()> {
        // One that is queued has its limit already, which it would fail at.
        let bytes_max = if self.is_queued { u64::MAX } else { PRIMED_BYTES_MAX };
        self.body = std::mem::take(&mut self.body).read(bytes_max).await?.into();
        self.fault = Fault(None);
        Ok(())
    }

    /// The body for the function, and what watches it; none is left.
    pub(super) fn take(&mut self) -> (Body, Fault) {
        (std::mem::take(&mut self.body), Fault(self.fault.0.take()))
    }
}

/// What became of a request's body, told to the one who awaits the invocation.
#[derive(Debug)]
pub(super) struct Fault(Option<Arc<FaultCell>>);

#[derive(Debug)]
struct FaultCell {
    /// The most bytes that the body may have.
    limit: AtomicU64,
    state: Mutex<FaultState>,
}

#[derive(Debug, Default)]
struct FaultState {
    error: Option<Error>,
    waiting: Option<Waker>,
}

impl Fault {
    /// Awaits `future`, and drops it as soon as the request's body fails: the caller did not send
    /// what it announced, so whatever the function made of it is not the answer.
    ///
    /// # Errors
    ///
    /// What the body failed with.
    pub(super) async fn guard<F: Future>(self, future: F) -> Result<F::Output> {
        let Some(cell) = self.0 else {
            return Ok(future.await);
        };
        let mut future = pin!(future);
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            // Asked last: the future itself may have read the body that far.
            cell.watch(cx)?;
            polled.map(Ok)
        })
        .await
    }
}

impl FaultCell {
    fn fail(&self, error: &Error) {
        let mut state = self.state.lock();
        state.error.get_or_insert_with(|| error.duplicate());
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn watch(&self, cx: &mut Context<'_>) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if !state.waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waiting = Some(cx.waker().clone());
        }
        Ok(())
    }
}

fn over(limit: u64, length: u64) -> Error {
    Error::over_limit("request body", "bytes", limit, length)
}

pin_project! {
    /// Not one byte past the limit, and no trailers.
    struct Counted<B> {
        #[pin]
        body: B,
        seen: u64,
        stall: Option<Stall>,
        fault: Arc<FaultCell>,
    }
}

/// How long the client may send nothing, where the connection does not watch it.
struct Stall {
    clock: Arc<dyn Clock>,
    timeout: Duration,
    sleep: Option<Sleep>,
}

impl<B> HttpBody for Counted<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        loop {
            let failed = match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(stall) = this.stall {
                        stall.sleep = None;
                    }
                    // Trailers are dropped: no function sees a header that was not checked (T3).
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    *this.seen += data.len() as u64;
                    let limit = this.fault.limit.load(Ordering::Relaxed);
                    if *this.seen <= limit {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    over(limit, *this.seen)
                }
                Poll::Ready(Some(Err(error))) => broken(error.into()),
                Poll::Pending => match this.stall.as_mut().map(|stall| stall.poll(cx)) {
                    None | Some(Poll::Pending) => return Poll::Pending,
                    Some(Poll::Ready(())) => crate::server::Violation::BodyStalled.error(),
                },
            };
            this.fault.fail(&failed);
            return Poll::Ready(Some(Err(failed)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Stall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (clock, timeout) = (&self.clock, self.timeout);
        let sleep = self.sleep.get_or_insert_with(|| clock.sleep_until(clock.now() + timeout));
        sleep.as_mut().poll(cx)
    }
}

/// The error of a body that did not come whole.
fn broken(error: Box<dyn StdError + Send + Sync>) -> Error {
    if let Some(ours) = Error::find(&*error) {
        return ours.duplicate();
    }
    let is_gone = error.downcast_ref::<hyper::Error>().is_some_and(|error| {
        error.is_incomplete_message() || error.is_closed() || error.is_canceled()
    });
    if is_gone {
        let message = "request body: the client went away before its end";
        return Error::new(ErrorKind::ClientClosedRequest, message).with_source(error);
    }
    Error::invalid("request body", format_args!("{error}"))
}
