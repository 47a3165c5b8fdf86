//! Signed endpoints and sinks of CloudEvents.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fc_core::{Context, Deadline, Error, Instant, Retry, TaskStatus};
use fc_queue::destination::Deliver;
use fc_queue::destination::http::{
    CloudEventsDelivery, HttpConfig, HttpDelivery, HttpSender, Mode,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::receiver::{Answer, Receiver, plain};
use super::{RECORD, account, address, clock, cx, keys, message, sender, soon, to_loopback};

fn delivery() -> HttpDelivery {
    HttpDelivery::new(sender(&to_loopback()))
}

/// What one answer makes of a delivery.
async fn answered(answer: Answer) -> Result<(), Error> {
    let receiver = Receiver::new([answer]).await;
    let to = address(&receiver.url("http", "/"));
    let result = delivery().deliver(cx(), &to, &message(TaskStatus::Failed)).await;
    assert_eq!(receiver.requests().len(), 1);
    result
}

/// HMAC by its definition, as a receiver with nothing but SHA-256 would write it.
fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |by: u8| block.map(|byte| byte ^ by);
    let inner = Sha256::digest([&pad(0x36)[..], text].concat());
    Sha256::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}

#[tokio::test]
async fn asy_5_an_endpoint_gets_the_record_and_can_check_who_sent_it() {
    let receiver = Receiver::new([plain("204 No Content", "")]).await;
    let to = address(&receiver.url("http", "/hook/a?token=b"));
    let before = clock().wall().as_unix_seconds();
    delivery().deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap();
    let requests = receiver.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.line, "POST /hook/a?token=b HTTP/1.1");
    assert_eq!(request.header("host"), receiver.at.to_string());
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), "1-ab-failure");
    assert_eq!(request.body, RECORD);

    let time = request.header("webhook-timestamp");
    let sent: u64 = time.parse().unwrap();
    assert!((before..=before + 60).contains(&sent), "{before} {sent}");
    let secret = keys().secrets(account()).next().unwrap().reveal();
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = [b"1-ab-failure.", time.as_bytes(), b".", RECORD].concat();
    let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&secret, &signed)));
    assert_eq!(request.header("webhook-signature"), expected);
}

#[tokio::test]
async fn asy_5_what_an_endpoint_answers_decides_what_becomes_of_the_record() {
    answered(plain("200 OK", "")).await.unwrap();
    answered(plain("202 Accepted", "")).await.unwrap();
    let class = async |answer| answered(answer).await.unwrap_err().retry();
    assert_eq!(class(plain("410 Gone", "")).await, Retry::Never);
    assert_eq!(class(plain("422 Unprocessable", "")).await, Retry::Never);
    assert_eq!(class(plain("500 Internal", "")).await, Retry::Safe);
    assert_eq!(class(plain("404 Not Found", "")).await, Retry::Safe);
    let pause = Retry::After(Duration::from_secs(37));
    assert_eq!(class(plain("429 Slow Down", "retry-after: 37\r\n")).await, pause);
    assert_eq!(class(plain("503 Busy", "retry-after: 37\r\n")).await, pause);
}

#[tokio::test]
async fn t6_a_redirection_is_not_followed() {
    let elsewhere = Receiver::new([plain("200 OK", "")]).await;
    let location = format!("location: {}\r\n", elsewhere.url("http", "/"));
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let error = answered(plain(status, &location)).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Never, "{error}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_endpoint_that_breaks_off_gets_the_record_again() {
    for answer in [
        Answer::Close,
        Answer::Bytes("no HTTP at all\r\n\r\n".into()),
        Answer::Bytes(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024))),
    ] {
        let error = answered(answer).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Safe, "{error:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_tried_again() {
    let receiver = Receiver::new([]).await;
    let to = address(&receiver.url("http", "/"));
    drop(receiver);
    // The listener is closed by the runtime at its next turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let error = delivery().deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Safe, "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_given_up_in_time() {
    let clock = clock();
    for (timeout, deadline) in [
        (Duration::from_millis(100), Instant::MAX),
        (Duration::from_secs(3_600), clock.now() + Duration::from_millis(200)),
    ] {
        let receiver = Receiver::new([Answer::Silence]).await;
        let config = HttpConfig { timeout, ..to_loopback() };
        let sender = HttpSender::new(&config, keys(), clock.clone()).unwrap();
        let cx = Context { deadline: Deadline::at(deadline), ..cx() };
        let to = address(&receiver.url("http", "/"));
        let delivery = HttpDelivery::new(sender);
        let message = message(TaskStatus::Failed);
        let error = soon(delivery.deliver(cx, &to, &message)).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Safe);
        assert!(error.to_string().contains("in time"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_read_to_its_bound() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
    let receiver = Receiver::new([Answer::Endless(head.into())]).await;
    let to = address(&receiver.url("http", "/"));
    delivery().deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap();
    let written = async {
        loop {
            match receiver.written_in_the_end() {
                Some(written) => return written,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let written = soon(written).await;
    // What the sockets' buffers took was written too.
    assert!(written < 64 * 1024 * 1024, "{written}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let body = Answer::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".into());
    let receiver = Receiver::new([body.clone(), body.clone(), body]).await;
    let to = address(&receiver.url("http", "/"));
    let delivery = delivery();
    for _ in 0..3 {
        delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap();
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 3));
}

#[tokio::test]
async fn asy_5_a_sink_gets_an_event_in_binary_mode() {
    let receiver = Receiver::new([plain("200 OK", "")]).await;
    let to = address(&receiver.url("cloudevents+http", "/sink"));
    let delivery = CloudEventsDelivery::new(sender(&to_loopback()), Mode::Binary);
    delivery.deliver(cx(), &to, &message(TaskStatus::Expired)).await.unwrap();
    let requests = receiver.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.line, "POST /sink HTTP/1.1");
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "1-ab-failure"),
        ("ce-source", "acs:fc:cn-x:1234:functions/main/LATEST"),
        ("ce-type", "fc.async.expired"),
        ("ce-time", "1970-01-01T00:00:01.000Z"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(request.header(name), value);
    }
    assert!(request.header("webhook-signature").starts_with("v1,"));
    assert_eq!(request.body, RECORD);
}

#[tokio::test]
async fn asy_5_a_sink_gets_an_event_in_structured_mode() {
    let receiver = Receiver::new([plain("200 OK", "")]).await;
    let to = address(&receiver.url("cloudevents+http", "/sink"));
    let delivery = CloudEventsDelivery::new(sender(&to_loopback()), Mode::Structured);
    delivery.deliver(cx(), &to, &message(TaskStatus::Succeeded)).await.unwrap();
    let requests = receiver.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.header("content-type"), "application/cloudevents+json; charset=utf-8");
    let event: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        (&event["id"], &event["type"]),
        (&json!("1-ab-failure"), &json!("fc.async.succeeded"))
    );
    assert_eq!(event["data"], json!({"timestamp": 1, "n": 1.5}));
}
