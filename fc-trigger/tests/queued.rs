//! Asynchronous invocations at the gateway's edge: asked for by header, queued by a port, answered
//! 202 or refused (INV-2, INV-4, INV-5, INV-6, ASY-10).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Answer, Enqueuer, Server, Setup, account, chunked, guarded, undeclared};
use fc_core::{InvocationKind, Limits, LogType};
use fc_trigger::GatewayConfig;
use http_body_util::{BodyExt, Full};
use tokio::io::AsyncWriteExt;

const ASYNC: &str = "X-Fc-Invocation-Type: Async";

async fn server() -> (Server, Arc<Enqueuer>) {
    let (setup, enqueuer, _) = Setup::queued();
    (setup.serve().await, enqueuer)
}

/// The two heads of a function's invocation: through the API, and to its own host.
fn heads(function: &str, fields: &str) -> [String; 2] {
    [
        format!(
            "POST /2023-03-30/functions/{function}/invocations HTTP/1.1\r\nHost: x\r\n{fields}"
        ),
        format!("POST /p?q=1 HTTP/1.1\r\nHost: {function}.localhost\r\n{fields}"),
    ]
}

#[track_caller]
fn assert_accepted(answer: &Answer, id: Option<&str>) {
    assert_eq!((answer.status, &answer.body[..]), (202, &b""[..]), "{answer:?}");
    let request_id = answer.header("x-fc-request-id");
    assert!(request_id.parse::<fc_core::RequestId>().is_ok(), "{answer:?}");
    assert_eq!(answer.header("x-fc-async-task-id"), id.unwrap_or(request_id));
    for name in ["x-own", "x-fc-error-type", "x-fc-instance-id", "x-fc-log-result"] {
        assert!(answer.headers.get(name).is_none(), "{name}: {answer:?}");
    }
}

/// INV-2: what is queued is answered 202 without a body, and was not run.
#[tokio::test]
async fn inv_2_what_is_kept_is_answered_202() {
    let (server, enqueuer) = server().await;
    let [api, trigger] = heads("echo", &format!("{ASYNC}\r\nX-Own: 1"));
    let answer = server.ask(&api, b"payload").await;
    assert_accepted(&answer, None);
    let kept = enqueuer.last();
    assert_eq!(kept.request_id, answer.header("x-fc-request-id"));
    assert_eq!((kept.function.as_str(), kept.qualifier.as_str()), ("echo", "LATEST"));
    assert_eq!((kept.kind, &kept.body[..]), (InvocationKind::Event, &b"payload"[..]));
    assert_eq!((kept.method.as_str(), kept.uri.as_str()), ("POST", "/invoke"));
    assert!(kept.headers.is_empty(), "an event has no headers of the caller's");
    assert_eq!((kept.asynchronous.task_id, kept.asynchronous.delay), (None, None));
    assert_eq!(kept.client_ip, Some("127.0.0.1".parse().unwrap()));

    let answer = server.ask(&trigger, b"payload").await;
    assert_accepted(&answer, None);
    assert!(answer.headers.get("content-disposition").is_none(), "it is no function's answer");
    let kept = enqueuer.last();
    assert_eq!((kept.kind, &kept.body[..]), (InvocationKind::Http, &b"payload"[..]));
    assert_eq!((kept.method.as_str(), kept.uri.as_str()), ("POST", "/p?q=1"));
    assert_eq!(kept.headers["x-own"], "1");
    assert!(kept.headers.keys().all(|name| !fc_core::header::is_platform(name.as_str())));

    let api = api.replacen("invocations", "invocations?qualifier=prod", 1);
    assert_accepted(&server.ask(&api, b"").await, None);
    assert_eq!((enqueuer.last().qualifier.as_str(), enqueuer.last().body.len()), ("prod", 0));
    assert!(server.witness.seen().is_empty(), "it was run");
    // Without the header, or with Sync, the same gateway runs at once.
    for head in [heads("echo", "X-Own: 1"), heads("echo", "X-Fc-Invocation-Type: Sync")].concat() {
        let answer = server.ask(&head, b"payload").await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"payload"[..]));
    }
    assert_eq!((server.witness.seen().len(), enqueuer.kept().len()), (4, 3));
}

