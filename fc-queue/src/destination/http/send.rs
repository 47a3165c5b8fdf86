//! One request, and what its answer means.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::{Clock, Context, Elapsed, Error, Instant, Result, Retry};
use http::header::{RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::HttpConfig;
use super::connect::{self, Connector};
use crate::core::destination::{Egress, HttpUrl, Message, SigningKeys, judge};

/// Largest head of an answer, bytes.
const ANSWER_HEAD_BYTES_MAX: usize = 32 * 1024;
const AGENT: &str = concat!("fc-queue/", env!("CARGO_PKG_VERSION"));

/// Sends signed requests to endpoints, and keeps their connections.
///
/// Each request is signed as standard-webhooks 1.0 says: `webhook-id`, `webhook-timestamp`,
/// `webhook-signature`, with secrets of the account ([`SigningKeys`]). Redirections are not followed.
#[derive(Clone)]
pub struct HttpSender {
    client: Client<Connector, Full<Bytes>>,
    clock: Arc<dyn Clock>,
    keys: Arc<SigningKeys>,
    egress: Egress,
    timeout: Duration,
    answer_bytes_max: u64,
}

impl HttpSender {
    /// A sender without connections.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if TLS cannot be configured.
    pub fn new(config: &HttpConfig, keys: SigningKeys, clock: Arc<dyn Clock>) -> Result<Self> {
        let connector = Connector::new(config, clock.clone())?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.idle_per_host_max)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(ANSWER_HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self {
            client,
            clock,
            keys: Arc::new(keys),
            egress: config.egress.clone(),
            timeout: config.timeout,
            answer_bytes_max: config.answer_bytes_max,
        })
    }

    /// What can be said of an endpoint without asking for its name's addresses.
    pub(super) fn check(&self, url: &HttpUrl) -> Result<()> {
        if url.is_https() && !cfg!(feature = "tls") {
            return Err(Error::invalid("destination", "https needs the feature 'tls'"));
        }
        match url.host().parse::<IpAddr>() {
            Ok(ip) if !self.egress.permits(ip) => Err(connect::refused(url)),
            _ => Ok(()),
        }
    }

    /// Sends `body` with `headers` and signatures, and judges the answer.
    pub(super) async fn send(
        &self,
        cx: Context,
        url: &HttpUrl,
        message: &Message,
        (mut headers, body): (HeaderMap, Bytes),
    ) -> Result<()> {
        let deadline = (self.clock.now() + self.timeout).min(cx.deadline.soft);
        self.sign(message, &mut headers, &body)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.uri().clone();
        *request.headers_mut() = headers;
        let answered = self.clock.with_deadline(deadline, self.client.request(request)).await;
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unanswered(url, error)),
            Err(Elapsed) => {
                let message = format!("{} did not answer in time", url.origin());
                let error = Error::internal(message).with_retry(Retry::Safe);
                return Err(error.with_source(Elapsed));
            }
        };
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let verdict = judge(&url.origin(), answer.status(), retry_after, self.clock.wall());
        self.drain(answer.into_body(), deadline).await;
        verdict
    }

    fn sign(&self, message: &Message, headers: &mut HeaderMap, body: &[u8]) -> Result<()> {
        let seconds = self.clock.wall().as_unix_seconds();
        let signature = self.keys.sign(message.account(), message.id(), seconds, body);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        for (name, value) in [
            ("webhook-id", message.id()),
            ("webhook-timestamp", &seconds.to_string()),
            ("webhook-signature", &signature),
        ] {
            let value = HeaderValue::from_str(value).map_err(|error| {
                Error::internal(format!("{name} cannot be sent")).with_source(error)
            })?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }

    /// Reads the rest of an answer so that its connection can be used again, and gives it up where
    /// that takes too much or too long. What the answer meant is known already.
    async fn drain(&self, mut body: Incoming, deadline: Instant) {
        let rest = async {
            let mut left = self.answer_bytes_max;
            while let Some(Ok(frame)) = body.frame().await {
                let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                match left.checked_sub(len) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        _ = self.clock.with_deadline(deadline, rest).await;
    }
}

/// The error of a request that got no answer: ours if the connection was refused, else one to try again.
fn unanswered(url: &HttpUrl, error: hyper_util::client::legacy::Error) -> Error {
    if let Some(ours) = Error::find(&error) {
        return ours.duplicate();
    }
    let message = format!("{} did not answer", url.origin());
    Error::internal(message).with_retry(Retry::Safe).with_source(error)
}

impl fmt::Debug for HttpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSender")
            .field("egress", &self.egress)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
