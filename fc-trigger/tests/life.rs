//! The life of connections: order, leaving, stalling, draining, mounting (INV-8, I27, I28, T16).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Answer, Server, Setup, account, guarded, next_answer, until};
use fc_core::Body;
use fc_trigger::{Gateway, GatewayConfig, PeerAddr};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

fn post(function: &str, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {function}.localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// I27: the functions see the requests that were sent, in their order, however they were cut.
#[tokio::test]
async fn i27_pipelined_requests_are_told_apart() {
    let server = Server::start().await;
    let mut all = Vec::new();
    for index in 0..40 {
        let body = format!("body {index} {}", "x".repeat(index * 37));
        let path = format!("/{index}");
        if index % 3 == 0 {
            all.extend(format!(
                "POST {path} HTTP/1.1\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n{:x};x\r\n{body}\r\n0\r\nA: b\r\n\r\n",
                body.len()
            ).bytes());
        } else {
            all.extend(post("echo", &path, &body).bytes());
        }
    }
    for cut in [all.len(), 1000, 13, 1] {
        server.witness.seen.lock().unwrap().clear();
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        let (mut reading, mut writing) = stream.split();
        guarded(async {
            let write = async {
                for part in all.chunks(cut) {
                    writing.write_all(part).await.unwrap();
                    if cut < 100 {
                        tokio::task::yield_now().await;
                    }
                }
            };
            let read = async {
                let mut kept = Vec::new();
                for index in 0..40 {
                    let answer = loop {
                        if let Some((answer, length)) = Answer::parse(&kept, false) {
                            kept.drain(..length);
                            break answer;
                        }
                        assert_ne!(
                            reading.read_buf(&mut kept).await.unwrap(),
                            0,
                            "closed at {index}"
                        );
                    };
                    assert_eq!(answer.status, 200);
                    let body = format!("body {index} {}", "x".repeat(index * 37));
                    assert_eq!(answer.body, body, "answer {index} at cut {cut}");
                }
            };
            tokio::join!(write, read);
        })
        .await;
        let seen = server.witness.seen();
        assert_eq!(seen.len(), 40);
        for (index, seen) in seen.iter().enumerate() {
            assert_eq!(seen.uri, format!("/{index}"));
        }
    }
}

/// I27: what waits behind a running request goes on when that is answered.
#[tokio::test]
async fn i27_a_held_request_goes_on() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let both = format!("{}{}", post("gate", "/1", "a"), post("echo", "/2", "b"));
    stream.write_all(both.as_bytes()).await.unwrap();
    until(|| server.witness.is_running(1)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.witness.seen().len(), 1);
    server.witness.release.notify_one();
    let mut kept = Vec::new();
    assert_eq!(next_answer(&mut stream, &mut kept).await.body, "released");
    assert_eq!(next_answer(&mut stream, &mut kept).await.body, "b");
}

/// INV-8: without a body, with one that the function ignores, and behind pipelined requests.
#[tokio::test]
async fn inv_8_a_client_that_leaves_drops_its_invocation() {
    let server = Server::start().await;
    let requests = [
        post("hang", "/", ""),
        post("hang", "/", "ignored"),
        format!("{}{}", post("hang", "/", ""), post("echo", "/never", "x")),
        format!("{}{}", post("hang", "/", "ignored"), post("echo", "/never", "x").repeat(50)),
        format!("{}GET /half", post("hang", "/", "")),
        "GET / HTTP/1.0\r\nHost: hang.localhost\r\n\r\n".to_owned(),
        "POST /2023-03-30/functions/hang/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".to_owned(),
    ];
    for (index, request) in requests.iter().enumerate() {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        until(|| server.witness.is_running(1)).await;
        drop(stream);
        until(|| server.witness.is_running(0)).await;
        assert!(server.witness.has_dropped(index + 1), "request {index}");
    }
    assert!(server.witness.seen().iter().all(|seen| seen.uri != "/never"));
}

/// INV-8 with a body that is only sent when it is asked for, and a function that never asks.
#[tokio::test]
async fn inv_8_a_client_that_expected_to_continue() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: hang.localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    guarded(stream.read_exact(&mut [0; 25])).await.unwrap();
    stream.write_all(b"hi").await.unwrap();
    until(|| server.witness.is_running(1)).await;
    drop(stream);
    until(|| server.witness.has_dropped(1)).await;
}

/// INV-8 in the middle of a body that the function reads.
#[tokio::test]
async fn inv_8_a_client_that_leaves_within_its_body() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await.unwrap();
    until(|| server.witness.is_running(1)).await;
    drop(stream);
    until(|| server.witness.is_running(0)).await;
    assert!(server.witness.seen().is_empty());
}

