//! Which function a request reaches, and what is answered (INV-1, INV-3, INV-9, HTT-1, HTT-3).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use common::{RUDE, Server, Setup, account};
use fc_core::{InvocationKind, Limits};
use fc_trigger::{Gateway, GatewayConfig};

const INVOKE: &str = "/2023-03-30/functions";

async fn invoke(server: &Server, function: &str, fields: &str, body: &[u8]) -> common::Answer {
    let head = format!("POST {INVOKE}/{function}/invocations HTTP/1.1\r\nHost: 127.0.0.1{fields}");
    server.ask(&head, body).await
}

async fn trigger(server: &Server, method: &str, function: &str) -> common::Answer {
    server.ask(&format!("{method} /p HTTP/1.1\r\nHost: {function}.localhost"), b"").await
}

/// INV-1, INV-3: one request, one invocation, its payload back, and the report's headers.
#[tokio::test]
async fn inv_1_an_invocation_is_request_and_response() {
    let server = Server::start().await;
    let answer = invoke(&server, "echo", "\r\nX-Own: 1\r\nContent-Type: text/x", b"payload").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"payload"[..]));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("x-fc-instance-id"), "c-1");
    assert_eq!(answer.header("x-fc-invocation-duration"), "12");
    assert_eq!(answer.header("x-fc-invocation-service-version"), "LATEST");
    assert_eq!(answer.header("x-fc-max-memory-usage"), "9.20");
    assert!(answer.headers.get("x-fc-log-result").is_none());
    let id: fc_core::RequestId = answer.header("x-fc-request-id").parse().unwrap();
    let seen = server.witness.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].kind, InvocationKind::Event);
    assert_eq!((seen[0].method.as_str(), seen[0].uri.as_str()), ("POST", "/invoke"));
    assert!(seen[0].headers.is_empty(), "an event has no headers of the caller's");
    assert_eq!(seen[0].client_ip, Some("127.0.0.1".parse().unwrap()));
    // INV-1: nothing is cached; ids differ.
    let again = invoke(&server, "echo", "", b"payload").await;
    assert_ne!(again.header("x-fc-request-id"), id.to_string());
    assert_eq!(server.witness.seen().len(), 2);
}

#[tokio::test]
async fn qualifiers_and_unknown_functions() {
    let server = Server::start().await;
    let ask = async |path: &str| server.ask(&format!("POST {path} HTTP/1.1\r\nHost: x"), b"").await;
    assert_eq!(ask(&format!("{INVOKE}/echo/invocations?qualifier=prod")).await.status, 200);
    assert_eq!(server.witness.seen()[0].qualifier, "prod");
    ask(&format!("{INVOKE}/echo/invocations?qualifier=none"))
        .await
        .assert_refused(404, "AliasNotFound");
    ask(&format!("{INVOKE}/echo/invocations?qualifier=7"))
        .await
        .assert_refused(404, "VersionNotFound");
    ask(&format!("{INVOKE}/echo/invocations?qualifier=a.b"))
        .await
        .assert_refused(400, "InvalidArgument");
    ask(&format!("{INVOKE}/nobody/invocations")).await.assert_refused(404, "FunctionNotFound");
    ask(&format!("{INVOKE}/a.b/invocations")).await.assert_refused(404, "FunctionNotFound");
    ask(&format!("{INVOKE}/Echo/invocations")).await.assert_refused(404, "FunctionNotFound");
    // T36: nothing else is there.
    for path in [
        "/",
        "/2023-03-30/functions",
        "/fission-function/default/echo",
        "/metrics",
        "/admin",
        "/invoke",
    ] {
        ask(path).await.assert_refused(400, "PathNotSupported");
    }
    let lost = ask("/nothing").await;
    assert_eq!(lost.json()["Message"], "'POST' against '/nothing' is not supported");
    assert_eq!(server.witness.seen().len(), 1);
    // An API path on a function's host is that function's.
    let head = format!("POST {INVOKE}/hang/invocations HTTP/1.1\r\nHost: echo.localhost");
    assert_eq!(server.ask(&head, b"").await.status, 200);
    assert_eq!(server.witness.seen()[1].uri, format!("{INVOKE}/hang/invocations"));
}

