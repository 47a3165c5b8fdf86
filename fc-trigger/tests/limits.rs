//! Both sides of every limit, over HTTP/1, chunked and HTTP/2 (INV-6, HTT-2, T17, I23).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use bytes::Bytes;
use common::{Answer, Server, Setup, account, chunked, guarded, undeclared};
use fc_core::Limits;
use fc_trigger::GatewayConfig;
use http_body_util::{BodyExt, Full};

const BODY_MAX: usize = 1000;

async fn small() -> Server {
    let mut config = GatewayConfig::new(account());
    config.limits.request_body_bytes_max = BODY_MAX as u64;
    Setup { config, ..Setup::default() }.serve().await
}

/// INV-6: with a declared length the function is not invoked at all.
#[tokio::test]
async fn inv_6_declared_bodies_at_the_limit() {
    let server = small().await;
    for (size, fits) in [(BODY_MAX - 1, true), (BODY_MAX, true), (BODY_MAX + 1, false)] {
        for head in [
            "POST / HTTP/1.1\r\nHost: echo.localhost",
            "POST /2023-03-30/functions/echo/invocations HTTP/1.1\r\nHost: x",
        ] {
            let answer = server.ask(head, &vec![b'b'; size]).await;
            if fits {
                assert_eq!((answer.status, answer.body.len()), (200, size));
            } else {
                answer.assert_refused(400, "InvalidArgument");
            }
        }
    }
    assert_eq!(server.witness.seen().len(), 4);
    assert!(server.witness.body_errors.lock().unwrap().is_empty());
    // The length alone is enough: nobody waits for the body.
    let head = "POST / HTTP/1.1\r\nHost: echo.localhost\r\nContent-Length: 999999999\r\n\r\n";
    let answers = server.raw(head).await;
    answers[0].assert_refused(400, "InvalidArgument");
}

/// INV-6: without one it is counted while it streams, and a function's error does not hide it.
#[tokio::test]
async fn inv_6_chunked_bodies_at_the_limit() {
    let server = small().await;
    for chunk in [1, 7, 400, 5000] {
        for (size, fits) in [(BODY_MAX - 1, true), (BODY_MAX, true), (BODY_MAX + 1, false)] {
            let answers =
                server.raw(chunked("POST / HTTP/1.1\r\nHost: echo.localhost", size, chunk)).await;
            if fits {
                assert_eq!((answers[0].status, answers[0].body.len()), (200, size));
            } else {
                answers[0].assert_refused(400, "InvalidArgument");
                let message = answers[0].json()["Message"].to_string();
                assert!(message.contains("1000"), "{message}");
            }
        }
    }
    let whole = server.witness.seen();
    assert!(whole.iter().all(|seen| seen.body.as_ref().unwrap().len() <= BODY_MAX));
    assert_eq!(whole.len(), 8);
}

/// INV-6 over HTTP/2, with and without a length.
#[tokio::test]
async fn inv_6_http2_bodies_at_the_limit() {
    let server = small().await;
    guarded(async {
        let (mut sender, _) = server.http2().await;
        for (size, fits) in [(BODY_MAX - 1, true), (BODY_MAX, true), (BODY_MAX + 1, false)] {
            for declared in [true, false] {
                let bytes = Bytes::from(vec![b'b'; size]);
                let body =
                    if declared { Full::new(bytes).boxed() } else { undeclared(bytes).boxed() };
                let request = http::Request::post("http://echo.localhost/").body(body).unwrap();
                let response = sender.send_request(request).await.unwrap();
                let status = response.status().as_u16();
                let id = response.headers().contains_key("x-fc-request-id");
                assert!(id, "no request id");
                assert_eq!(status, if fits { 200 } else { 400 }, "{size} {declared}");
            }
        }
    })
    .await;
    assert_eq!(server.witness.seen().len(), 4);
}

/// HTT-2: names and values count, in all.
fn with_headers(total: usize, fields: usize) -> String {
    let host = "echo.localhost";
    let fixed =
        "host".len() + host.len() + "connection".len() + "close".len() + "content-length".len() + 1;
    let mut left = total - fixed;
    let mut head = format!("GET / HTTP/1.1\r\nHost: {host}");
    for index in 0..fields {
        let name = format!("h{index:03}");
        let value = if index + 1 == fields {
            left - name.len()
        } else {
            (left / (fields - index)).saturating_sub(name.len())
        };
        left -= name.len() + value;
        head += &format!("\r\n{name}: {}", "v".repeat(value));
    }
    head
}

