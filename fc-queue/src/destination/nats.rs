//! Results on subjects of NATS JetStream.

use std::sync::Arc;

use async_nats::jetstream;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_trait::async_trait;
use fc_core::{AccountId, Clock, Context, Elapsed, Error, ErrorKind, Result, Retry};

use super::Deliver;
use crate::core::destination::{Address, CloudEvent, Message};

/// Publishes to `nats:{subject}` through JetStream, and waits until a stream has stored it.
///
/// The body is the record; headers are those of a CloudEvent in binary mode, and `Nats-Msg-Id`, by which
/// the stream drops what it gets twice within its window. How safely the stream stores is its own
/// setting.
#[derive(Clone, Debug)]
pub struct NatsDelivery {
    jetstream: jetstream::Context,
    clock: Arc<dyn Clock>,
    prefix: String,
    per_account: bool,
}

impl NatsDelivery {
    /// Publishes where subjects begin with `prefix`: what accounts can reach. An empty one lets them
    /// reach every subject that the connection may publish to.
    pub fn new(jetstream: jetstream::Context, clock: Arc<dyn Clock>, prefix: &str) -> Self {
        Self { jetstream, clock, prefix: prefix.to_owned(), per_account: false }
    }

    /// The same, where each account has the subjects `{prefix}{account}.…` to itself.
    #[must_use]
    pub fn per_account(self) -> Self {
        Self { per_account: true, ..self }
    }

    async fn publish(&self, subject: &str, message: &Message) -> Result<()> {
        let (headers, body) = CloudEvent(message).binary()?;
        let mut publish = PublishMessage::build().payload(body).message_id(message.id());
        for (name, value) in &headers {
            let value = value.to_str().map_err(|error| {
                Error::internal(format!("{name} cannot be published")).with_source(error)
            })?;
            publish = publish.header(name.as_str(), value);
        }
        let sent = self.jetstream.send_publish(subject.to_owned(), publish).await;
        let stored = match sent {
            Ok(ack) => ack.await.map(drop),
            Err(error) => Err(error),
        };
        stored.map_err(|error| {
            let retry = match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => Retry::Never,
                _ => Retry::Safe,
            };
            let message = format!("NATS did not store the record: {}", error.kind());
            Error::internal(message).with_retry(retry).with_source(error)
        })
    }
}

#[async_trait]
impl Deliver for NatsDelivery {
    fn check(&self, owner: AccountId, address: &Address) -> Result<()> {
        let subject = subject(address)?;
        let prefix =
            if self.per_account { format!("{}{owner}.", self.prefix) } else { self.prefix.clone() };
        if subject.len() > prefix.len() && subject.starts_with(&prefix) {
            return Ok(());
        }
        let message = format!("destination: the subject must begin with '{prefix}'");
        Err(Error::new(ErrorKind::AccessDenied, message))
    }

    async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()> {
        // What may be reached can have changed since it was configured.
        self.check(message.account(), address)?;
        let publish = self.publish(subject(address)?, message);
        self.clock.with_deadline(cx.deadline.soft, publish).await.unwrap_or_else(|Elapsed| {
            let error = Error::internal("NATS did not store the record in time");
            Err(error.with_retry(Retry::Safe).with_source(Elapsed))
        })
    }
}

fn subject(address: &Address) -> Result<&str> {
    match address {
        Address::Nats(subject) => Ok(subject),
        _ => Err(Error::invalid("destination", "is no subject of NATS")),
    }
}