/// INV-2: the port's errors are the caller's, and nothing but its 202 is one.
#[tokio::test]
async fn inv_2_no_refusal_is_answered_202() {
    let (server, enqueuer) = server().await;
    for (function, status, code) in [
        ("throttled", 429, "ResourceExhausted"),
        ("busy", 503, "ResourceThrottled"),
        ("crash", 500, "InternalServerError"),
        ("init", 500, "InternalServerError"),
        ("rude", 500, "InternalServerError"),
        ("handled", 500, "InternalServerError"),
        ("nobody", 404, "FunctionNotFound"),
    ] {
        for head in heads(function, ASYNC) {
            let answer = server.ask(&head, b"x").await;
            answer.assert_refused(status, code);
            assert!(answer.headers.get("x-fc-async-task-id").is_none());
            assert_eq!(answer.headers.contains_key("retry-after"), [429, 503].contains(&status));
        }
    }
    let [api, trigger] = heads("plain", ASYNC);
    server.ask(&trigger, b"").await.assert_refused(404, "TriggerNotFound");
    assert_accepted(&server.ask(&api, b"").await, None);
    let get_only = heads("get-only", ASYNC)[1].clone();
    server.ask(&get_only, b"").await.assert_refused(405, "MethodNotAllowed");
    assert_eq!(enqueuer.kept().len(), 1);
    // Kept without a word on its name: it has the one that the rule gives.
    assert_accepted(&server.ask(&heads("quiet", ASYNC)[0], b"").await, None);
    let head = heads("quiet", &format!("{ASYNC}\r\nX-Fc-Async-Task-Id: mine"));
    assert_accepted(&server.ask(&head[0], b"").await, Some("mine"));
}

/// I25: nothing is queued for who may not, on either host; and a trigger that authenticates is not
/// open to asynchronous calls either.
#[tokio::test]
async fn i25_authorisation_comes_before_the_queue() {
    let (setup, enqueuer, _) = Setup::queued();
    let server = Setup { authorize: Some(false), ..setup }.serve().await;
    for head in heads("echo", ASYNC) {
        server.ask(&head, b"x").await.assert_refused(403, "AccessDenied");
    }
    let (setup, without, _) = Setup::queued();
    let open = setup.serve().await;
    let signed = format!("GET / HTTP/1.1\r\nHost: signed.localhost\r\n{ASYNC}");
    open.ask(&signed, b"").await.assert_refused(403, "AccessDenied");
    assert!(enqueuer.kept().is_empty() && without.kept().is_empty());
    let (setup, enqueuer, _) = Setup::queued();
    let server = Setup { authorize: Some(true), ..setup }.serve().await;
    assert_accepted(&server.ask(&signed, b"").await, None);
    assert_accepted(&server.ask(&heads("echo", ASYNC)[0], b"").await, None);
    let asked = server.witness.authorized.lock().unwrap().clone();
    assert_eq!((asked[0].0.as_str(), asked[1].0.as_str()), ("CallTrigger", "InvokeFunction"));
    assert!(asked[0].1.contains_key("x-fc-invocation-type"), "a signature may cover it");
    assert_eq!(enqueuer.kept().len(), 2);
}

/// INV-4: the caller's name for the task, by either header, comes back; a second of that name is 409.
#[tokio::test]
async fn inv_4_a_task_has_the_name_that_its_caller_gives() {
    let (server, enqueuer) = server().await;
    let longest = format!("_{}", "a".repeat(127));
    for (index, id) in ["a", "_", "Z-9_", "task-1", &longest].into_iter().enumerate() {
        let head = &heads("echo", &format!("{ASYNC}\r\nX-Fc-Async-Task-Id: {id}"))[index % 2];
        let answer = server.ask(head, b"x").await;
        assert_accepted(&answer, Some(id));
        assert!(answer.headers.get("x-fc-stateful-async-invocation-id").is_none());
        assert_eq!(enqueuer.last().asynchronous.task_id.as_deref(), Some(id));
        let again = server.ask(head, b"x").await;
        again.assert_refused(409, "StatefulAsyncInvocationAlreadyExists");
    }
    for fields in [
        "X-Fc-Stateful-Async-Invocation-Id: old",
        "X-Fc-Async-Task-Id: both\r\nX-Fc-Stateful-Async-Invocation-Id: both",
    ] {
        let id = fields.rsplit(' ').next().unwrap();
        let answer = server.ask(&heads("echo", &format!("{ASYNC}\r\n{fields}"))[0], b"x").await;
        assert_accepted(&answer, Some(id));
        assert_eq!(answer.header("x-fc-stateful-async-invocation-id"), id);
        assert_eq!(enqueuer.last().asynchronous.task_id.as_deref(), Some(id));
    }
    assert_eq!(enqueuer.kept().len(), 7);
}

