//! An answer's body, which drives the connection that it comes over.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fc_core::{Body, Error, Result};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Connection;
use super::running::Begun;

type Breaking = Pin<Box<dyn Future<Output = Error> + Send>>;

/// Frames that have come while the head was looked at, at most.
const FRAMES_AT_ONCE: usize = 2;

/// A body on its way. The connection is kept for the next request when the last byte is here, and
/// closed if this is dropped before.
pub(super) struct Answer {
    connection: Option<Box<Connection>>,
    incoming: Incoming,
    /// Frames that were there with the head.
    queued: VecDeque<Bytes>,
    ended: bool,
    breaking: Option<Breaking>,
    /// Last: the call is over when the connection is.
    begun: Begun,
}

impl Answer {
    /// The body that belongs to a head that has just come: in memory if all of it is here already,
    /// which waits for nothing.
    pub(super) async fn body(
        connection: Box<Connection>,
        incoming: Incoming,
        begun: Begun,
    ) -> Result<Body> {
        let mut answer = Self {
            connection: Some(connection),
            incoming,
            queued: VecDeque::new(),
            ended: false,
            breaking: None,
            begun,
        };
        poll_fn(|cx| {
            answer.take_what_is_here(cx);
            Poll::Ready(())
        })
        .await;
        if !answer.ended {
            return Ok(Body::stream(answer));
        }
        match (answer.queued.len(), answer.queued.pop_front()) {
            (_, None) => Ok(Body::EMPTY),
            (1, Some(whole)) => Ok(whole.into()),
            (_, Some(first)) => {
                answer.queued.push_front(first);
                Ok(Body::stream(answer))
            }
        }
    }

    fn take_what_is_here(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.queued.len() < FRAMES_AT_ONCE {
            match self.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => self.queued.push_back(data),
                Poll::Ready(None) => break,
                // An error is found again by the reader.
                Poll::Ready(Some(Err(error))) => {
                    self.fail(error);
                    break;
                }
                Poll::Pending => break,
            }
        }
    }

    /// The next bytes from the connection.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        let mut driven = false;
        loop {
            if self.incoming.is_end_stream() {
                self.end(cx);
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are the last hop's: nothing in the contract reads them.
                    if let Ok(data) = frame.into_data() {
                        if self.incoming.is_end_stream() {
                            self.end(cx);
                        }
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    self.end(cx);
                    return Poll::Ready(None);
                }
                Poll::Pending => match &mut self.connection {
                    Some(connection) if !driven => {
                        connection.drive(cx);
                        driven = true;
                    }
                    _ => return Poll::Pending,
                },
            }
        }
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        self.ended = true;
        if let Some(connection) = self.connection.take() {
            self.begun.running.connections.keep(connection, cx);
        }
    }

    fn fail(&mut self, error: hyper::Error) {
        self.connection = None;
        self.begun.failed = true;
        let (running, began) = (self.begun.running.clone(), self.begun.at);
        self.breaking = Some(Box::pin(async move { running.broken(began, error).await }));
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if let Some(data) = this.queued.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            if let Some(breaking) = &mut this.breaking {
                let error = std::task::ready!(breaking.as_mut().poll(cx));
                this.breaking = None;
                this.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            match std::task::ready!(this.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Err(error)) => this.fail(error),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.queued.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let queued: u64 = self.queued.iter().map(|data| data.len() as u64).sum();
        let rest = self.incoming.size_hint();
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(queued + rest),
            None if self.ended => SizeHint::with_exact(queued),
            None => SizeHint::new(),
        }
    }
}
