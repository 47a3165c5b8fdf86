//! RUN-2: the custom runtime's HTTP contract (`alibaba-fc.md` 5.3, 5.5, 5.7).
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod process_support;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use fc_core::{
    Body, Context, Error, ErrorKind, FailureType, Hook, HookConfig, InstanceLifecycleConfig,
    LogType, Runtime,
};
use http_body::Frame;
use process_support::*;
use serde_json::Value;
use tokio::sync::mpsc;

fn headers_of(seen: &Value) -> HashMap<String, String> {
    let pairs = seen["headers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_an_event_is_post_invoke_and_only_its_body_comes_back() {
    bounded(async {
        let function = Function::server().with(|spec| {
            spec.memory_size = 1024;
            spec.instance_lifecycle_config = Some(InstanceLifecycleConfig {
                initializer: Some(HookConfig { handler: "init.it".into(), timeout: 9 }),
                pre_stop: Some(HookConfig { handler: "stop.it".into(), timeout: 5 }),
                ..Default::default()
            });
        });
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let cx = Context { attempt: 3, ..cx() };
        let mut invocation = event(&function.version(), "an event");
        invocation.client_ip = Some([192, 0, 2, 1].into());
        invocation.request.headers_mut().insert("x-caller", "1".parse().unwrap());
        let reply = instance.invoke(cx, invocation).await.unwrap();
        // The program answered 400 with a header of its own: both are thrown away (2.6).
        assert_eq!(reply.response.status(), 200);
        assert!(reply.response.headers().is_empty(), "{:?}", reply.response.headers());
        assert_eq!(reply.failure, None);
        assert!(reply.report.memory_bytes.unwrap() > 1 << 20);
        let seen: Value = serde_json::from_str(&text(reply).await.unwrap()).unwrap();
        assert_eq!(seen["event"], "an event");
        assert_eq!((&seen["method"], &seen["path"]), (&"POST".into(), &"/invoke".into()));
        let headers = headers_of(&seen);
        let expected = [
            ("content-type", "application/octet-stream"),
            ("content-length", "8"),
            ("x-fc-control-path", "/invoke"),
            ("x-fc-request-id", &cx.request_id.to_string()),
            ("x-fc-account-id", "1234567890"),
            ("x-fc-function-name", "tested"),
            ("x-fc-function-handler", "index.handler"),
            ("x-fc-function-memory", "1024"),
            ("x-fc-function-timeout", "30"),
            ("x-fc-qualifier", "prod"),
            ("x-fc-version-id", "7"),
            ("x-fc-region", "cn-test"),
            ("x-fc-client-ip", "192.0.2.1"),
            ("x-fc-base-path", "/"),
            ("x-fc-retry-count", "3"),
            ("x-fc-function-initializer", "init.it"),
            ("x-fc-initialization-timeout", "9"),
            ("x-fc-instance-lifecycle-pre-stop-handler", "stop.it"),
        ];
        for (name, value) in expected {
            assert_eq!(headers.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(headers["host"].starts_with("127.0.0.1:"));
        assert_eq!(headers.len(), expected.len() + 1, "nothing else: {headers:?}");
        instance.stop(cx).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_an_empty_event_has_a_length() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let reply = instance.invoke(cx(), event(&function.version(), ())).await.unwrap();
        let seen: Value = serde_json::from_str(&text(reply).await.unwrap()).unwrap();
        assert_eq!(headers_of(&seen)["content-length"], "0");
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_an_http_request_passes_through() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let mut invocation = http(&function.version(), "PATCH", "/a%20b//c;d?x=1&y=%2F", "a body");
        let headers = invocation.request.headers_mut();
        for (name, value) in [
            ("host", "shop.example:81"),
            ("x-caller", "1"),
            ("connection", "close, x-listed"),
            ("x-listed", "1"),
            ("te", "trailers"),
            ("proxy-authorization", "secret"),
            ("expect", "100-continue"),
            ("x-fc-account-id", "an impostor"),
            ("x_fc_region", "an impostor"),
            ("x-fc-security-token", "an impostor"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let reply = instance.invoke(cx(), invocation).await.unwrap();
        assert_eq!(reply.response.status(), 200);
        let own: Vec<_> = reply.response.headers().get_all("x-own").iter().collect();
        assert_eq!(own, ["1", "2"]);
        let seen: Value = serde_json::from_str(&text(reply).await.unwrap()).unwrap();
        assert_eq!(seen["method"], "PATCH");
        assert_eq!(seen["path"], "/a%20b//c;d?x=1&y=%2F");
        assert_eq!(seen["body"], "a body");
        let headers = headers_of(&seen);
        assert_eq!(headers["host"], "shop.example:81");
        assert_eq!(headers["x-caller"], "1");
        assert_eq!(headers["x-fc-account-id"], "1234567890");
        assert_eq!(headers["x-fc-region"], "cn-test");
        assert_eq!(headers["x-fc-control-path"], "/http-invoke");
        assert_eq!(headers["x-fc-client-ip"], "192.0.2.9");
        assert_eq!(headers["content-length"], "6");
        let gone = [
            "connection",
            "x-listed",
            "te",
            "proxy-authorization",
            "expect",
            "x_fc_region",
            "x-fc-security-token",
        ];
        for name in gone {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert!(!headers.values().any(|value| value.contains("impostor")));

        // The absolute form and HEAD.
        let absolute = http(&function.version(), "HEAD", "http://a.example/x?y", ());
        let reply = instance.invoke(cx(), absolute).await.unwrap();
        assert!(reply.response.headers()["content-length"] != "0");
        assert_eq!(text(reply).await.unwrap(), "");
        let requests = function.lines("requests");
        assert!(requests.last().unwrap().starts_with("HEAD /x?y "), "{requests:?}");
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_x_fc_status_decides_and_is_not_passed_on() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let version = function.version();
        let reply = instance.invoke(cx(), http(&version, "GET", "/fail", ())).await.unwrap();
        assert_eq!(reply.failure, Some(FailureType::Unhandled));
        assert_eq!(reply.response.status(), 500);
        for gone in ["x-fc-status", "connection", "x-hop"] {
            assert!(!reply.response.headers().contains_key(gone), "{gone}");
        }
        let reply = instance.invoke(cx(), http(&version, "GET", "/moved", ())).await.unwrap();
        assert_eq!((reply.failure, reply.response.status().as_u16()), (None, 302));
        assert_eq!(reply.response.headers()["location"], "/there");
        let reply = instance.invoke(cx(), event(&version, "/fail")).await.unwrap();
        assert_eq!(reply.failure, Some(FailureType::Unhandled));
        assert_eq!(reply.response.status(), 200);
        assert_eq!(text(reply).await.unwrap(), "no");
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_hooks_are_called_where_they_are_configured() {
    bounded(async {
        let runtime = runtime();
        let silent = Function::server();
        let instance = silent.start(&runtime).await.unwrap();
        instance.run_hook(cx(), Hook::Initialize).await.unwrap();
        instance.run_hook(cx(), Hook::PreStop).await.unwrap();
        let frozen = instance.run_hook(cx(), Hook::PreFreeze).await.unwrap_err();
        assert_eq!(frozen.kind(), ErrorKind::Unsupported);
        assert!(silent.lines("requests").is_empty());
        instance.stop(cx()).await.unwrap();

        let hooked = |spec: &mut fc_core::FunctionSpec| {
            let hook = || Some(HookConfig { handler: "h".into(), timeout: 3 });
            spec.instance_lifecycle_config = Some(InstanceLifecycleConfig {
                initializer: hook(),
                pre_stop: hook(),
                ..Default::default()
            });
        };
        let function = Function::server().with(hooked);
        let instance = function.start(&runtime).await.unwrap();
        instance.run_hook(cx(), Hook::Initialize).await.unwrap();
        instance.run_hook(cx(), Hook::PreStop).await.unwrap();
        assert_eq!(
            function.lines("requests"),
            ["POST /initialize /initialize initialize", "GET /pre-stop /pre-stop pre_stop"]
        );
        instance.stop(cx()).await.unwrap();

        let function = Function::server().with(hooked).with(|spec| {
            spec.environment_variables.insert("BAD_INITIALIZER".into(), "1".into());
        });
        let instance = function.start(&runtime).await.unwrap();
        let error = instance.run_hook(cx(), Hook::Initialize).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InitializationError);
        assert!(error.message().contains("500") && error.message().contains("cannot initialize"));
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

/// A body that is fed by hand.
struct Fed(mpsc::Receiver<Result<Bytes, Error>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(cx).map(|item| item.map(|item| item.map(Frame::data)))
    }
}

fn fed() -> (mpsc::Sender<Result<Bytes, Error>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::stream(Fed(receiver)))
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_bodies_stream_both_ways_without_buffering() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let (sender, body) = fed();
        sender.send(Ok("one".into())).await.unwrap();
        let invocation = http(&function.version(), "POST", "/duplex", body);
        let reply = instance.invoke(cx(), invocation).await.unwrap();
        let mut answer = reply.response.into_body();
        for text in ["one", "two", "three"] {
            if text != "one" {
                sender.send(Ok(text.into())).await.unwrap();
            }
            // The answer to each chunk comes before the next chunk is sent.
            let frame = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame, format!("got {text}"));
        }
        drop(sender);
        assert!(answer.frame().await.is_none());

        let large = call(&instance, &function, "/large").await.unwrap();
        assert_eq!(large.len(), 3_000_000);
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_request_body_that_fails_keeps_its_error() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let (sender, body) = fed();
        sender.send(Ok("one".into())).await.unwrap();
        let invocation = http(&function.version(), "POST", "/echo", body);
        let calling = instance.invoke(cx(), invocation);
        let failing = sender.send(Err(Error::over_limit("body", "bytes", 1, 2)));
        let (reply, sent) = tokio::join!(calling, failing);
        sent.unwrap();
        let error = reply.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.message(), "body: 2 bytes is over the limit of 1");
        call(&instance, &function, "/after").await.unwrap();
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_leaving_closes_the_connection() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let invocation = http(&function.version(), "GET", "/endless", ());
        let reply = instance.invoke(cx(), invocation).await.unwrap();
        let mut body = reply.response.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        while function.lines("closed").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_connections_are_kept_and_shared_by_nobody() {
    bounded(async {
        let function = Function::server().with(|spec| spec.instance_concurrency = 10);
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        for served in 1..=5 {
            let seen = call(&instance, &function, "/count").await.unwrap();
            let seen: Value = serde_json::from_str(&seen).unwrap();
            assert_eq!((&seen["served"], &seen["accepted"]), (&served.into(), &1.into()));
        }
        let calls = (0..10).map(|_| {
            let (instance, version) = (instance.clone(), function.version());
            tokio::spawn(async move {
                text(instance.invoke(cx(), http(&version, "GET", "/wait", ())).await.unwrap()).await
            })
        });
        let mut most = 0;
        for call in calls.collect::<Vec<_>>() {
            most = most.max(call.await.unwrap().unwrap().parse::<usize>().unwrap());
        }
        assert!(most > 2, "the calls ran one after another");
        // Those that were opened for the ten serve what follows.
        let seen = call(&instance, &function, "/count").await.unwrap();
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert!(seen["accepted"].as_u64().unwrap() <= 10);
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_connection_closed_by_the_server_is_noticed() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        for _ in 0..5 {
            let invocation = http(&function.version(), "POST", "/close-after", "x");
            let reply = instance.invoke(cx(), invocation).await.unwrap();
            assert_eq!(text(reply).await.unwrap(), "bye");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_only_idempotent_requests_are_sent_again() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let sent = |what: &str| {
            let requests = function.lines("requests");
            requests.iter().filter(|line| line.contains(what)).count()
        };
        assert_eq!(call(&instance, &function, "/drop-once").await.unwrap(), "at last");
        assert_eq!(sent("GET /drop-once"), 2);
        let error = call(&instance, &function, "/drop").await.unwrap_err();
        assert_eq!((error.kind(), sent("GET /drop ")), (ErrorKind::BadResponse, 3));
        assert_eq!(error.status(), 502);
        for (method, body) in [("POST", Body::EMPTY), ("PUT", "x".into()), ("OPTIONS", "x".into())]
        {
            let invocation = http(&function.version(), method, "/drop", body);
            let error = instance.invoke(cx(), invocation).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse);
            assert_eq!(sent(&format!("{method} /drop ")), 1, "{method}");
        }
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_an_answer_that_breaks_the_contract_is_the_functions_fault() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        for path in ["/garbage", "/large-head", "/many-heads", "/upgrade"] {
            let error = call(&instance, &function, path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{path}: {error:?}");
            assert_eq!(error.blame(), fc_core::Blame::Function);
        }
        let error = call(&instance, &function, "/half").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
        call(&instance, &function, "/after").await.unwrap();
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_the_environment_is_the_documented_one() {
    bounded(async {
        let function = Function::server()
            .with(|spec| {
                let variables = &mut spec.environment_variables;
                variables.insert("OWN".into(), "value with = and spaces".into());
                variables.insert("TZ".into(), "Asia/Shanghai".into());
                spec.instance_lifecycle_config = Some(InstanceLifecycleConfig {
                    initializer: Some(HookConfig { handler: "i".into(), timeout: 4 }),
                    ..Default::default()
                });
            })
            .with_runtime_config(|config| config.args = vec!["--flag".into(), "a b".into()]);
        let runtime = runtime();
        let spec = instance_spec(function.version());
        runtime.prepare(cx(), &spec.version).await.unwrap();
        let instance = runtime.start(cx(), &spec).await.unwrap();
        let seen = call(&instance, &function, "/environment").await.unwrap();
        let seen: Value = serde_json::from_str(&seen).unwrap();
        let directory = function.path().to_str().unwrap();
        assert_eq!(seen["cwd"], directory);
        assert_eq!(seen["open_files"], serde_json::json!([2048, 2048]));
        assert_eq!(seen["group"], seen["pid"], "a group of its own");
        assert_eq!(seen["argv"], serde_json::json!(["--flag", "a b"]));
        assert_eq!(seen["stdin"], "");
        let variables = seen["environment"].as_object().unwrap();
        let expected = [
            ("OWN", "value with = and spaces"),
            ("TZ", "Asia/Shanghai"),
            ("FC_FUNC_CODE_PATH", directory),
            ("FC_ACCOUNT_ID", "1234567890"),
            ("FC_FUNCTION_HANDLER", "index.handler"),
            ("FC_FUNCTION_MEMORY_SIZE", "512"),
            ("FC_FUNCTION_NAME", "tested"),
            ("FC_FUNCTION_VERSION", "7"),
            ("FC_VER_ID", "7"),
            ("FC_REGION", "cn-test"),
            ("FC_RUNTIME", "custom.debian12"),
            ("FC_INSTANCE_ID", spec.id.as_str()),
            ("FC_TIMEOUT", "30"),
            ("FC_INITIALIZER_HANDLER", "i"),
            ("FC_INITIALIZATION_TIMEOUT", "4"),
        ];
        for (name, value) in expected {
            assert_eq!(variables.get(name), Some(&value.into()), "{name}");
        }
        assert_eq!(variables["FC_CUSTOM_LISTEN_PORT"], variables["FC_SERVER_PORT"]);
        let known: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let inherited = ["PATH", "LANG", "FC_CUSTOM_LISTEN_PORT", "FC_SERVER_PORT"];
        // Python's own.
        let inherited = [&inherited[..], &["LC_CTYPE"]].concat();
        for name in variables.keys() {
            let name = name.as_str();
            assert!(known.contains(&name) || inherited.contains(&name), "{name} leaked");
        }
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_9_the_tail_is_what_the_request_printed() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        for _ in 0..10 {
            let cx = cx();
            let mut invocation = event(&function.version(), "/print");
            invocation.log = LogType::Tail;
            let reply = instance.invoke(cx, invocation).await.unwrap();
            assert_eq!(text(reply).await.unwrap(), "printed");
            let id = cx.request_id;
            let tail = instance.log_tail(id, 4096).await.unwrap();
            let tail = String::from_utf8(tail.to_vec()).unwrap();
            let mut lines: Vec<&str> = tail.lines().collect();
            // Two pipes: what of one and of the other comes first is nobody's promise.
            lines[1..3].sort_unstable();
            assert_eq!(
                lines,
                [
                    &format!("FC Invoke Start RequestId: {id}"),
                    &format!("to stderr of {id}"),
                    &format!("to stdout of {id}"),
                    &format!("FC Invoke End RequestId: {id}"),
                ]
            );
            assert_eq!(instance.log_tail(id, 10).await.unwrap().len(), 10);
        }
        let failing = cx();
        let mut invocation = event(&function.version(), "/fail");
        invocation.log = LogType::Tail;
        text(instance.invoke(failing, invocation).await.unwrap()).await.unwrap();
        let tail = instance.log_tail(failing.request_id, 4096).await.unwrap();
        let end =
            format!("End RequestId: {}, Error: Unhandled function error\n", failing.request_id);
        assert!(tail.ends_with(end.as_bytes()), "{tail:?}");

        call(&instance, &function, "/flood").await.unwrap();
        assert_eq!(instance.log_tail(next_id(), 10).await, None);
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

/// The end marker of an invocation's log.
async fn end_marker(instance: &Arc<dyn fc_core::Instance>, cx: Context) -> String {
    let tail = instance.log_tail(cx.request_id, 4096).await.unwrap();
    let tail = String::from_utf8(tail.to_vec()).unwrap();
    let last = tail.lines().last().unwrap();
    let begin = format!("FC Invoke End RequestId: {}", cx.request_id);
    last.strip_prefix(&begin).unwrap_or_else(|| panic!("{tail}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_9_the_end_marker_tells_how_the_call_ended() {
    const FAILED: &str = ", Error: Unhandled function error";
    const CANCELLED: &str = ", Error: Invocation canceled by client";
    bounded(async {
        let function = Function::server().with(|spec| spec.instance_concurrency = 10);
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        let get = |path: &str| http(&function.version(), "GET", path, ());
        let soon = std::time::Duration::from_millis(100);

        // The whole answer, in memory and as a stream.
        for path in ["/", "/large"] {
            let whole = cx();
            text(instance.invoke(whole, get(path)).await.unwrap()).await.unwrap();
            assert_eq!(end_marker(&instance, whole).await, "", "{path}");
        }
        // No answer, and half of one.
        let dropped = cx();
        instance.invoke(dropped, get("/drop")).await.unwrap_err();
        assert_eq!(end_marker(&instance, dropped).await, FAILED);
        let half = cx();
        match instance.invoke(half, get("/half")).await {
            Ok(reply) => drop(text(reply).await.unwrap_err()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::BadResponse),
        }
        assert_eq!(end_marker(&instance, half).await, FAILED);
        // The caller leaves: before the answer, and in its midst.
        let left = cx();
        tokio::time::timeout(soon, instance.invoke(left, get("/hang"))).await.unwrap_err();
        assert_eq!(end_marker(&instance, left).await, CANCELLED);
        let left = cx();
        drop(instance.invoke(left, get("/endless")).await.unwrap());
        assert_eq!(end_marker(&instance, left).await, CANCELLED);
        // Its time is over: the platform leaves.
        let over = cx().with_deadline(fc_core::Deadline::at(fc_core::Instant::ORIGIN));
        tokio::time::timeout(soon, instance.invoke(over, get("/hang"))).await.unwrap_err();
        assert_eq!(end_marker(&instance, over).await, FAILED);
        // A crash, and a call that comes too late.
        for path in ["/exit", "/"] {
            let crashed = cx();
            let error = instance.invoke(crashed, get(path)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FunctionCrashed);
            assert_eq!(error.blame(), fc_core::Blame::Function);
            assert_eq!(end_marker(&instance, crashed).await, FAILED, "{path}");
        }
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[test]
fn run_2_the_capabilities_say_what_is_enforced() {
    let capabilities = Arc::new(runtime()).capabilities();
    assert!(capabilities.streaming && !capabilities.suspend);
    assert_eq!(capabilities.isolation, fc_core::Isolation::Process);
    let enforces = capabilities.enforces;
    assert!(enforces.open_files);
    assert!(!enforces.cpu && !enforces.memory && !enforces.disk && !enforces.processes);
}