#[tokio::test]
async fn inv_4_names_that_are_none_are_refused() {
    let (server, enqueuer) = server().await;
    let too_long = "a".repeat(129);
    for id in ["", "1", "-a", "9a", "a b", "a.b", "a/b", "a%20", "\u{e4}", "a,b", &too_long] {
        for name in ["X-Fc-Async-Task-Id", "X-Fc-Stateful-Async-Invocation-Id"] {
            for head in heads("echo", &format!("{ASYNC}\r\n{name}: {id}")) {
                let answer = server.ask(&head, b"x").await;
                answer.assert_refused(400, "InvalidArgument");
                let message = answer.json()["Message"].as_str().unwrap().to_owned();
                assert!(message.starts_with(&name.to_lowercase()), "{message}");
            }
        }
    }
    for (fields, named) in [
        (
            "X-Fc-Async-Task-Id: a\r\nX-Fc-Stateful-Async-Invocation-Id: b",
            "x-fc-stateful-async-invocation-id: differs from x-fc-async-task-id",
        ),
        ("X-Fc-Async-Task-Id: a\r\nX-Fc-Async-Task-Id: a", "x-fc-async-task-id: is given more"),
        ("X-Fc-Async-Delay: 1\r\nX-Fc-Async-Delay: 1", "x-fc-async-delay: is given more"),
        ("X-Fc-Invocation-Type: Async", "x-fc-invocation-type: is given more"),
    ] {
        let answer = server.ask(&heads("echo", &format!("{ASYNC}\r\n{fields}"))[0], b"x").await;
        answer.assert_refused(400, "InvalidArgument");
        assert!(answer.json()["Message"].as_str().unwrap().starts_with(named), "{answer:?}");
    }
    let too_long = format!("{ASYNC}\r\nX-Fc-Async-Task-Id: {too_long}");
    let answer = server.ask(&heads("echo", &too_long)[0], b"x").await;
    let message = answer.json()["Message"].as_str().unwrap().to_owned();
    assert_eq!(message, "x-fc-async-task-id: 129 characters is over the limit of 128");
    assert!(enqueuer.kept().is_empty() && server.witness.seen().is_empty());
}

/// INV-5: whole seconds in (0, 3600].
#[tokio::test]
async fn inv_5_a_delay_is_within_the_hour() {
    let (server, enqueuer) = server().await;
    for seconds in [1, 2, 59, 3599, 3600] {
        for head in heads("echo", &format!("{ASYNC}\r\nX-Fc-Async-Delay: {seconds}")) {
            assert_accepted(&server.ask(&head, b"x").await, None);
            assert_eq!(enqueuer.last().asynchronous.delay, Some(Duration::from_secs(seconds)));
        }
    }
    for delay in [
        "0",
        "00",
        "-1",
        "-0",
        "3601",
        "86400",
        "18446744073709551617",
        "+1",
        "1.0",
        "1.5",
        "1e1",
        "0x1",
        "1s",
        "",
        "soon",
        "1 2",
        "1,2",
        "\u{661}",
        "NaN",
        "inf",
    ] {
        for head in heads("echo", &format!("{ASYNC}\r\nX-Fc-Async-Delay: {delay}")) {
            let answer = server.ask(&head, b"x").await;
            answer.assert_refused(400, "InvalidArgument");
            let message = answer.json()["Message"].as_str().unwrap().to_owned();
            let names = message.starts_with("x-fc-async-delay:") && message.contains("3600");
            assert!(names, "{message}");
            assert!(!delay.is_ascii() || message.ends_with(&format!("is '{delay}'")), "{message}");
        }
    }
    assert_eq!(enqueuer.kept().len(), 10);
}