/// INV-8 over HTTP/2: the stream's end, and the connection's.
#[tokio::test]
async fn inv_8_a_reset_stream_drops_its_invocation() {
    let server = Server::start().await;
    for whole in [false, true] {
        let (mut sender, driving) = server.http2().await;
        let request =
            http::Request::get("http://hang.localhost/").body(Full::new(Bytes::new())).unwrap();
        let asking = tokio::spawn(async move {
            let _ = sender.send_request(request).await;
            // Kept alive until here.
            drop(sender);
        });
        until(|| server.witness.is_running(1)).await;
        if whole {
            driving.abort();
        }
        asking.abort();
        until(|| server.witness.is_running(0)).await;
    }
    assert!(server.witness.has_dropped(2));
}

/// INV-8: an answer that streams ends with its reader.
#[tokio::test]
async fn inv_8_a_reader_that_leaves_ends_the_stream() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: endless.localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 4096];
    guarded(stream.read_exact(&mut some)).await.unwrap();
    drop(stream);
    // The server drains at once only if no connection is left.
    let Server { stop, task, .. } = server;
    stop.unwrap().send(()).unwrap();
    guarded(task).await.unwrap().unwrap();
}

/// T16: a body that stops coming fails, and the function with it.
#[tokio::test]
async fn t16_a_stalled_body_fails() {
    let mut config = GatewayConfig::new(account());
    config.stall_timeout = Duration::from_millis(200);
    let server = Setup { config, ..Setup::default() }.serve().await;
    for head in ["Content-Length: 10", "Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let body = if head.starts_with('T') { "2\r\nhi\r\n" } else { "hi" };
        let bytes = format!("POST / HTTP/1.1\r\nHost: echo.localhost\r\n{head}\r\n\r\n{body}");
        let answers = server.raw(bytes).await;
        answers[0].assert_refused(400, "InvalidArgument");
        assert!(answers[0].json()["Message"].as_str().unwrap().contains("no byte came"));
    }
    assert!(server.witness.seen().is_empty());
    until(|| server.witness.is_running(0)).await;
    // Slow is not stalled.
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: echo.localhost\r\nContent-Length: 8\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        stream.write_all(b"s").await.unwrap();
    }
    assert_eq!(next_answer(&mut stream, &mut Vec::new()).await.body, "ssssssss");
}

/// A client that sends half of a small body holds no instance, and the function's time does not run.
#[tokio::test]
async fn t16_a_small_body_is_whole_before_its_function_runs() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: echo.localhost\r\nContent-Length: 65536\r\n\r\n";
    let body = "x".repeat(65_536);
    let (first, last) = body.split_at(body.len() - 1);
    for part in [head, first] {
        guarded(stream.write_all(part.as_bytes())).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.witness.is_running(0) && server.witness.has_dropped(0));
    guarded(stream.write_all(last.as_bytes())).await.unwrap();
    assert_eq!(next_answer(&mut stream, &mut Vec::new()).await.body, body);
    assert_eq!(server.witness.seen().len(), 1);

    // A larger one arises while the function reads it.
    let head = "POST / HTTP/1.1\r\nHost: echo.localhost\r\nContent-Length: 65537\r\n\r\nx";
    guarded(stream.write_all(head.as_bytes())).await.unwrap();
    until(|| server.witness.is_running(1)).await;
}