#[tokio::test]
async fn htt_2_request_headers_at_the_limit() {
    let server = Server::start().await;
    for fields in [1, 2, 90] {
        for (total, fits) in [(8191, true), (8192, true), (8193, false)] {
            let answer = server.ask(&with_headers(total, fields), b"").await;
            if fits {
                assert_eq!(answer.status, 200, "{total} in {fields}: {answer:?}");
            } else {
                answer.assert_refused(400, "InvalidArgument");
                assert!(answer.json()["Message"].to_string().contains("8193"));
            }
        }
    }
    // 97 fields and the three that `ask` and `with_headers` send.
    assert_eq!(server.ask(&with_headers(4000, 97), b"").await.status, 200);
    let answer = server.ask(&with_headers(4000, 98), b"").await;
    answer.assert_refused(400, "InvalidArgument");
    // Far too much is refused before it is all there, and kept nowhere.
    for endless in [
        format!("GET / HTTP/1.1\r\nHost: echo.localhost\r\nX: {}", "v".repeat(200_000)),
        format!("GET / HTTP/1.1\r\nHost: echo.localhost\r\n{}", "X: v\r\n".repeat(20_000)),
        "G".repeat(100_000),
    ] {
        let answers = server.raw(endless).await;
        answers[0].assert_refused(400, "InvalidArgument");
    }
}

#[tokio::test]
async fn htt_2_paths_at_the_limit() {
    let server = Server::start().await;
    for (length, fits) in [
        (8191, true),
        (8192, true),
        (8193, false),
        (9000, false),
        (60_000, false),
        (500_000, false),
    ] {
        for start in ["/", "/p?q="] {
            let path = format!("{start}{}", "a".repeat(length - start.len()));
            let head = format!("GET {path} HTTP/1.1\r\nHost: echo.localhost");
            let answer = server.ask(&head, b"").await;
            if fits {
                assert_eq!(answer.status, 200);
                assert_eq!(server.witness.seen().last().unwrap().uri, path);
            } else {
                answer.assert_refused(400, "InvalidArgument");
            }
        }
    }
}

#[tokio::test]
async fn htt_2_heads_of_http2_at_the_limit() {
    let server = Server::start().await;
    guarded(async {
        let (mut sender, _) = server.http2().await;
        for (total, status) in [(8191, 200), (8192, 200), (8193, 400)] {
            let request =
                http::Request::get("http://echo.localhost/").header("h", "v".repeat(total - 1));
            let response =
                sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{total}");
            assert!(response.headers().contains_key("x-fc-request-id"));
        }
        for (length, status) in [(8191, 200), (8192, 200), (8193, 400)] {
            let request =
                http::Request::get(format!("http://echo.localhost/{}", "a".repeat(length - 1)));
            let response =
                sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{length}");
        }
        // Far too much: refused by the protocol, and the connection goes on.
        let request = http::Request::get("http://echo.localhost/").header("h", "v".repeat(60_000));
        let refused = sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await;
        assert!(refused.map_or(true, |response| response.status() == 431));
    })
    .await;
    assert_eq!(server.ask("GET / HTTP/1.1\r\nHost: echo.localhost", b"").await.status, 200);
}

/// HTT-2: a function's headers, on both surfaces.
#[tokio::test]
async fn htt_2_response_headers_at_the_limit() {
    let server = Server::start().await;
    for (size, fits) in [(8191, true), (8192, true), (8193, false)] {
        for head in [
            format!("GET / HTTP/1.1\r\nHost: headers-{size}.localhost"),
            format!("POST /2023-03-30/functions/headers-{size}/invocations HTTP/1.1\r\nHost: x"),
        ] {
            let answer: Answer = server.ask(&head, b"").await;
            if fits {
                assert_eq!((answer.status, &answer.body[..]), (200, &b"sized"[..]));
            } else {
                answer.assert_refused(502, "BadResponse");
            }
        }
    }
}

/// INV-6: FunctionGraph bounds the answer too.
#[tokio::test]
async fn inv_6_response_bodies_at_the_limit() {
    let mut config = GatewayConfig::new(account());
    config.limits = Limits::function_graph();
    let server = Setup { config, ..Setup::default() }.serve().await;
    let ask = async |name: &str| {
        server.ask(&format!("GET / HTTP/1.1\r\nHost: {name}.localhost"), b"").await
    };
    let answer = ask("body-6291556").await;
    assert_eq!((answer.status, answer.body.len()), (200, 6_291_556));
    let answer = ask("body-6291557").await;
    assert_eq!((answer.status, answer.json()["error_code"].as_str()), (502, Some("FSS.0502")));
    // One whose length nobody knows is cut, and the cut shows: the last chunk never comes.
    let mut stream = server.connect().await;
    guarded(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        stream.write_all(b"GET / HTTP/1.1\r\nHost: endless.localhost\r\n\r\n").await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        assert!(all.len() > 6_000_000 && all.len() < 7_000_000, "{}", all.len());
        assert!(!all.ends_with(b"0\r\n\r\n"));
    })
    .await;
}
