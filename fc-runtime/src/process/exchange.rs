//! One request and its answer over a kept connection, tried again where that is safe.

use std::sync::Arc;

use fc_core::{Error, ErrorKind, Instant, Request, Result};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use hyper::body::Incoming;

use super::connection::{Connection, Lost};
use super::head::{About, Heads};
use super::running::Running;

/// How often an idempotent request is sent again after its connection was lost.
const AGAIN_MAX: u32 = 2;

/// How often a request may meet a kept connection that closes before its first byte; then it gets
/// a new one.
const STALE_MAX: u32 = 3;

/// What a caller's request without a body is made of, to be made again.
#[derive(Clone, Debug)]
pub(super) struct Again<'i> {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    about: About<'i>,
}

impl<'i> Again<'i> {
    /// `None` if `request` may not be sent twice: it may have an effect, or has a body
    /// (`alibaba-fc.md` 5.3).
    pub(super) fn of(request: &Request, about: About<'i>) -> Option<Self> {
        let idempotent = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
        let may = request.body().known_length() == Some(0) && idempotent.contains(request.method());
        may.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            about,
        })
    }

    fn request(&self, heads: &Heads) -> Result<Request> {
        let mut request = Request::default();
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        heads.pass_on(request, self.about)
    }
}

impl Running {
    /// Sends `request` and gives the head of its answer with the connection that brings the rest.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        mut request: Request,
        again: Option<Again<'_>>,
        began: Instant,
    ) -> Result<(Box<Connection>, Response<Incoming>)> {
        let (mut retried, mut stale) = (0, 0);
        loop {
            let connection = match retried + stale {
                0 => self.connections.take().await,
                _ if stale < STALE_MAX && retried == 0 => self.connections.take().await,
                _ => self.connections.open().await,
            };
            let mut connection = match connection {
                Ok(connection) => connection,
                Err(error) => return Err(self.unreachable(began, error).await),
            };
            match connection.send(request).await {
                Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    let message = "the function's server switched protocols unasked";
                    return Err(Error::new(ErrorKind::BadResponse, message));
                }
                Ok(answer) => return Ok((connection, answer)),
                Err(Lost::Unsent(unsent, error)) => {
                    drop(connection);
                    if stale > STALE_MAX {
                        return Err(self.broken(began, error).await);
                    }
                    stale += 1;
                    request = *unsent;
                }
                Err(Lost::Sent(error)) => {
                    drop(connection);
                    if let Some(error) = known(&error) {
                        return Err(error);
                    }
                    match &again {
                        Some(again) if retried < AGAIN_MAX => {
                            // A process that lives may have closed it on its own: no waiting.
                            if self.leader.outcome().is_some() {
                                return Err(self.broken(began, error).await);
                            }
                            retried += 1;
                            request = again.request(&self.heads)?;
                        }
                        _ => return Err(self.broken(began, error).await),
                    }
                }
            }
        }
    }

    async fn unreachable(&self, began: Instant, error: std::io::Error) -> Error {
        match self.died().await {
            Some(exit) => self.crashed(began, exit),
            None => {
                let message = "the function's server takes no connection";
                Error::new(ErrorKind::BadResponse, message).with_source(error)
            }
        }
    }
}

/// What is no lost connection: the request's body failed, or the answer is no HTTP.
fn known(error: &hyper::Error) -> Option<Error> {
    if let Some(ours) = Error::find(error) {
        return Some(ours.duplicate());
    }
    let garbage = error.is_parse();
    garbage.then(|| {
        let message = format!("the function's server answered no valid HTTP: {error}");
        Error::new(ErrorKind::BadResponse, message)
    })
}