/// INV-3: how a function failed is said beside the status, and differs by surface.
#[tokio::test]
async fn inv_3_function_and_platform_errors_are_told_apart() {
    let server = Server::start().await;
    for (function, kind, code) in [
        ("crash", "UnhandledInvocationError", "FunctionCrashed"),
        ("init", "InitializationError", "InitializationError"),
    ] {
        let answer = invoke(&server, function, "", b"").await;
        assert_eq!((answer.status, answer.header("x-fc-error-type")), (200, kind));
        assert_eq!(answer.json()["errorType"], code);
        assert!(answer.json()["errorMessage"].is_string());
        assert!(!answer.header("x-fc-request-id").is_empty());
        let answer = trigger(&server, "GET", function).await;
        assert_eq!((answer.status, answer.header("x-fc-error-type")), (502, kind));
        assert!(answer.json()["errorMessage"].is_string());
    }
    let answer = invoke(&server, "handled", "", b"").await;
    assert_eq!((answer.status, answer.header("x-fc-error-type")), (200, "HandledInvocationError"));
    assert_eq!(answer.body, r#"{"errorMessage":"mine"}"#);
    for (function, status, code) in
        [("throttled", 429, "ResourceExhausted"), ("busy", 503, "ResourceThrottled")]
    {
        let answer = invoke(&server, function, "", b"").await;
        answer.assert_refused(status, code);
        assert_eq!(answer.header("retry-after"), "1");
        assert!(answer.headers.get("x-fc-error-type").is_none());
        let answer = trigger(&server, "GET", function).await;
        answer.assert_refused(status, code);
        assert_eq!(answer.header("x-fc-error-type"), "FcCommonError");
    }
}

/// INV-9.
#[tokio::test]
async fn inv_9_the_log_tail_comes_when_it_is_asked_for() {
    let server = Server::start().await;
    let answer =
        invoke(&server, "echo", "\r\nX-Fc-Log-Type: Tail\r\nX-Fc-Invocation-Type: Sync", b"").await;
    assert_eq!(answer.header("x-fc-log-result"), "RkMgSW52b2tlIEVuZA==");
    let failed = invoke(&server, "crash", "\r\nX-Fc-Log-Type: Tail", b"").await;
    assert_eq!(failed.header("x-fc-log-result"), "RkMgSW52b2tlIEVuZA==");
    let answer = invoke(&server, "echo", "\r\nX-Fc-Log-Type: None", b"").await;
    assert!(answer.headers.get("x-fc-log-result").is_none());
    for fields in [
        "X-Fc-Log-Type: tail",
        "X-Fc-Log-Type:",
        "X-Fc-Log-Type: Tail\r\nX-Fc-Log-Type: Tail",
        "X-Fc-Invocation-Type: sync",
        "X-Fc-Invocation-Type: Async",
        "X-Fc-Invocation-Type: Sync\r\nX-Fc-Invocation-Type: Async",
        "X-Fc-Async-Task-Id: a",
        "X-Fc-Stateful-Async-Invocation-Id: a",
        "X-Fc-Async-Delay: 1",
    ] {
        let answer = invoke(&server, "echo", &format!("\r\n{fields}"), b"").await;
        answer.assert_refused(400, "InvalidArgument");
        let name = fields.split(':').next().unwrap();
        let message = answer.json()["Message"].as_str().unwrap().to_lowercase();
        assert!(message.starts_with(&name.to_lowercase()), "{message}");
        let head = format!("GET / HTTP/1.1\r\nHost: echo.localhost\r\n{fields}");
        server.ask(&head, b"").await.assert_refused(400, "InvalidArgument");
    }
    assert_eq!(server.witness.seen().len(), 3);
}

/// HTT-1: each method passes where it is enabled, any other is 405 and says what is.
#[tokio::test]
async fn htt_1_methods() {
    let server = Server::start().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(trigger(&server, method, "echo").await.status, 200);
        assert_eq!(server.witness.seen().last().unwrap().method, method);
    }
    assert_eq!(trigger(&server, "GET", "get-only").await.status, 200);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"] {
        let answer = trigger(&server, method, "get-only").await;
        answer.assert_refused(405, "MethodNotAllowed");
        assert_eq!(answer.header("allow"), "GET, HEAD");
        assert_eq!(answer.header("x-fc-error-type"), "FcCommonError");
    }
    let answer = server.ask("CONNECT echo.localhost HTTP/1.1\r\nHost: echo.localhost", b"").await;
    assert_eq!(answer.status, 405);
    assert_eq!(server.witness.seen().len(), 7);
}

