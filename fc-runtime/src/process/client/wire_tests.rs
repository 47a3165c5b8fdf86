//! The client against sockets: what is kept, what is closed, and who waits for whom.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use fc_core::{Body, Error, Result};
use http::{Method, StatusCode};
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Broken, Connection, Lines, Lost, Outgoing};

/// A connection, and the program's side of it.
async fn pair() -> (Box<Connection>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connection, accepted) = tokio::join!(Connection::open(address), listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

fn request(method: &Method, body: Body) -> Outgoing {
    Lines::request(method, "/", 0).finish(method, body)
}

/// Reads until what was read ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{}", all.escape_ascii());
        all.push(byte[0]);
    }
    String::from_utf8(all).unwrap()
}

async fn read_all(connection: &mut Connection) -> Result<Vec<u8>, Broken> {
    let mut all = Vec::new();
    while let Some(data) = std::future::poll_fn(|cx| connection.poll_data(cx)).await {
        all.extend_from_slice(&data?);
    }
    Ok(all)
}

async fn until_unusable(connection: &Connection) {
    while connection.is_usable() {
        tokio::task::yield_now().await;
    }
}

/// A body of frames of 64 KB without an end, which counts them.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 64 * 1024])))))
    }
}

#[tokio::test]
async fn run_2_a_connection_serves_one_request_after_the_other() {
    let (mut connection, mut program) = pair().await;
    let serving = tokio::spawn(async move {
        for body in ["one", "two", "three"] {
            read_until(&mut program, "\r\n\r\n").await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            // In two pieces: the body arrives alone.
            program.write_all(answer.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            program.write_all(body.as_bytes()).await.unwrap();
        }
        program
    });
    for body in ["one", "two", "three"] {
        assert!(connection.is_usable());
        let sending = connection.send(request(&Method::GET, Body::EMPTY));
        let (mut answered, head) = sending.await.unwrap();
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(read_all(&mut answered).await.unwrap(), body.as_bytes());
        connection = answered.into_idle().unwrap();
    }
    drop(serving.await.unwrap());
    until_unusable(&connection).await;
}

#[tokio::test]
async fn run_2_a_connection_that_speaks_unasked_is_not_used() {
    let (connection, mut program) = pair().await;
    program.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    until_unusable(&connection).await;
}

#[tokio::test]
async fn run_2_an_answer_may_come_before_the_request_is_sent() {
    let (connection, mut program) = pair().await;
    let pulled = Arc::new(AtomicUsize::new(0));
    let body = Body::stream(Endless(pulled.clone()));
    let answering = tokio::spawn(async move {
        read_until(&mut program, "\r\n\r\n").await;
        program.write_all(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        program
    });
    let (mut connection, head) = connection.send(request(&Method::POST, body)).await.unwrap();
    assert_eq!(head.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(read_all(&mut connection).await.unwrap(), b"no");
    assert!(connection.into_idle().is_none(), "half of a request stands in it");
    // The program reads no more, and nothing is pulled that it has not taken: what two sockets hold.
    let frames = pulled.load(Ordering::Relaxed);
    assert!(frames < 200, "{frames} frames of 64 KB were pulled");
    drop(answering.await.unwrap());
}

#[tokio::test]
async fn run_2_a_body_goes_no_faster_than_the_program_reads() {
    let (connection, mut program) = pair().await;
    let pulled = Arc::new(AtomicUsize::new(0));
    let body = Body::stream(Endless(pulled.clone()));
    let sending = tokio::spawn(connection.send(request(&Method::POST, body)));
    read_until(&mut program, "\r\n\r\n").await;
    let mut before = usize::MAX;
    // Until the sockets are full.
    while before != pulled.load(Ordering::Relaxed) {
        before = pulled.load(Ordering::Relaxed);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert!(before < 200, "{before} frames of 64 KB were pulled");
    // Reading goes on with it.
    let mut buffer = vec![0; 1 << 20];
    while pulled.load(Ordering::Relaxed) < before + 10 {
        assert!(program.read(&mut buffer).await.unwrap() > 0);
    }
    // Leaving closes.
    sending.abort();
    let _ = sending.await;
    while matches!(program.read(&mut buffer).await, Ok(1..)) {}
}

#[tokio::test]
async fn run_2_an_answer_that_ends_with_the_connection_is_whole() {
    let (connection, mut program) = pair().await;
    let answering = tokio::spawn(async move {
        read_until(&mut program, "\r\n\r\n").await;
        program.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").await.unwrap();
    });
    let sending = connection.send(request(&Method::GET, Body::EMPTY));
    let (mut connection, _) = sending.await.unwrap();
    assert_eq!(connection.exact(), None);
    assert_eq!(read_all(&mut connection).await.unwrap(), b"all of it");
    assert!(connection.into_idle().is_none());
    answering.await.unwrap();
}

#[tokio::test]
async fn run_2_an_answer_that_breaks_off_says_so() {
    for (answer, malformed) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf!", true),
    ] {
        let (connection, mut program) = pair().await;
        let answering = tokio::spawn(async move {
            read_until(&mut program, "\r\n\r\n").await;
            program.write_all(answer.as_bytes()).await.unwrap();
        });
        let sending = connection.send(request(&Method::GET, Body::EMPTY));
        let (mut connection, _) = sending.await.unwrap();
        let broken = read_all(&mut connection).await.unwrap_err();
        assert_eq!(matches!(broken, Broken::Malformed(_)), malformed, "{answer}: {broken:?}");
        assert_eq!(matches!(broken, Broken::Lost(_)), !malformed, "{answer}: {broken:?}");
        assert!(connection.into_idle().is_none());
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn run_2_a_request_without_an_answer_comes_back_if_it_may_be_sent_twice() {
    for (method, comes_back) in [(Method::GET, true), (Method::POST, false)] {
        let (connection, mut program) = pair().await;
        let leaving = tokio::spawn(async move {
            read_until(&mut program, "\r\n\r\n").await;
        });
        let lost = connection.send(request(&method, Body::EMPTY)).await.unwrap_err();
        let Lost::Sent(again, _) = lost else {
            panic!("{lost:?}");
        };
        leaving.await.unwrap();
        assert_eq!(again.is_some(), comes_back);
        if let Some(again) = again {
            let (connection, mut program) = pair().await;
            let sending = tokio::spawn(connection.send(*again));
            let seen = read_until(&mut program, "\r\n\r\n").await;
            assert!(seen.starts_with("GET / HTTP/1.1\r\n"), "{seen}");
            sending.abort();
        }
    }
}

#[tokio::test]
async fn run_2_a_request_that_never_went_out_comes_back_whole() {
    let (connection, program) = pair().await;
    // With unread bytes in it a socket is reset when it is closed.
    connection.stream_for_tests().try_write(b"x").unwrap();
    while program.readable().await.is_err() {}
    drop(program);
    until_unusable(&connection).await;
    let pulled = Arc::new(AtomicUsize::new(0));
    let body = Body::stream(Endless(pulled.clone()));
    let lost = connection.send(request(&Method::POST, body)).await.unwrap_err();
    let Lost::Unsent(request, _) = lost else {
        panic!("{lost:?}");
    };
    let (connection, mut program) = pair().await;
    let sending = tokio::spawn(connection.send(*request));
    let seen = read_until(&mut program, "10000\r\nxxx").await;
    assert!(seen.starts_with("POST / HTTP/1.1\r\n"), "{seen}");
    sending.abort();
}

#[tokio::test]
async fn run_2_a_request_whose_body_fails_keeps_the_reason() {
    struct Failing;
    impl http_body::Body for Failing {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>>>> {
            Poll::Ready(Some(Err(Error::invalid("body", "broke"))))
        }
    }
    let (connection, _program) = pair().await;
    let lost = connection.send(request(&Method::POST, Body::stream(Failing))).await.unwrap_err();
    assert!(matches!(&lost, Lost::Body(error) if error.message() == "body: broke"), "{lost:?}");
}
