//! Results to sinks of CloudEvents.

use async_trait::async_trait;
use fc_core::{AccountId, Context, Error, Result};

use super::HttpSender;
use crate::core::destination::{Address, CloudEvent, HttpUrl, Message};
use crate::destination::Deliver;

/// Where an event's attributes stand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// In headers; the body is the record.
    #[default]
    Binary,
    /// In the body, with the record.
    Structured,
}

/// Posts results as CloudEvents to `cloudevents+https://…` and `cloudevents+http://…`, signed as other
/// endpoints' requests are.
///
/// The specification's handshake against abuse is not made: an address is what its owner configures.
#[derive(Clone, Debug)]
pub struct CloudEventsDelivery {
    sender: HttpSender,
    mode: Mode,
}

impl CloudEventsDelivery {
    /// Sends by `sender` in `mode`.
    pub fn new(sender: HttpSender, mode: Mode) -> Self {
        Self { sender, mode }
    }
}

#[async_trait]
impl Deliver for CloudEventsDelivery {
    fn check(&self, _: AccountId, address: &Address) -> Result<()> {
        self.sender.check(url(address)?)
    }

    async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()> {
        let event = CloudEvent(message);
        let request = match self.mode {
            Mode::Binary => event.binary()?,
            Mode::Structured => event.structured()?,
        };
        self.sender.send(cx, url(address)?, message, request).await
    }
}

fn url(address: &Address) -> Result<&HttpUrl> {
    match address {
        Address::CloudEvents(url) => Ok(url),
        _ => Err(Error::invalid("destination", "is no sink of CloudEvents")),
    }
}