/// What goes with Async alone is refused without it: nobody is to think that it was heeded.
#[tokio::test]
async fn inv_5_nothing_asynchronous_goes_with_sync() {
    let (server, enqueuer) = server().await;
    for fields in [
        "X-Fc-Async-Task-Id: a",
        "X-Fc-Stateful-Async-Invocation-Id: a",
        "X-Fc-Async-Delay: 1",
        "X-Fc-Async-Delay: 0",
    ] {
        for fields in [fields.to_owned(), format!("{fields}\r\nX-Fc-Invocation-Type: Sync")] {
            for head in heads("echo", &fields) {
                let answer = server.ask(&head, b"x").await;
                answer.assert_refused(400, "InvalidArgument");
                let message = answer.json()["Message"].as_str().unwrap().to_owned();
                assert!(
                    message.ends_with("goes with X-Fc-Invocation-Type: Async only"),
                    "{message}"
                );
            }
        }
    }
    for kind in ["async", "ASYNC", "", "Async, Sync", "Deferred"] {
        let head = &heads("echo", &format!("X-Fc-Invocation-Type: {kind}"))[0];
        server.ask(head, b"x").await.assert_refused(400, "InvalidArgument");
    }
    // Other spellings are nobody's headers: they are dropped, and the call is synchronous.
    let head = &heads("echo", "X_Fc_Invocation_Type: Async")[0];
    assert_eq!(server.ask(head, b"x").await.status, 200);
    // What is no invocation cannot be queued.
    for path in ["/2023-03-30/async-invoke-configs", "/healthz"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{ASYNC}");
        server.ask(&head, b"").await.assert_refused(400, "InvalidArgument");
    }
    assert!(enqueuer.kept().is_empty());
}

/// A log comes with Sync only: asked for with Async it is taken, and means nothing.
#[tokio::test]
async fn inv_9_no_log_comes_of_what_is_queued() {
    let (server, enqueuer) = server().await;
    for kind in ["Tail", "None"] {
        let head = &heads("echo", &format!("{ASYNC}\r\nX-Fc-Log-Type: {kind}"))[0];
        assert_accepted(&server.ask(head, b"x").await, None);
        assert_eq!(enqueuer.last().log, LogType::None);
    }
    let head = &heads("echo", &format!("{ASYNC}\r\nX-Fc-Log-Type: All"))[0];
    server.ask(head, b"x").await.assert_refused(400, "InvalidArgument");
}

/// ASY-10: FunctionGraph's HTTP functions cannot be invoked asynchronously; its events can, and
/// Function Compute's HTTP functions too (the tests above).
#[tokio::test]
async fn asy_10_functiongraph_queues_no_http_call() {
    let (setup, enqueuer, _) = Setup::queued();
    let mut config = GatewayConfig::new(account());
    config.limits = Limits::function_graph();
    let server = Setup { config, ..setup }.serve().await;
    let [api, trigger] = heads("echo", ASYNC);
    let answer = server.ask(&trigger, b"x").await;
    assert_eq!((answer.status, answer.json()["error_code"].as_str()), (400, Some("FSS.0400")));
    let message = answer.json()["error_msg"].as_str().unwrap().to_owned();
    assert_eq!(message, "x-fc-invocation-type: an HTTP function cannot be invoked asynchronously");
    assert!(enqueuer.kept().is_empty() && server.witness.seen().is_empty());
    let answer = server.ask(&api, b"x").await;
    assert_accepted(&answer, None);
    assert_eq!(answer.header("x-cff-request-id"), answer.header("x-fc-request-id"));
    let sync = server.ask(&heads("echo", "X-Own: 1")[1], b"x").await;
    assert_eq!(sync.status, 200);
}

/// INV-6: the two clouds' limits, over HTTP/1 with a length and without.
#[tokio::test]
async fn inv_6_asynchronous_bodies_at_the_limit() {
    for (limits, max) in
        [(Limits::function_compute(), 128 * 1024), (Limits::function_graph(), 256 * 1024)]
    {
        let dialect = limits.dialect;
        let (setup, enqueuer, _) = Setup::queued();
        let mut config = GatewayConfig::new(account());
        config.limits = limits;
        let server = Setup { config, ..setup }.serve().await;
        let mut expected = 0;
        for head in &heads("echo", ASYNC)[..] {
            if dialect == fc_core::Dialect::FunctionGraph && head.contains(".localhost") {
                continue;
            }
            for (size, fits) in [(max - 1, true), (max, true), (max + 1, false)] {
                let declared = server.ask(head, &vec![b'b'; size]).await;
                let streamed = server.raw(chunked(head, size, 50_000)).await.remove(0);
                for answer in [declared, streamed] {
                    if fits {
                        assert_accepted(&answer, None);
                        expected += 1;
                    } else {
                        assert_eq!(answer.status, 400);
                        let message = String::from_utf8(answer.body.to_vec()).unwrap();
                        let over = format!("{} bytes is over the limit of {max}", max + 1);
                        assert!(message.contains(&over), "{message}");
                    }
                }
                assert_eq!(enqueuer.kept().len(), expected);
                if fits {
                    assert!(
                        enqueuer.kept().iter().rev().take(2).all(|kept| kept.body.len() == size)
                    );
                }
            }
        }
        // The length alone is enough: nobody waits for the body.
        let head = format!("{}\r\nContent-Length: 999999\r\n\r\n", heads("echo", ASYNC)[0]);
        assert_eq!(server.raw(head).await[0].status, 400);
        // What is refused of the queue is run at once.
        let sync = server.ask(&heads("echo", "X-Own: 1")[0], &vec![b'b'; max + 1]).await;
        assert_eq!((sync.status, sync.body.len()), (200, max + 1));
    }
}

