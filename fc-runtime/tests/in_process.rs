//! The in-process runtime: what a handler does, and what the caller is told.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fc_core::{
    AccountId, Attachment, AttachmentId, Blame, Body, CodeRef, Context, Error, ErrorKind, Exit,
    FailureType, FunctionName, FunctionSpec, FunctionVersion, Hook, Instance, InstanceId,
    InstanceSpec, Invocation, InvocationKind, Limits, Request, RequestId, Response, Runtime,
    VersionId,
};
use fc_runtime::in_process::{
    Handler, HandlerFailure, InProcessRuntime, Work, handler_fn, service,
};

const CX: Context = Context::new(RequestId::NIL);

fn version(code: CodeRef) -> Arc<FunctionVersion> {
    let spec = FunctionSpec {
        function_name: "f".into(),
        runtime: "in-process".into(),
        ..FunctionSpec::default()
    };
    let (account, limits) = (AccountId::new("1").unwrap(), Limits::function_compute());
    let code = Arc::new(code);
    Arc::new(FunctionVersion::new(1, account, VersionId::LATEST, &spec, code, &limits).unwrap())
}

fn name() -> FunctionName {
    FunctionName::new("f").unwrap()
}

async fn start(code: CodeRef) -> Arc<dyn Instance> {
    let runtime = InProcessRuntime::new();
    let version = version(code);
    runtime.prepare(CX, &version).await.unwrap();
    runtime.start(CX, &spec(version)).await.unwrap()
}

fn spec(version: Arc<FunctionVersion>) -> InstanceSpec {
    let attachment = Attachment {
        id: AttachmentId(0),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        own_address: false,
        namespace: None,
    };
    InstanceSpec { id: InstanceId::new("i").unwrap(), version, attachment, boost: None }
}

async fn instance_of(handler: impl Handler) -> Arc<dyn Instance> {
    start(InProcessRuntime::code(handler)).await
}

fn event(payload: &'static str) -> Invocation {
    Invocation::event(AccountId::new("1").unwrap(), name(), payload)
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().read(1_000).await.unwrap().to_vec()).unwrap()
}

/// RUN-1: an event comes as `POST /invoke`, an HTTP request as it was sent.
#[tokio::test]
async fn run_1_events_and_requests_reach_the_handler() {
    let handler = handler_fn(|_, request: Request| async move {
        let head = format!("{} {}|", request.method(), request.uri());
        let body = request.into_body().read(100).await?;
        Ok(Response::new(Body::from([head.as_bytes(), &body].concat())))
    });
    let instance = instance_of(handler).await;
    let reply = instance.invoke(CX, event("payload")).await.unwrap();
    assert_eq!(text(reply.response).await, "POST /invoke|payload");
    let mut invocation = event("body");
    invocation.kind = InvocationKind::Http;
    *invocation.request.uri_mut() = "/a?b=c".parse().unwrap();
    let reply = instance.invoke(CX, invocation).await.unwrap();
    assert_eq!(text(reply.response).await, "GET /a?b=c|body");
}

/// INV-3, I4: an error is the function's own report, one of ours too: it might claim that the function
/// did not run. A panic is a crash.
#[tokio::test]
async fn inv_3_failures_are_told_apart() {
    let handler = handler_fn(|_, request: Request| async move {
        let what = request.into_body().read(100).await?;
        match &what[..] {
            b"error" => Err("it \"broke\"\n".into()),
            b"ours" => Err(Error::new(ErrorKind::ResourceExhausted, "of another").into()),
            _ => panic!("at the {}", "disco"),
        }
    });
    let instance = instance_of(handler).await;
    let reply = instance.invoke(CX, event("error")).await.unwrap();
    assert_eq!(reply.failure, Some(FailureType::Handled));
    assert_eq!(text(reply.response).await, r#"{"errorMessage":"it \"broke\"\n"}"#);
    let mut http = event("error");
    http.kind = InvocationKind::Http;
    assert_eq!(instance.invoke(CX, http).await.unwrap().response.status(), 502);
    let ours = instance.invoke(CX, event("ours")).await.unwrap();
    assert_eq!(ours.failure, Some(FailureType::Handled));
    let crash = instance.invoke(CX, event("panic")).await.unwrap_err();
    assert_eq!(crash.kind(), ErrorKind::FunctionCrashed);
    assert!(crash.message().contains("at the disco"));
}

/// A panic before the handler's first await is caught as well.
#[tokio::test]
async fn a_panic_in_the_closure_itself_is_a_crash() {
    let handler = handler_fn(|_, _| {
        assert_ne!(name().as_str(), "f", "early");
        async { Ok(Response::default()) }
    });
    let error = instance_of(handler).await.invoke(CX, event("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionCrashed);
}

#[derive(Clone)]
struct Echo;

impl tower_service::Service<Request> for Echo {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        assert!(request.extensions().get::<Context>().is_some());
        std::future::ready(Ok(Response::new(request.into_body())))
    }
}

/// RUN-1: a `tower::Service` is a function.
#[tokio::test]
async fn run_1_a_tower_service_is_a_function() {
    let reply = instance_of(service(Echo)).await.invoke(CX, event("echo")).await.unwrap();
    assert_eq!(text(reply.response).await, "echo");
}

struct Counting(AtomicU32);

impl Handler for Counting {
    fn initialize(&self, _: Context) -> Work<'_, ()> {
        Box::pin(async {
            self.0.store(10, Ordering::Relaxed);
            Ok(())
        })
    }

    fn pre_stop(&self, _: Context) -> Work<'_, ()> {
        self.0.store(77, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn call(&self, _: Context, _: Request) -> Work<'_, Response> {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(Response::new(count.to_string().into())) })
    }
}

/// SCH-7: PreStop is the handler's as well.
#[tokio::test]
async fn sch_7_a_handler_has_a_pre_stop() {
    let instance = start(InProcessRuntime::code(Counting(AtomicU32::new(0)))).await;
    instance.run_hook(CX, Hook::PreStop).await.unwrap();
    let reply = instance.invoke(CX, event("x")).await.unwrap();
    assert_eq!(text(reply.response).await, "77");
}

/// SCH-8: the initializer is the handler's; each instance may have a handler of its own.
#[tokio::test]
async fn sch_8_each_instance_has_its_own_handler() {
    let code = InProcessRuntime::code_of_each(|| Counting(AtomicU32::new(0)));
    let (one, other) = (start(code.clone()).await, start(code).await);
    one.run_hook(CX, Hook::Initialize).await.unwrap();
    for (instance, expected) in [(&one, "10"), (&one, "11"), (&other, "0")] {
        let reply = instance.invoke(CX, event("x")).await.unwrap();
        assert_eq!(text(reply.response).await, expected);
    }
}

struct Failing(bool);

impl Handler for Failing {
    fn initialize(&self, _: Context) -> Work<'_, ()> {
        let panics = self.0;
        Box::pin(async move {
            assert!(!panics, "no database");
            Err(HandlerFailure::from("no database"))
        })
    }

    fn call(&self, _: Context, _: Request) -> Work<'_, Response> {
        Box::pin(async { Ok(Response::default()) })
    }
}

