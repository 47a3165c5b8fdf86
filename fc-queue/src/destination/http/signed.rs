//! Results to signed HTTP endpoints.

use async_trait::async_trait;
use fc_core::{AccountId, Context, Error, Result};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::HttpSender;
use crate::core::destination::{Address, HttpUrl, Message};
use crate::destination::Deliver;

/// Posts the record as it is to `https://…` and `http://…`.
#[derive(Clone, Debug)]
pub struct HttpDelivery {
    sender: HttpSender,
}

impl HttpDelivery {
    /// Sends by `sender`.
    pub fn new(sender: HttpSender) -> Self {
        Self { sender }
    }
}

#[async_trait]
impl Deliver for HttpDelivery {
    fn check(&self, _: AccountId, address: &Address) -> Result<()> {
        self.sender.check(url(address)?)
    }

    async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = (headers, message.record().clone());
        self.sender.send(cx, url(address)?, message, request).await
    }
}

fn url(address: &Address) -> Result<&HttpUrl> {
    match address {
        Address::Http(url) => Ok(url),
        _ => Err(Error::invalid("destination", "is no HTTP endpoint")),
    }
}