/// INV-6: the limit on what is queued is its own, below or above the one on what is run.
#[tokio::test]
async fn inv_6_the_asynchronous_limit_is_its_own() {
    let (setup, enqueuer, _) = Setup::queued();
    let mut config = GatewayConfig::new(account());
    config.limits.request_body_bytes_max = 100;
    config.limits.async_request_body_bytes_max = 200;
    let server = Setup { config, ..setup }.serve().await;
    for chunk in [1, 7, 500] {
        for (size, fits) in [(101, true), (199, true), (200, true), (201, false)] {
            let answers = server.raw(chunked(&heads("echo", ASYNC)[1], size, chunk)).await;
            if fits {
                assert_accepted(&answers[0], None);
                assert_eq!(enqueuer.last().body.len(), size);
            } else {
                answers[0].assert_refused(400, "InvalidArgument");
            }
        }
        let answers = server.raw(chunked(&heads("echo", "X-Own: 1")[1], 101, chunk)).await;
        answers[0].assert_refused(400, "InvalidArgument");
    }
    assert_eq!(enqueuer.kept().len(), 9);
}

/// INV-2, INV-4, INV-6 over HTTP/2, with a length and without.
#[tokio::test]
async fn inv_6_asynchronous_bodies_of_http2_at_the_limit() {
    const MAX: usize = 1000;
    let (setup, enqueuer, _) = Setup::queued();
    let mut config = GatewayConfig::new(account());
    config.limits.async_request_body_bytes_max = MAX as u64;
    let server = Setup { config, ..setup }.serve().await;
    guarded(async {
        let (mut sender, _) = server.http2().await;
        for uri in ["http://x/2023-03-30/functions/echo/invocations", "http://echo.localhost/"] {
            for (size, fits) in [(0, true), (MAX - 1, true), (MAX, true), (MAX + 1, false)] {
                for declared in [true, false] {
                    let bytes = Bytes::from(vec![b'b'; size]);
                    let body =
                        if declared { Full::new(bytes).boxed() } else { undeclared(bytes).boxed() };
                    let id = format!("t-{}-{size}-{declared}", uri.len());
                    let request = http::Request::post(uri)
                        .header("x-fc-invocation-type", "Async")
                        .header("x-fc-async-task-id", &id)
                        .header("x-fc-async-delay", "60")
                        .body(body)
                        .unwrap();
                    let response = sender.send_request(request).await.unwrap();
                    let (head, body) = response.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    assert!(head.headers.contains_key("x-fc-request-id"));
                    if fits {
                        assert_eq!(
                            (head.status.as_u16(), body.len()),
                            (202, 0),
                            "{size} {declared}"
                        );
                        assert_eq!(head.headers["x-fc-async-task-id"], id);
                        let kept = enqueuer.last();
                        assert_eq!(kept.body.len(), size);
                        assert_eq!(kept.asynchronous.task_id, Some(id));
                        assert_eq!(kept.asynchronous.delay, Some(Duration::from_secs(60)));
                    } else {
                        assert_eq!(head.status, 400, "{size} {declared}");
                        assert!(std::str::from_utf8(&body).unwrap().contains("limit of 1000"));
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(enqueuer.kept().len(), 12);
}

/// INV-2: half a body is never kept, however it ends.
#[tokio::test]
async fn inv_2_half_a_body_is_not_queued() {
    let (server, enqueuer) = server().await;
    for head in heads("echo", ASYNC) {
        for framing in
            ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
        {
            let mut stream = server.connect().await;
            stream.write_all(format!("{head}\r\n{framing}").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
            let _ = guarded(read).await;
            assert!(!answer.starts_with(b"HTTP/1.1 202"), "{:?}", String::from_utf8_lossy(&answer));
        }
        // A chunk that is none.
        let bytes = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
        server.raw(bytes).await[0].assert_refused(400, "InvalidArgument");
    }
    assert!(enqueuer.kept().is_empty());
}
