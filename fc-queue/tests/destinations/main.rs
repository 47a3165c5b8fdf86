//! Results on their way out: to endpoints, sinks, callbacks, subjects (ASY-5, T6, T29).
//!
//! Every receiver is a private one of the test's own on a free port of the loopback.

mod http;
#[cfg(feature = "nats")]
mod nats;
mod receiver;
mod registry;
mod security;
#[cfg(feature = "tls")]
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::{AccountId, Clock, Context, RequestId, SystemClock, TaskStatus, Timestamp};
use fc_queue::core::destination::{Address, Egress, Message, SigningKeys, SigningSecret};
use fc_queue::destination::http::{HttpConfig, HttpSender};

const RECORD: &[u8] = b"{\"timestamp\":1,\"n\":1.50}";

fn account() -> AccountId {
    AccountId::new("1234").expect("an account")
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// What must be ready in half a minute.
async fn soon<F: Future>(future: F) -> F::Output {
    let clock = clock();
    let deadline = clock.now() + Duration::from_secs(30);
    clock.with_deadline(deadline, future).await.expect("ready in half a minute")
}

fn cx() -> Context {
    Context::new(RequestId::NIL)
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn keys() -> SigningKeys {
    let current = SigningSecret::new(b"a secret of thirty-two bytes ...").expect("a secret");
    SigningKeys::new(current, Vec::new()).expect("keys")
}

/// What may connect to the loopback, and to nothing else that is private.
fn to_loopback() -> HttpConfig {
    let loopback = "127.0.0.1/32".parse().expect("a network");
    HttpConfig { egress: Egress::public().and(loopback), ..HttpConfig::default() }
}

fn sender(config: &HttpConfig) -> HttpSender {
    HttpSender::new(config, keys(), clock()).expect("a sender")
}

fn message(status: TaskStatus) -> Message {
    let source = "acs:fc:cn-x:1234:functions/main/LATEST".to_owned();
    let at = Timestamp::from_unix_millis(1_000);
    let record = Bytes::from_static(RECORD);
    Message::new(account(), "1-ab-failure".into(), source, status, at, record).expect("a message")
}
