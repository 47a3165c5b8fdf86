//! No `x-fc-*` of a client's reaches a function (HTT-3, T3, I24).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use bytes::Bytes;
use common::{Server, guarded};
use http_body_util::{BodyExt, Full, StreamBody};

/// Spellings that some server or library folds into `x-fc-…`.
const SPELLINGS: &[&str] = &[
    "x-fc-account-id",
    "X-Fc-Account-Id",
    "X-FC-ACCOUNT-ID",
    "x-Fc-aCCOUNT-iD",
    "x_fc_account_id",
    "X_FC_ACCOUNT_ID",
    "x-fc_account-id",
    "x_fc-account-id",
    "x.fc.account.id",
    "X.Fc-Account_Id",
    "x~fc~account~id",
    "x!fc!account!id",
    "x#fc#account#id",
    "x$fc$account$id",
    "x%fc%account%id",
    "x&fc&account&id",
    "x'fc'account'id",
    "x*fc*account*id",
    "x+fc+account+id",
    "x^fc^account^id",
    "x`fc`account`id",
    "x|fc|account|id",
    "x-fc-",
    "x-fc",
    "x_fc",
    "x-fc--account-id",
    "x-fc-request-id",
    "x-fc-function-name",
    "x-fc-client-ip",
    "x-fc-control-path",
    "x-fc-security-token",
    "x-fc-access-key-secret",
    "x-fc-status",
    "x_fc_log_type",
    "x-fc_invocation_type",
    "x-fc-unheard-of",
    "x-fc-retry-count",
];

fn assert_clean(server: &Server, what: &str) {
    let seen = server.witness.seen();
    assert_eq!(seen.len(), 1, "{what}: not invoked once");
    for name in seen[0].headers.keys() {
        assert!(!fc_core::header::is_platform(name.as_str()), "{what}: {name} passed");
    }
    assert_eq!(seen[0].headers["x-own"], "kept", "{what}");
    assert!(!seen[0].trailers, "{what}");
    server.witness.seen.lock().unwrap().clear();
}

/// HTT-3: alone, twice, listed by Connection, in trailers; on both surfaces.
#[tokio::test]
async fn htt_3_spoofed_headers_of_http1_are_dropped() {
    let server = Server::start().await;
    for name in SPELLINGS {
        let head = "POST /x HTTP/1.1\r\nHost: echo.localhost\r\nX-Own: kept";
        for (fields, what) in [
            (format!("{name}: forged"), "alone"),
            (format!("{name}: a\r\n{name}: b"), "twice"),
            (format!("{name}:forged"), "without blank"),
            (format!("{name}: forged\r\nConnection: {name}"), "listed"),
            (format!("Connection: keep-alive, {name}\r\n{name}: forged"), "listed before"),
        ] {
            let answer = server.ask(&format!("{head}\r\n{fields}"), b"body").await;
            assert_eq!(answer.status, 200, "{name} {what}: {answer:?}");
            assert_clean(&server, &format!("{name} {what}"));
        }
        let bytes = format!(
            "{head}\r\nConnection: close\r\nTE: trailers\r\nTrailer: {name}\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\n{name}: forged\r\n\r\n"
        );
        let answers = server.raw(bytes).await;
        assert_eq!(answers[0].status, 200, "{name} in trailers");
        assert_clean(&server, &format!("{name} in trailers"));
    }
}

/// T3: the same over HTTP/2, trailers included.
#[tokio::test]
async fn t3_spoofed_headers_of_http2_are_dropped() {
    let server = Server::start().await;
    guarded(async {
        let (mut sender, _) = server.http2().await;
        for name in SPELLINGS {
            let mut trailers = http::HeaderMap::new();
            trailers.insert(name.parse::<http::HeaderName>().unwrap(), "forged".parse().unwrap());
            let frames = vec![
                Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from_static(
                    b"hi",
                ))),
                Ok(http_body::Frame::trailers(trailers)),
            ];
            let request = http::Request::post("http://echo.localhost/x")
                .header(*name, "forged")
                .header(*name, "again")
                .header("x-own", "kept")
                .body(StreamBody::new(Frames(frames.into())))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200, "{name}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hi");
            assert_clean(&server, &format!("{name} over HTTP/2"));
        }
    })
    .await;
}

/// What a caller may say to the platform, it does not say to the function.
#[tokio::test]
async fn htt_3_control_headers_are_read_and_dropped() {
    let server = Server::start().await;
    let fields = "X-Own: kept\r\nX-Fc-Log-Type: Tail\r\nX-Fc-Invocation-Type: Sync";
    let answer =
        server.ask(&format!("GET / HTTP/1.1\r\nHost: echo.localhost\r\n{fields}"), b"").await;
    assert!(!answer.header("x-fc-log-result").is_empty());
    assert_clean(&server, "control headers");
}

/// What belongs to the connection stays there, and the rest arrives.
#[tokio::test]
async fn hop_by_hop_headers_stay_behind() {
    let server = Server::start().await;
    let fields = "Connection: X-Listed, keep-alive\r\nX-Listed: 1\r\nKeep-Alive: 1\r\nTE: trailers\r\nTrailer: x\r\n\
                  Upgrade: websocket\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nX-Own: kept\r\nCookie: a";
    let head = format!("POST / HTTP/1.1\r\nHost: echo.localhost\r\n{fields}");
    assert_eq!(server.ask(&head, b"body").await.status, 200);
    let seen = server.witness.seen();
    let mut names: Vec<&str> = seen[0].headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "cookie", "host", "x-own"]);
    for listed in ["Host", "content-length", "x y"] {
        let head = format!("POST / HTTP/1.1\r\nHost: echo.localhost\r\nConnection: {listed}");
        server.ask(&head, b"body").await.assert_refused(400, "InvalidArgument");
    }
    assert_eq!(server.witness.seen().len(), 1);
}

/// HTTP/2 names its host otherwise; the function sees one `Host` and a plain path.
#[tokio::test]
async fn http2_reaches_the_function_as_http() {
    let server = Server::start().await;
    guarded(async {
        let (mut sender, _) = server.http2().await;
        let request = http::Request::put("http://echo.localhost:99/a?b=c")
            .body(Full::new(Bytes::from_static(b"hi")))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("x-fc-request-id"));
        let seen = server.witness.seen();
        assert_eq!((seen[0].method.as_str(), seen[0].uri.as_str()), ("PUT", "/a?b=c"));
        assert_eq!(seen[0].headers["host"], "echo.localhost:99");
        let request =
            http::Request::get("http://echo.localhost/").header("host", "other.localhost");
        let response =
            sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(server.witness.seen().len(), 1);
    })
    .await;
}

struct Frames(
    std::collections::VecDeque<Result<http_body::Frame<Bytes>, std::convert::Infallible>>,
);

impl futures_core::Stream for Frames {
    type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}