#[tokio::test]
async fn triggers_that_are_not_there_or_not_open() {
    let server = Server::start().await;
    trigger(&server, "GET", "plain").await.assert_refused(404, "TriggerNotFound");
    trigger(&server, "GET", "nobody").await.assert_refused(404, "FunctionNotFound");
    trigger(&server, "GET", "Echo").await.assert_refused(404, "FunctionNotFound");
    trigger(&server, "GET", "signed").await.assert_refused(403, "AccessDenied");
    assert!(server.witness.seen().is_empty());
    // Through the API a function without a trigger is reached.
    assert_eq!(invoke(&server, "plain", "", b"").await.status, 200);
}

/// HEAD: what a GET says of itself, without its body, and the connection goes on.
#[tokio::test]
async fn htt_1_head_has_no_body() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (function, length) in [("body-1000", Some("1000")), ("endless", None)] {
        let request = format!("HEAD / HTTP/1.1\r\nHost: {function}.localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let answer = common::guarded(async {
            loop {
                if let Some((answer, read)) = common::Answer::parse(&bytes, true) {
                    assert_eq!(read, bytes.len(), "a body came");
                    return answer;
                }
                assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
            }
        })
        .await;
        assert_eq!(answer.status, 200);
        if let Some(length) = length {
            assert_eq!(answer.header("content-length"), length);
        }
        assert!(!answer.header("x-fc-request-id").is_empty());
    }
}

/// HTT-3, the response's half.
#[tokio::test]
async fn htt_3_a_function_cannot_speak_for_the_platform() {
    let server = Server::start().await;
    let answer = trigger(&server, "GET", "rude").await;
    assert_eq!((answer.status, &answer.body[..]), (201, &b"rude"[..]));
    assert!(answer.header("x-fc-request-id").parse::<fc_core::RequestId>().is_ok());
    for name in ["x-fc-error-type", "x_fc_anything", "keep-alive", "server", "upgrade"] {
        assert!(answer.headers.get(name).is_none(), "{name}");
    }
    assert_eq!(answer.header("content-length"), "4");
    assert_ne!(answer.header("date"), "yesterday");
    assert_eq!((answer.header("x-own"), answer.header("content-type")), ("kept", "text/x-rude"));
    let dispositions: Vec<_> = answer.headers.get_all("content-disposition").iter().collect();
    assert_eq!(dispositions, ["attachment"], "one, whatever the function says");
    // Through the API none of the function's headers, nor its status, comes back (2.6).
    let answer = invoke(&server, "rude", "", b"").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"rude"[..]));
    assert!(answer.header("x-fc-request-id").parse::<fc_core::RequestId>().is_ok());
    for (name, value) in RUDE {
        let came = answer.headers.get_all(*name).iter().any(|came| came == value);
        assert!(!came || (*name == "connection" && *value == "close"), "{name}: {value}");
    }
}

#[tokio::test]
async fn redirects_and_switches() {
    let server = Server::start().await;
    let answer = trigger(&server, "GET", "redirect").await;
    assert_eq!((answer.status, answer.header("location")), (302, "https://elsewhere.example"));
    trigger(&server, "GET", "switch").await.assert_refused(502, "BadResponse");
    let mut config = GatewayConfig::new(account());
    config.refuse_redirects = true;
    let server = Setup { config, ..Setup::default() }.serve().await;
    trigger(&server, "GET", "redirect").await.assert_refused(400, "ExternalRedirectForbidden");
    assert_eq!(trigger(&server, "GET", "echo").await.status, 200);
}

