//! Running a request in its slot: deadline, failure, and what travels in the answer's body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use fc_core::{
    Body, Clock, Context, Deadline, Error, ErrorKind, FunctionVersion, Instance, Instant,
    Invocation, LogType, Reply, Result, Sleep,
};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::lease::SlotLease;

/// What `X-Fc-Log-Type: Tail` holds back of an answer at most, bytes: the log's end is known only
/// when the answer is whole.
const TAIL_BODY_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A request in its slot, and until when it may run.
pub(crate) struct Call<'l> {
    answer: Answer<'l>,
    by: Instant,
    tail: bool,
}

type Answer<'l> = Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'l>>;

/// Gives `invocation` to the slot's instance, which sees it at the first poll of [`run`].
pub(crate) fn call<'l>(
    instance: &'l dyn Instance,
    cx: Context,
    version: &FunctionVersion,
    began: Instant,
    invocation: Invocation,
) -> Call<'l> {
    let by = (began + version.timeout()).min(cx.deadline.hard);
    let cx = cx.with_deadline(Deadline::at(by));
    let tail = invocation.log == LogType::Tail;
    Call { answer: instance.invoke(cx, invocation), by, tail }
}

/// Runs a call within the function's time-out (INV-7).
pub(crate) async fn run(
    clock: &Arc<dyn Clock>,
    lease: &mut SlotLease,
    version: &FunctionVersion,
    call: Call<'_>,
) -> Result<Reply> {
    let Call { answer, by, tail } = call;
    lease.begin();
    let outcome = clock.with_deadline(by, answer).await;
    let mut reply = match outcome {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            lease.fail(error.kind());
            return Err(error);
        }
        Err(_) => return Err(timed_out(lease, version)),
    };
    if tail {
        let body = std::mem::take(reply.response.body_mut());
        let read = Box::pin(clock.with_deadline(by, body.read(TAIL_BODY_BYTES_MAX))).await;
        let bytes = match read {
            Ok(read) => read.inspect_err(|error| lease.fail(error.kind()))?,
            Err(_) => return Err(timed_out(lease, version)),
        };
        *reply.response.body_mut() = bytes.into();
    } else if !reply.response.body().is_in_memory() {
        let clock = clock.clone();
        let body = std::mem::take(reply.response.body_mut());
        let seconds = version.timeout().as_secs();
        *reply.response.body_mut() =
            body.map_stream(|stream| Timed { stream, clock, by, seconds, sleep: None });
    }
    Ok(reply)
}

fn timed_out(lease: &mut SlotLease, version: &FunctionVersion) -> Error {
    lease.fail(ErrorKind::FunctionTimeout);
    too_long(version.timeout().as_secs())
}

fn too_long(seconds: u64) -> Error {
    Error::new(ErrorKind::FunctionTimeout, format!("Function time out after {seconds}s"))
}

/// The end of the invocation's log, as its instance kept it.
pub(crate) async fn log_tail(lease: &SlotLease, cx: Context, max: u64) -> Option<Bytes> {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    lease.running().instance.log_tail(cx.request_id, max).await
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

/// Ties the slot to the answer's body: it is free when the last byte is gone, or the caller is.
pub(crate) fn hand_over(mut reply: Reply, lease: SlotLease) -> Reply {
    let body: Body = std::mem::take(reply.response.body_mut());
    *reply.response.body_mut() = body.guarded(lease);
    reply
}
