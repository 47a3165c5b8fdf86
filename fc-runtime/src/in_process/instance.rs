//! One instance of a function of this process.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    Blame, Context, Error, ErrorKind, Exit, FailureType, Hook, Instance, Invocation,
    InvocationKind, Reply, RequestId, Response, Result,
};
use futures_util::FutureExt;
use http::{Method, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

use super::handler::{Handler, HandlerFailure};

pub(super) struct InProcessInstance {
    handler: Arc<dyn Handler>,
    life: Arc<Life>,
}

impl InProcessInstance {
    pub(super) fn new(handler: Arc<dyn Handler>) -> Self {
        Self { handler, life: Arc::default() }
    }

    fn crashed(&self, panic: &(dyn Any + Send)) -> Error {
        self.life.end(Exit::Panic);
        crashed(panic)
    }

    /// The answer, whose stream ends when the instance does.
    fn bound(&self, response: Response) -> Response {
        response.map(|body| {
            body.map_stream(|stream| Bound { stream, life: self.life.clone(), over: None })
        })
    }
}

impl std::fmt::Debug for InProcessInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessInstance").field("exit", &self.life.exit.get()).finish()
    }
}

/// Whether the instance is over, and how it ended.
#[derive(Default)]
struct Life {
    exit: OnceLock<Exit>,
    exited: Notify,
}

impl Life {
    /// The first end counts.
    fn end(&self, exit: Exit) {
        let _ = self.exit.set(exit);
        self.exited.notify_waiters();
    }

    async fn over(&self) -> Exit {
        loop {
            let exited = self.exited.notified();
            if let Some(exit) = self.exit.get() {
                return *exit;
            }
            exited.await;
        }
    }
}

/// A streamed answer that ends with an error when its instance does.
struct Bound {
    stream: Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>,
    life: Arc<Life>,
    /// Made when the stream first has nothing.
    over: Option<Pin<Box<dyn Future<Output = Exit> + Send>>>,
}

impl HttpBody for Bound {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let poll = AssertUnwindSafe(|| this.stream.as_mut().poll_frame(cx));
        match std::panic::catch_unwind(poll) {
            Ok(Poll::Pending) => {}
            Ok(ready) => return ready,
            Err(panic) => {
                this.life.end(Exit::Panic);
                return Poll::Ready(Some(Err(crashed(&*panic))));
            }
        }
        let life = this.life.clone();
        let ended = this.over.get_or_insert_with(|| Box::pin(async move { life.over().await }));
        ended.as_mut().poll(cx).map(|exit| Some(Err(over(exit))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
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
        let (work, name, kind) = match hook {
            Hook::Initialize => {
                (self.handler.initialize(cx), "initializer", ErrorKind::InitializationError)
            }
            Hook::PreStop => (self.handler.pre_stop(cx), "PreStop", ErrorKind::FunctionFailed),
            Hook::PreFreeze => {
                let message = "the in-process runtime does not freeze";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        let what = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("{name}: {error}"),
            Err(panic) => format!("{name} panicked: {}", panic_text(&*panic)),
        };
        Err(Error::new(kind, what))
    }

    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let exited = self.life.exited.notified();
        if let Some(exit) = self.life.exit.get() {
            return Err(over(*exit));
        }
        let mut request = invocation.request;
        if invocation.kind == InvocationKind::Event {
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static("/invoke");
        }
        // The handler's own code before its first await may panic as well.
        let call = || self.handler.call(cx, request);
        let answer = match std::panic::catch_unwind(AssertUnwindSafe(call)) {
            // A handler that is ready at once costs no registration with `exited`.
            Ok(answer) => tokio::select! {
                biased;
                answer = AssertUnwindSafe(answer).catch_unwind() => answer,
                () = exited => return Err(over(self.life.over().await)),
            },
            Err(panic) => Err(panic),
        };
        match answer {
            Ok(Ok(response)) => Ok(Reply::new(self.bound(response))),
            Ok(Err(error)) => failure(invocation.kind, &*error),
            Err(panic) => Err(self.crashed(&*panic)),
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

    async fn end_boost(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "the in-process runtime does not enforce CPU"))
    }

    async fn exited(&self) -> Exit {
        self.life.over().await
    }

    async fn stop(&self, _: Context) -> Result<()> {
        self.life.end(Exit::Stopped);
        Ok(())
    }
}

fn over(exit: Exit) -> Error {
    let error = Error::new(ErrorKind::FunctionCrashed, format!("the instance is over: {exit}"));
    // What the platform stopped is not the function's fault.
    if exit == Exit::Stopped { error.with_blame(Blame::Platform) } else { error }
}

/// The answer to a handler that returned an error: the function's own report (`alibaba-fc.md` 2.5),
/// whatever the error is. One of the platform's that the handler met on its way, of a nested
/// invocation say, is not the outcome of this one: it might claim that the function did not run.
fn failure(kind: InvocationKind, error: &(dyn std::error::Error + 'static)) -> Result<Reply> {
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

/// A foreign body whose errors become ours.
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
        self.body.as_mut().poll_frame(cx).map_err(|error| {
            let error = error.into();
            Error::new(ErrorKind::FunctionFailed, error.to_string())
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
