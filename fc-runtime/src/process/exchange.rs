//! One request and its answer over a kept connection, tried again where that is safe.

use std::sync::Arc;

use fc_core::{Body, Error, ErrorKind, Exit, Instant, Request, Result};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use rustix::process::Signal;

use super::connection::{Connection, Lost};
use super::head::{About, Heads};
use super::running::Running;

/// How often an idempotent request is sent again after its connection was lost.
const AGAIN_MAX: u32 = 2;

/// How often a request may meet a kept connection that closes before its first byte; then it gets
/// a new one.
const STALE_MAX: u32 = 3;

/// A caller's head without a body, of which a request can be made again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again<'i> {
    head: &'i Parts,
    about: About<'i>,
}

impl<'i> Again<'i> {
    /// `None` if the request may not be sent twice: it may have an effect, or has a body
    /// (`alibaba-fc.md` 5.3).
    pub(super) fn of(head: &'i Parts, body: &Body, about: About<'i>) -> Option<Self> {
        let idempotent = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
        let may = body.known_length() == Some(0) && idempotent.contains(&head.method);
        may.then_some(Self { head, about })
    }

    fn request(&self, heads: &Heads) -> Result<Request> {
        heads.pass_on(self.head, Body::EMPTY, self.about)
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

    /// Nobody listens (any more): an instance that takes no connection serves nobody, and is ended
    /// if it has not ended by itself (SCH-6).
    async fn unreachable(&self, began: Instant, error: std::io::Error) -> Error {
        if !is_the_servers(&error) {
            return Error::internal(format!("connecting to an instance: {error}"))
                .with_source(error);
        }
        if let Some(exit) = self.died().await {
            return self.crashed(began, exit);
        }
        tracing::info!(instance = %self.id, %error, "takes no connection");
        self.end_for(Exit::Unhealthy);
        self.leader.signal_group(Signal::KILL);
        let message = format!(
            "the function's server takes no connection any more, though its process runs: {error}"
        );
        Error::new(ErrorKind::FunctionCrashed, message).with_source(error)
    }
}

/// Whether a connection failed for what is at its other end. No descriptor, port or memory left is
/// the platform's own trouble.
fn is_the_servers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Io;
    let theirs = [
        Io::ConnectionRefused,
        Io::ConnectionReset,
        Io::ConnectionAborted,
        Io::TimedOut,
        Io::HostUnreachable,
    ];
    theirs.contains(&error.kind())
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
