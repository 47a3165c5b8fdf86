//! Subjects of a private NATS server with JetStream.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, Stream};
use bytes::Bytes;
use fc_core::{Clock, Context, Deadline, ErrorKind, Retry, TaskStatus, Timestamp};
use fc_queue::core::destination::{Kind, Message};
use fc_queue::destination::{Deliver, NatsDelivery, Registry};
use tempfile::TempDir;

use super::{RECORD, account, address, clock, cx, message, soon};

/// A server of this test alone, which ends with it.
struct Server {
    child: Child,
    url: String,
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Server {
    /// Waits until a server listens on a port of its own choosing.
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let child = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"])
            .arg(directory.path())
            .arg("--ports_file_dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server runs: install the Debian package nats-server");
        let mut server = Self { child, url: String::new(), _directory: directory };
        let ports =
            server._directory.path().join(format!("nats-server_{}.ports", server.child.id()));
        for _ in 0..600 {
            let read = std::fs::read(&ports).ok();
            let read =
                read.and_then(|read| serde_json::from_slice::<serde_json::Value>(&read).ok());
            if let Some(url) = read.as_ref().and_then(|ports| ports["nats"][0].as_str()) {
                server.url = url.to_owned();
                return server;
            }
            let clock = clock();
            clock.sleep_until(clock.now() + Duration::from_millis(50)).await;
        }
        panic!("nats-server did not write {}", ports.display());
    }

    async fn jetstream(&self) -> jetstream::Context {
        let client = async_nats::connect(&self.url).await.expect("a connection");
        jetstream::new(client)
    }
}

async fn stream(jetstream: &jetstream::Context) -> Stream {
    let config =
        Config { name: "results".into(), subjects: vec!["results.>".into()], ..Config::default() };
    jetstream.create_stream(config).await.expect("a stream")
}

#[tokio::test]
async fn asy_5_a_subject_gets_the_record_once_however_often_it_is_sent() {
    let server = Server::start().await;
    let jetstream = server.jetstream().await;
    let stream = stream(&jetstream).await;
    let delivery = NatsDelivery::new(jetstream, clock(), "results.").per_account();
    let registry = Registry::default().serve(Kind::Nats, Arc::new(delivery)).unwrap();
    let to = registry.configure(account(), "nats:results.1234.main").unwrap();
    for _ in 0..2 {
        registry.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap();
    }
    let state = stream.get_info().await.expect("the stream").state;
    assert_eq!(state.messages, 1);
    let stored = stream.get_raw_message(state.last_sequence).await.expect("a message");
    assert_eq!((stored.subject.as_str(), &stored.payload[..]), ("results.1234.main", RECORD));
    for (name, value) in [
        ("Nats-Msg-Id", "1-ab-failure"),
        ("ce-id", "1-ab-failure"),
        ("ce-type", "fc.async.failed"),
        ("content-type", "application/json"),
    ] {
        let header = stored.headers.get(name).map(|value| value.as_str());
        assert_eq!(header, Some(value), "{name}");
    }
}

#[tokio::test]
async fn asy_5_a_record_that_no_stream_stores_is_tried_again() {
    let server = Server::start().await;
    let delivery = NatsDelivery::new(server.jetstream().await, clock(), "");
    let sent = delivery.deliver(cx(), &address("nats:nowhere"), &message(TaskStatus::Failed)).await;
    assert_eq!(sent.unwrap_err().retry(), Retry::Safe);
}

#[tokio::test]
async fn a_record_that_the_server_does_not_take_is_given_up() {
    let server = Server::start().await;
    let jetstream = server.jetstream().await;
    let stream = stream(&jetstream).await;
    let delivery = NatsDelivery::new(jetstream, clock(), "");
    let record = Bytes::from(vec![b'1'; 1024 * 1024]);
    let (id, source) = ("i".to_owned(), "s".to_owned());
    let at = Timestamp::default();
    let large = Message::new(account(), id, source, TaskStatus::Failed, at, record).unwrap();
    let refused = delivery.deliver(cx(), &address("nats:results.x"), &large).await.unwrap_err();
    assert_eq!(refused.retry(), Retry::Never, "{refused:?}");
    assert_eq!(stream.get_info().await.expect("the stream").state.messages, 0);
}

#[tokio::test]
async fn a_server_that_is_gone_is_given_up_in_time() {
    let server = Server::start().await;
    let jetstream = server.jetstream().await;
    drop(server);
    let clock = clock();
    let cx = Context {
        deadline: Deadline::at(Clock::now(&*clock) + Duration::from_millis(300)),
        ..cx()
    };
    let delivery = NatsDelivery::new(jetstream, clock, "");
    let (to, message) = (address("nats:results.x"), message(TaskStatus::Failed));
    let sent = soon(delivery.deliver(cx, &to, &message)).await;
    assert_eq!(sent.unwrap_err().retry(), Retry::Safe);
}

#[tokio::test]
async fn t37_an_account_reaches_its_own_subjects_alone() {
    let server = Server::start().await;
    let delivery = NatsDelivery::new(server.jetstream().await, clock(), "results.").per_account();
    for (subject, is_own) in [
        ("results.1234.a", true),
        ("results.12345.a", false),
        ("results.1234", false),
        ("other.1234.a", false),
    ] {
        let to = address(&format!("nats:{subject}"));
        assert_eq!(delivery.check(account(), &to).is_ok(), is_own, "{subject}");
        if !is_own {
            let sent = delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await;
            assert_eq!(sent.unwrap_err().kind(), ErrorKind::AccessDenied, "{subject}");
        }
    }
}
