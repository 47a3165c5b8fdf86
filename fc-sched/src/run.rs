//! Running a request in its slot: deadline, failure, and what travels in the answer's body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use fc_core::{
    Body, Clock, Context, Elapsed, Error, ErrorKind, FunctionVersion, Instant, Limits, Reply,
    Result, Retry, Sleep,
};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::lease::SlotLease;

/// What `X-Fc-Log-Type: Tail` holds back of an answer at most, bytes: the log's end is known only
/// when the answer is whole.
const TAIL_BODY_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Until when a request that began at `began` may run (INV-7).
pub(crate) fn deadline(cx: Context, version: &FunctionVersion, began: Instant) -> Instant {
    (began + version.timeout()).min(cx.deadline.hard)
}

/// What the instance's answer, or its silence until the deadline, means for the slot.
pub(crate) fn settle(
    lease: &mut SlotLease,
    version: &FunctionVersion,
    outcome: Result<Result<Reply>, Elapsed>,
) -> Result<Reply> {
    match outcome {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => {
            lease.fail(error.kind());
            if lease.running().node.lost.is_cancelled() {
                return Err(node_lost().with_source(error));
            }
            // It has run, or may have: no class that promises the contrary gets out (I4).
            Err(match error.retry() {
                Retry::Safe | Retry::After(_) => error.with_retry(Retry::Never),
                Retry::Never | Retry::Exhausted => error,
            })
        }
        // The driver did not notice, and it is not the function's fault that nobody answered.
        Err(Elapsed) if lease.running().node.lost.is_cancelled() => {
            lease.fail(ErrorKind::InternalServerError);
            Err(node_lost())
        }
        Err(Elapsed) => Err(timed_out(lease, version)),
    }
}

/// It has run there, or may have: not to be repeated.
fn node_lost() -> Error {
    Error::internal("the node was lost while the function ran there").with_retry(Retry::Never)
}

/// Reads a whole answer, and then the end of its log (INV-9).
pub(crate) async fn with_log_tail(
    clock: &Arc<dyn Clock>,
    cx: Context,
    lease: &mut SlotLease,
    version: &FunctionVersion,
    mut reply: Reply,
    limits: &Limits,
) -> Result<Reply> {
    let body = std::mem::take(reply.response.body_mut());
    let (body, _) = body.limited("response body", TAIL_BODY_BYTES_MAX, ErrorKind::BadResponse)?;
    let bytes = match clock.with_deadline(cx.deadline.hard, body.read(u64::MAX)).await {
        Ok(read) => read.inspect_err(|error| lease.fail(error.kind()))?,
        Err(Elapsed) => return Err(timed_out(lease, version)),
    };
    *reply.response.body_mut() = bytes.into();
    reply.report.log_tail = log_tail(lease, cx, limits).await;
    Ok(reply)
}

/// The end of the invocation's log, as its instance kept it.
pub(crate) async fn log_tail(lease: &SlotLease, cx: Context, limits: &Limits) -> Option<Bytes> {
    let max = usize::try_from(limits.log_tail_bytes_max).unwrap_or(usize::MAX);
    lease.running().instance.log_tail(cx.request_id, max).await
}

/// Ties the slot to the answer's body: it is free when the last byte is gone, or the caller is. A
/// stream ends at the deadline.
pub(crate) fn hand_over(
    clock: &Arc<dyn Clock>,
    by: Instant,
    version: &FunctionVersion,
    mut reply: Reply,
    lease: SlotLease,
) -> Reply {
    let mut body: Body = std::mem::take(reply.response.body_mut());
    if !body.is_in_memory() {
        let clock = clock.clone();
        let seconds = version.timeout().as_secs();
        body = body.map_stream(|stream| Timed { stream, clock, by, seconds, sleep: None });
    }
    *reply.response.body_mut() = body.guarded(lease);
    reply
}

fn timed_out(lease: &mut SlotLease, version: &FunctionVersion) -> Error {
    lease.fail(ErrorKind::FunctionTimeout);
    too_long(version.timeout().as_secs())
}

fn too_long(seconds: u64) -> Error {
    Error::new(ErrorKind::FunctionTimeout, format!("Function time out after {seconds}s"))
}

/// A streamed answer that ends with an error when the function's time is up.
struct Timed {
    stream: Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>,
    clock: Arc<dyn Clock>,
    by: Instant,
    seconds: u64,
    sleep: Option<Sleep>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        // First: a stream that always has something would never let the timer be polled.
        if this.clock.now() >= this.by {
            return Poll::Ready(Some(Err(too_long(this.seconds))));
        }
        if let Poll::Ready(frame) = this.stream.as_mut().poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let sleep = this.sleep.get_or_insert_with(|| this.clock.sleep_until(this.by));
        sleep.as_mut().poll(cx).map(|()| Some(Err(too_long(this.seconds))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}
