//! HTTP/2 clients that send nothing, or take nothing (T16, INV-7), and what no answer may end with.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use common::{Server, Setup, account, guarded, until};
use fc_core::Ending;
use fc_trigger::GatewayConfig;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

const STALL: Duration = Duration::from_millis(200);

type Sender = SendRequest<BoxBody<Bytes, Infallible>>;

async fn server() -> Server {
    let mut config = GatewayConfig::new(account());
    config.stall_timeout = STALL;
    Setup { config, ..Setup::default() }.serve().await
}

/// A client whose streams take `window` bytes before their answers are read.
async fn client(server: &Server, window: u32) -> Sender {
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .initial_connection_window_size(16 * 1024 * 1024)
        .handshake(TokioIo::new(server.connect().await))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut Sender, function: &str) -> http::Response<Incoming> {
    let request = http::Request::get(format!("http://{function}.localhost/"));
    let request = request.body(Empty::new().boxed()).unwrap();
    guarded(sender.send_request(request)).await.unwrap()
}

/// T16: a body that is announced and not sent fails, small or large, before or after its first byte.
#[tokio::test]
async fn t16_a_stalled_http2_body_fails() {
    let server = server().await;
    let mut sender = client(&server, 65_535).await;
    for (announced, sent) in
        [(Some("10"), ""), (Some("10"), "hi"), (Some("100000"), ""), (None, "")]
    {
        let first =
            (!sent.is_empty()).then(|| Ok(Frame::data(Bytes::from_static(sent.as_bytes()))));
        let body = StreamBody::new(Stalling(first)).boxed();
        let mut request = http::Request::post("http://echo.localhost/");
        if let Some(length) = announced {
            request = request.header("content-length", length);
        }
        let sending = sender.send_request(request.body(body).unwrap());
        let answer = guarded(sending).await.unwrap();
        assert_eq!(answer.status(), 400, "{announced:?}");
        let answer = guarded(answer.into_body().collect()).await.unwrap().to_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["Code"], "InvalidArgument");
        assert!(answer["Message"].as_str().unwrap().contains("no byte came"), "{answer}");
    }
    assert!(server.witness.seen().is_empty());
    until(|| server.witness.is_running(0)).await;
}

/// T16, INV-7: an answer that the client does not take is dropped, and its stream alone ends.
#[tokio::test]
async fn t16_an_http2_answer_that_is_not_taken_is_dropped() {
    let server = server().await;
    for window in [0, 10_000, 65_535] {
        let mut sender = client(&server, window).await;
        server.witness.endings.lock().unwrap().clear();
        let stuck = get(&mut sender, "endless").await;
        until(|| *server.witness.endings.lock().unwrap() == [Ending::Aborted]).await;
        let failed = guarded(stuck.into_body().collect()).await.unwrap_err();
        assert!(failed.to_string().contains("error"), "{failed}");
        // Of the same connection, another stream is served.
        let other = get(&mut sender, "echo").await;
        assert_eq!(other.status(), 200);
        assert!(guarded(other.into_body().collect()).await.unwrap().to_bytes().is_empty());
    }
}

/// T16: bytes that lie in memory are not kept for ever either.
#[tokio::test]
async fn t16_an_http2_answer_in_memory_that_is_not_taken_is_dropped() {
    let server = server().await;
    for (window, function) in [(0, "body-1000"), (0, "body-6291556"), (65_535, "body-6291556")] {
        let mut sender = client(&server, window).await;
        let stuck = get(&mut sender, function).await;
        tokio::time::sleep(4 * STALL).await;
        let taken = guarded(stuck.into_body().collect()).await;
        assert!(taken.is_err(), "{function} with a window of {window}");
    }
}

/// A slow function and a slow client are no stalls, and large answers come whole.
#[tokio::test]
async fn t16_slow_http2_answers_come_whole() {
    let server = server().await;
    let mut sender = client(&server, 65_535).await;
    let quiet = get(&mut sender, "quiet").await;
    tokio::time::sleep(4 * STALL).await;
    get(&mut sender, "echo").await;
    let all = guarded(quiet.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(all, "quiet");
    assert_eq!(*server.witness.endings.lock().unwrap(), [Ending::Complete]);

    let large = get(&mut sender, "body-6291556").await;
    assert_eq!(large.headers()["content-length"], "6291556");
    let mut body = large.into_body();
    let mut taken = 0;
    let mut pauses = 0;
    while let Some(frame) = guarded(body.frame()).await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.iter().all(|&byte| byte == b'b'));
        taken += data.len();
        // The window opens a little every now and then.
        if taken / 500_000 > pauses {
            pauses += 1;
            tokio::time::sleep(STALL / 4).await;
        }
    }
    assert_eq!(taken, 6_291_556);
}

/// HTT-3: a function's trailers are headers that nobody has cleaned.
#[tokio::test]
async fn htt_3_no_trailers_reach_an_http2_client() {
    let server = server().await;
    let mut sender = client(&server, 65_535).await;
    let answer = get(&mut sender, "trailing").await;
    let all = guarded(answer.into_body().collect()).await.unwrap();
    assert_eq!(all.trailers(), None);
    assert_eq!(all.to_bytes(), "data");
    assert_eq!(*server.witness.endings.lock().unwrap(), [Ending::Complete]);
}

/// One frame, or none, and then nothing for ever.
struct Stalling(Option<Result<Frame<Bytes>, Infallible>>);

impl futures_core::Stream for Stalling {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.take().map_or(std::task::Poll::Pending, |frame| std::task::Poll::Ready(Some(frame)))
    }
}