/// T16: who does not read is not waited for.
#[tokio::test]
async fn t16_a_slow_reader_is_cut_off() {
    let mut config = GatewayConfig::new(account());
    config.stall_timeout = Duration::from_millis(200);
    let server = Setup { config, ..Setup::default() }.serve().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: endless.localhost\r\n\r\n").await.unwrap();
    until(|| !server.witness.seen().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    guarded(async {
        let mut all = Vec::new();
        // It ends: with a reset, or with half an answer.
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
}

/// An idle connection is closed, of both protocols; a running request is not idle.
#[tokio::test]
async fn t16_idle_connections_are_closed() {
    let mut config = GatewayConfig::new(account());
    config.idle_timeout = Duration::from_millis(200);
    let server = Setup { config, ..Setup::default() }.serve().await;
    let get = "GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n";
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for request in [post("echo", "/", "hi"), get.into(), health.into()] {
        let answers = server.raw(request).await;
        assert_eq!(answers.len(), 1);
    }
    let mut stream = server.connect().await;
    stream.write_all(post("gate", "/", "").as_bytes()).await.unwrap();
    until(|| server.witness.is_running(1)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.witness.release.notify_one();
    assert_eq!(next_answer(&mut stream, &mut Vec::new()).await.body, "released");
    guarded(async {
        let (mut sender, driving) = server.http2().await;
        let request =
            http::Request::get("http://echo.localhost/").body(Full::new(Bytes::new())).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        let _ = driving.await.unwrap();
    })
    .await;
}

/// I28: the running request is answered, nothing new is taken, idle connections close.
#[tokio::test]
async fn i28_draining_lets_running_requests_end() {
    let mut server = Server::start().await;
    let mut busy = server.connect().await;
    busy.write_all(post("gate", "/", "").as_bytes()).await.unwrap();
    // Accepted in order: before the idle one is answered.
    let mut silent = server.connect().await;
    let mut idle = server.connect().await;
    idle.write_all(post("echo", "/", "").as_bytes()).await.unwrap();
    assert_eq!(next_answer(&mut idle, &mut Vec::new()).await.status, 200);
    until(|| server.witness.is_running(1)).await;
    server.stop.take().unwrap().send(()).unwrap();
    guarded(async {
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    })
    .await;
    let request = http::Request::get("/healthz").header("host", "x").body(Body::EMPTY).unwrap();
    let health = server.gateway.call(request).await.unwrap();
    assert_eq!(health.status(), 503);
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    assert!(!server.task.is_finished());
    server.witness.release.notify_one();
    let answer = next_answer(&mut busy, &mut Vec::new()).await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    guarded(&mut server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn i28_the_drain_deadline_ends_what_hangs() {
    let mut config = GatewayConfig::new(account());
    config.drain_timeout = Duration::from_millis(100);
    let mut server = Setup { config, ..Setup::default() }.serve().await;
    let mut stream = server.connect().await;
    stream.write_all(post("hang", "/", "").as_bytes()).await.unwrap();
    until(|| server.witness.is_running(1)).await;
    server.stop.take().unwrap().send(()).unwrap();
    guarded(&mut server.task).await.unwrap().unwrap();
    assert!(server.witness.has_dropped(1));
}

/// T16, T26: over the cap, clients wait; one that leaves makes room.
#[tokio::test]
async fn t16_connections_are_capped() {
    let mut config = GatewayConfig::new(account());
    config.connections_max = 1;
    let server = Setup { config, ..Setup::default() }.serve().await;
    let mut first = server.connect().await;
    first.write_all(post("echo", "/1", "").as_bytes()).await.unwrap();
    next_answer(&mut first, &mut Vec::new()).await;
    let mut second = server.connect().await;
    second.write_all(post("echo", "/2", "").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.witness.seen().len(), 1);
    drop(first);
    assert_eq!(next_answer(&mut second, &mut Vec::new()).await.status, 200);
}

/// `Expect: 100-continue` is answered when the body is wanted, and not when it is refused.
#[tokio::test]
async fn expectations_are_met() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: echo.localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 25];
    guarded(stream.read_exact(&mut line)).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").await.unwrap();
    assert_eq!(next_answer(&mut stream, &mut Vec::new()).await.body, "hi");
    let refused = head.replace("echo", "nobody");
    let answers = server.raw(refused).await;
    answers[0].assert_refused(404, "FunctionNotFound");
}

/// Mounted in a server of one's own: any body type, and the peer's address by extension.
#[tokio::test]
async fn the_gateway_mounts_in_a_foreign_server() {
    let (gateway, witness) = Setup::default().gateway();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let gateway: Gateway = gateway.clone();
            let service = hyper::service::service_fn(
                move |mut request: http::Request<hyper::body::Incoming>| {
                    request.extensions_mut().insert(PeerAddr(peer));
                    gateway.clone().call(request)
                },
            );
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut kept = Vec::new();
    stream.write_all(post("echo", "/x", "hi").as_bytes()).await.unwrap();
    assert_eq!(next_answer(&mut stream, &mut kept).await.body, "hi");
    let seen = witness.seen();
    assert_eq!(seen[0].client_ip, Some("127.0.0.1".parse().unwrap()));
    // The service's own strictness holds without `serve`.
    for (target, fields) in [
        ("/", "Host: a\r\nHost: echo.localhost"),
        ("/", "Host: echo.localhost."),
        ("http://other.localhost/", "Host: echo.localhost"),
        ("/", "X-Own: a"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let bytes = format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n");
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let answer = next_answer(&mut stream, &mut Vec::new()).await;
        answer.assert_refused(400, "InvalidArgument");
    }
    assert_eq!(witness.seen().len(), 1);
}