/// SCH-8: a failed initializer says why.
#[tokio::test]
async fn sch_8_a_failed_initializer_says_why() {
    for panics in [false, true] {
        let instance = instance_of(Failing(panics)).await;
        let error = instance.run_hook(CX, Hook::Initialize).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InitializationError);
        assert!(error.message().contains("no database"), "{error}");
    }
}

/// RUN-1: what is no handler is refused before it is started.
#[tokio::test]
async fn run_1_code_that_is_no_handler_is_refused() {
    let runtime = InProcessRuntime::new();
    let directory = CodeRef::Directory { path: "/".into(), unpacked_bytes: 0 };
    let other = CodeRef::Handler(fc_core::HandlerCode::new("a text"));
    for code in [CodeRef::Registered, directory, other] {
        let error = runtime.prepare(CX, &version(code)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with("code"), "{error}");
    }
}

/// I18: a handler that cannot be made fails the start.
#[tokio::test]
async fn i_18_a_panic_while_a_handler_is_made_fails_the_start() {
    let runtime = InProcessRuntime::new();
    let code = InProcessRuntime::code_of_each(|| -> Counting { panic!("no handler today") });
    let error = runtime.start(CX, &spec(version(code))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionNotStarted);
    assert!(error.message().contains("no handler today"));
}

/// A stream that panics.
struct Bomb;

impl http_body::Body for Bomb {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Error>>> {
        panic!("in the stream")
    }
}

/// I17: a panic in an answer's stream is a crash, and the instance serves nobody else.
#[tokio::test]
async fn i_17_a_panic_in_a_stream_ends_the_instance() {
    let handler = handler_fn(|_, _| async { Ok(Response::new(Body::stream(Bomb))) });
    let instance = instance_of(handler).await;
    let reply = instance.invoke(CX, event("x")).await.unwrap();
    let error = reply.response.into_body().read(10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionCrashed);
    assert_eq!(instance.exited().await, Exit::Panic);
    assert!(instance.invoke(CX, event("x")).await.is_err());
}

#[tokio::test]
async fn a_stopped_instance_says_so_and_serves_nobody() {
    let instance = instance_of(service(Echo)).await;
    let waiting = tokio::spawn({
        let instance = instance.clone();
        async move { instance.exited().await }
    });
    tokio::task::yield_now().await;
    instance.stop(CX).await.unwrap();
    instance.stop(CX).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Exit::Stopped);
    assert_eq!(instance.exited().await, Exit::Stopped);
    let error = instance.invoke(CX, event("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.blame()), (ErrorKind::FunctionCrashed, Blame::Platform));
}

/// A stream that never goes on.
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Error>>> {
        std::task::Poll::Pending
    }
}

/// A stop ends requests that run, in their answer's head or in its stream.
#[tokio::test]
async fn a_stop_ends_the_streams_of_the_instance() {
    let handler = handler_fn(|_, _| async { Ok(Response::new(Body::stream(Silent))) });
    let instance = instance_of(handler).await;
    let reply = instance.invoke(CX, event("x")).await.unwrap();
    let reading = tokio::spawn(reply.response.into_body().read(10));
    tokio::task::yield_now().await;
    instance.stop(CX).await.unwrap();
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionCrashed);
}