/// FunctionGraph's words.
#[tokio::test]
async fn the_other_dialect() {
    let mut config = GatewayConfig::new(account());
    config.limits = Limits::function_graph();
    let server = Setup { config, ..Setup::default() }.serve().await;
    for (path, status, code) in [
        ("/nothing", 400, "FSS.0400"),
        ("/2023-03-30/functions/nobody/invocations", 404, "FSS.0404"),
        ("/2023-03-30/functions/throttled/invocations", 429, "FSS.0429"),
        ("/2023-03-30/functions/busy/invocations", 503, "FSS.0503"),
    ] {
        let answer = server.ask(&format!("POST {path} HTTP/1.1\r\nHost: x"), b"").await;
        assert_eq!((answer.status, answer.json()["error_code"].as_str()), (status, Some(code)));
        assert!(answer.json()["error_msg"].is_string());
        assert_eq!(answer.header("x-cff-request-id"), answer.header("x-fc-request-id"));
        assert!(!answer.header("x-fc-request-id").is_empty());
    }
}

/// I25: asked before anything is invoked, and the only word on it.
#[tokio::test]
async fn i25_authorisation_comes_first() {
    let server = Setup { authorize: Some(false), ..Setup::default() }.serve().await;
    invoke(&server, "echo", "", b"x").await.assert_refused(403, "AccessDenied");
    trigger(&server, "GET", "echo").await.assert_refused(403, "AccessDenied");
    trigger(&server, "GET", "signed").await.assert_refused(403, "AccessDenied");
    assert!(server.witness.seen().is_empty());
    let server = Setup { authorize: Some(true), ..Setup::default() }.serve().await;
    assert_eq!(
        invoke(&server, "echo", "\r\nX-Fc-Log-Type: Tail\r\nX_Fc_Account_Id: 1", b"x").await.status,
        200
    );
    assert_eq!(trigger(&server, "GET", "signed").await.status, 200);
    let asked = server.witness.authorized.lock().unwrap().clone();
    assert_eq!((asked[0].0.as_str(), asked[1].0.as_str()), ("InvokeFunction", "CallTrigger"));
    // A signature may cover the control headers; no policy sees a forged one.
    assert!(
        asked[0].1.contains_key("x-fc-log-type") && !asked[0].1.contains_key("x_fc_account_id")
    );
    assert_eq!(server.witness.seen().len(), 2);
}

#[tokio::test]
async fn health_says_ok_and_belongs_to_no_function() {
    let server = Server::start().await;
    let answer = server.ask("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8080", b"").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    assert!(!answer.header("x-fc-request-id").is_empty());
    assert_eq!(server.ask("GET /healthz HTTP/1.1\r\nHost: echo.localhost", b"").await.status, 200);
    assert_eq!(server.witness.seen()[0].uri, "/healthz");
}

/// What cannot be kept is refused when the gateway is made.
#[test]
fn impossible_settings_are_refused() {
    let refused = |change: fn(&mut GatewayConfig)| {
        let mut config = GatewayConfig::new(account());
        change(&mut config);
        let (gateway, _) = Setup::default().gateway();
        drop(gateway);
        let functions = std::sync::Arc::new(common::Functions {
            versions: Default::default(),
            witness: Default::default(),
        });
        let ports = fc_trigger::GatewayPorts {
            catalog: functions.clone(),
            invoke: functions,
            enqueue: None,
            tasks: None,
            authorize: None,
            clock: std::sync::Arc::new(fc_core::SystemClock::new()),
            request_ids: std::sync::Arc::new(fc_core::RequestIds::with_prefix(1)),
        };
        Gateway::new(config, ports).is_err()
    };
    assert!(!refused(|_| {}));
    assert!(refused(|config| config.suffixes = vec!["a..b".into()]));
    assert!(refused(|config| config.suffixes = vec![String::new()]));
    assert!(refused(|config| config.header_timeout = std::time::Duration::ZERO));
    assert!(refused(|config| config.connections_max = 0));
    assert!(refused(|config| config.streams_max = 0));
    assert!(refused(|config| config.limits.path_bytes_max = 1 << 20));
}
