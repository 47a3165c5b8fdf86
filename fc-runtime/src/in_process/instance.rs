//! One instance of a function of this process.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    Context, Error, ErrorKind, Exit, FailureType, Hook, Instance, Invocation, InvocationKind,
    Reply, RequestId, Result,
};
use futures_util::FutureExt;
use http::{Method, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

use super::handler::{Handler, HandlerFailure};

pub(super) struct InProcessInstance {
    handler: Arc<dyn Handler>,
    stopped: AtomicBool,
    stopping: Notify,
}

impl InProcessInstance {
    pub(super) fn new(handler: Arc<dyn Handler>) -> Self {
        Self { handler, stopped: AtomicBool::new(false), stopping: Notify::new() }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for InProcessInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessInstance").field("stopped", &self.is_stopped()).finish()
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn crashed(panic: &(dyn Any + Send)) -> Error {
    let message = format!("the handler panicked: {}", panic_text(panic));
    Error::new(ErrorKind::FunctionCrashed, message)
}

#[async_trait]
impl Instance for InProcessInstance {
    async fn run_hook(&self, cx: Context, hook: Hook) -> Result<()> {
        if hook != Hook::Initialize {
            return Ok(());
        }
        let run = AssertUnwindSafe(async { self.handler.initialize(cx).await }).catch_unwind();
        let failed = |text: String| Error::new(ErrorKind::InitializationError, text);
        match run.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(format!("initializer: {error}"))),
            Err(panic) => Err(failed(format!("initializer panicked: {}", panic_text(&*panic)))),
        }
    }

    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        if self.is_stopped() {
            return Err(Error::new(ErrorKind::FunctionCrashed, "the instance was stopped"));
        }
        let mut request = invocation.request;
        if invocation.kind == InvocationKind::Event {
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static("/invoke");
        }
        // The handler's own code before its first await may panic as well.
        let call = || self.handler.call(cx, request);
        let answer = match std::panic::catch_unwind(AssertUnwindSafe(call)) {
            Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        match answer {
            Ok(Ok(response)) => Ok(Reply::new(response)),
            Ok(Err(error)) => failure(invocation.kind, &*error),
            Err(panic) => Err(crashed(&*panic)),
        }
    }

    async fn log_tail(&self, _: RequestId, _: usize) -> Option<Bytes> {
        None
    }

    async fn suspend(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "the in-process runtime cannot suspend"))
    }

    async fn resume(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "the in-process runtime cannot resume"))
    }

    async fn exited(&self) -> Exit {
        loop {
            let stopping = self.stopping.notified();
            if self.is_stopped() {
                return Exit::Stopped;
            }
            stopping.await;
        }
    }

    async fn stop(&self, _: Context) -> Result<()> {
        self.stopped.store(true, Ordering::Release);
        self.stopping.notify_waiters();
        Ok(())
    }
}

/// The answer to a handler that returned an error: one of ours keeps its kind (a body over its
/// limit stays the caller's fault), any other is the function's own report (`alibaba-fc.md` 2.5).
fn failure(kind: InvocationKind, error: &(dyn std::error::Error + 'static)) -> Result<Reply> {
    if let Some(ours) = Error::find(error) {
        return Err(ours.duplicate());
    }
    let report = serde_json::json!({ "errorMessage": error.to_string() });
    let mut response = http::Response::new(report.to_string().into());
    if kind == InvocationKind::Http {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    let mut reply = Reply::new(response);
    reply.failure = Some(FailureType::Handled);
    Ok(reply)
}

/// A foreign body whose errors become ours, and whose panics end in an error.
pub(super) struct Foreign<B> {
    body: Pin<Box<B>>,
}

impl<B> Foreign<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body: Box::pin(body) }
    }
}

impl<B> HttpBody for Foreign<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<HandlerFailure>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let polled =
            std::panic::catch_unwind(AssertUnwindSafe(|| self.body.as_mut().poll_frame(cx)));
        match polled {
            Ok(frame) => frame.map_err(|error| {
                let error = error.into();
                Error::new(ErrorKind::FunctionFailed, error.to_string())
            }),
            Err(panic) => Poll::Ready(Some(Err(crashed(&*panic)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
