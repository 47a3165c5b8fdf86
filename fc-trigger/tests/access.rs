//! The access log: one line a request, 499 for a client that left (INV-8).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::sync::Mutex;

use common::{Server, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps the events of `fc::access`.
struct Listener;

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "fc::access"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        LINES.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

async fn next_line() -> String {
    until(|| !LINES.lock().unwrap().is_empty()).await;
    LINES.lock().unwrap().remove(0)
}

/// INV-8: before the answer and within it, a client that left is a 499.
#[tokio::test]
async fn inv_8_each_request_is_one_line_and_a_client_gone_is_499() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let server = Server::start().await;
    let answer = server.ask("POST / HTTP/1.1\r\nHost: echo.localhost", b"four").await;
    let line = next_line().await;
    let id = answer.header("x-fc-request-id");
    for part in [
        &format!("request_id={id}"),
        "method=POST",
        "function=\"echo\"",
        "version=0",
        "status=200",
        "bytes=4",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    server.ask("GET /x HTTP/1.1\r\nHost: y", b"").await;
    let line = next_line().await;
    assert!(line.contains("status=400") && !line.contains("function"), "{line}");

    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: hang.localhost\r\n\r\n").await.unwrap();
    until(|| server.witness.is_running(1)).await;
    drop(stream);
    let line = next_line().await;
    assert!(line.contains("status=499") && line.contains("function=\"hang\""), "{line}");

    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: endless.localhost\r\n\r\n").await.unwrap();
    common::guarded(stream.read_exact(&mut [0; 9])).await.unwrap();
    drop(stream);
    let line = next_line().await;
    assert!(line.contains("status=499"), "{line}");
    assert!(LINES.lock().unwrap().is_empty());
}
