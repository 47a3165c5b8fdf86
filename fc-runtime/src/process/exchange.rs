//! One request and its answer over a kept connection, tried again where that is safe.

use fc_core::{Error, ErrorKind, Exit, Instant, Result};
use http::StatusCode;
use rustix::process::Signal;

use super::client::{AnswerHead, Broken, Connection, Lost, Outgoing, Sending};
use super::running::Running;

/// How often an idempotent request is sent again after its connection was lost.
const AGAIN_MAX: u32 = 2;

/// How often a request may meet a kept connection that closes before its first byte; then it gets
/// a new one.
const STALE_MAX: u32 = 3;

/// An answer's head with the connection that brings the rest.
type Answered = (Box<Connection>, AnswerHead);

/// A request that is on its way, or has no connection yet.
pub(super) enum Begin {
    Sent(Sending),
    Not(Lost),
}

impl Running {
    /// Begins to send `request`, if a connection is there: nothing that large is carried around.
    pub(super) fn send(&self, request: Outgoing) -> Begin {
        match self.connections.kept() {
            Some(connection) => Begin::Sent(connection.send(request)),
            None => Begin::Not(Lost::Untried(Box::new(request))),
        }
    }

    /// Gives the head of the answer to what was begun.
    pub(super) async fn exchange(&self, begin: Begin, began: Instant) -> Result<Answered> {
        let lost = match begin {
            Begin::Sent(sending) => match sending.await {
                Ok(answered) => return within_contract(answered),
                Err(lost) => lost,
            },
            Begin::Not(lost) => lost,
        };
        Box::pin(self.exchange_again(lost, began)).await
    }

    async fn exchange_again(&self, mut lost: Lost, began: Instant) -> Result<Answered> {
        let (mut retried, mut stale) = (0, 0);
        loop {
            let request = match lost {
                Lost::Untried(request) => request,
                Lost::Unsent(_, error) if stale > STALE_MAX => {
                    return Err(self.broken(began, Broken::Lost(error)).await);
                }
                Lost::Unsent(request, _) => {
                    stale += 1;
                    request
                }
                // A process that lives may have closed it on its own: no waiting.
                Lost::Sent(Some(request), _)
                    if retried < AGAIN_MAX && self.leader.outcome().is_none() =>
                {
                    retried += 1;
                    request
                }
                Lost::Sent(_, error) => {
                    return Err(self.broken(began, Broken::Lost(error)).await);
                }
                Lost::Body(error) => return Err(error),
                Lost::Malformed(what) => {
                    return Err(self.broken(began, Broken::Malformed(what)).await);
                }
            };
            let connection = match stale < STALE_MAX && retried == 0 {
                true => self.connections.take().await,
                false => self.connections.open().await,
            };
            let connection = match connection {
                Ok(connection) => connection,
                Err(error) => return Err(self.unreachable(began, error).await),
            };
            match connection.send(*request).await {
                Ok(answered) => return within_contract(answered),
                Err(again) => lost = again,
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

fn within_contract(answered: Answered) -> Result<Answered> {
    if answered.1.status == StatusCode::SWITCHING_PROTOCOLS {
        let message = "the function's server switched protocols unasked";
        return Err(Error::new(ErrorKind::BadResponse, message));
    }
    Ok(answered)
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
