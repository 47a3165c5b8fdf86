//! The limits: hyper with nothing around it, as a server and as a reverse proxy.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::{HELLO, role};

/// Header lines that the `hello` role adds to its answer: `name: value`, one on each line.
pub(crate) const HEADERS: &str = "BENCH_HEADERS";

/// Where the `proxy` role sends its requests.
pub(crate) const UPSTREAM: &str = "BENCH_UPSTREAM";

/// A bare hyper HTTP/1 server.
pub(crate) fn hello() {
    let text = std::env::var(HEADERS).unwrap_or_default();
    role::runtime().block_on(async {
        let listener = role::listener().await;
        role::listening(&listener);
        tokio::select! {
            () = answer(listener, headers(&text)) => {}
            () = role::ended() => {}
        }
    });
}

/// A bare hyper reverse proxy: each connection has one of its own to the upstream, so that there is
/// not even a pool.
pub(crate) fn proxy() {
    let upstream = std::env::var(UPSTREAM).expect("the proxy's upstream");
    let upstream: SocketAddr = upstream.parse().expect("the upstream's address");
    role::runtime().block_on(async {
        let listener = role::listener().await;
        role::listening(&listener);
        tokio::select! {
            () = forward(listener, upstream) => {}
            () = role::ended() => {}
        }
    });
}

/// Answers every request on `listener` with [`HELLO`] and `headers`.
pub(crate) async fn answer(listener: TcpListener, headers: Vec<(HeaderName, HeaderValue)>) {
    let headers = Arc::new(headers);
    loop {
        let stream = accept(&listener).await;
        let headers = headers.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let mut response = Response::new(Full::new(Bytes::from_static(HELLO.as_bytes())));
            for (name, value) in headers.iter() {
                response.headers_mut().append(name.clone(), value.clone());
            }
            std::future::ready(Ok::<_, Infallible>(response))
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn forward(listener: TcpListener, upstream: SocketAddr) {
    loop {
        let stream = accept(&listener).await;
        tokio::spawn(async move {
            let sender = Arc::new(Mutex::new(connect(upstream).await));
            let service = service_fn(move |request: Request<Incoming>| {
                let sender = sender.clone();
                async move {
                    let mut sender = sender.lock().await;
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            });
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn connect(upstream: SocketAddr) -> SendRequest<Incoming> {
    let stream = TcpStream::connect(upstream).await.expect("the upstream");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.expect("a handshake is only a set-up in HTTP/1");
    tokio::spawn(connection);
    sender
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().await.expect("accept");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream
}

fn headers(text: &str) -> Vec<(HeaderName, HeaderValue)> {
    let parse = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().parse().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    };
    text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("header {line:?}"))).collect()
}
