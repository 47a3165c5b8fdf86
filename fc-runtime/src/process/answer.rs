//! An answer's body, which drives the connection that it comes over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fc_core::{Body, Error, Result};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::{Connection, unheard};
use super::log::Ended;
use super::running::Begun;

type Breaking = Pin<Box<dyn Future<Output = Error> + Send>>;

/// A body on its way. The connection is kept for the next request when the last byte is here, and
/// closed if this is dropped before.
pub(super) struct Answer {
    connection: Option<Box<Connection>>,
    incoming: Incoming,
    /// Frames that were there with the head.
    first: Option<Bytes>,
    second: Option<Bytes>,
    ended: bool,
    breaking: Option<Breaking>,
    /// How the call ends if the body comes whole.
    whole: Ended,
    /// Last: the call is over when the connection is.
    begun: Begun,
}

impl Answer {
    /// The body that belongs to a head that has just come: in memory if all of it is here already.
    /// Waits for nothing.
    pub(super) fn body(
        connection: Box<Connection>,
        incoming: Incoming,
        whole: Ended,
        begun: Begun,
    ) -> Body {
        let mut answer = Self {
            connection: Some(connection),
            incoming,
            first: None,
            second: None,
            ended: false,
            breaking: None,
            whole,
            begun,
        };
        answer.take_what_is_here();
        if answer.ended && answer.second.is_none() {
            return answer.first.take().map_or(Body::EMPTY, Body::from);
        }
        Body::stream(answer)
    }

    fn take_what_is_here(&mut self) {
        while !self.ended && self.second.is_none() {
            match self.poll_here(&mut unheard()) {
                Poll::Ready(Some(Ok(data))) if self.first.is_none() => self.first = Some(data),
                Poll::Ready(Some(Ok(data))) => self.second = Some(data),
                // Its reader learns of it.
                Poll::Ready(Some(Err(error))) => return self.fail(error),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    /// The next bytes from the connection.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        match self.poll_here(&mut unheard()) {
            Poll::Pending => self.poll_here(cx),
            ready => ready,
        }
    }

    /// What is here, or comes when the connection is driven once. Only the connection wakes `cx`:
    /// a frame that it brings is looked for behind it.
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        match (self.poll_incoming(), &mut self.connection) {
            (Poll::Pending, Some(connection)) => {
                connection.drive(cx);
                self.poll_incoming()
            }
            (polled, _) => polled,
        }
    }

    fn poll_incoming(&mut self) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        while !self.incoming.is_end_stream() {
            match ready!(Pin::new(&mut self.incoming).poll_frame(&mut unheard())) {
                Some(Ok(frame)) => {
                    // Trailers are the last hop's: nothing in the contract reads them.
                    if let Ok(data) = frame.into_data() {
                        if self.incoming.is_end_stream() {
                            self.end();
                        }
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => break,
            }
        }
        self.end();
        Poll::Ready(None)
    }

    fn end(&mut self) {
        self.ended = true;
        self.begun.ended = self.whole;
        if let Some(connection) = self.connection.take() {
            self.begun.running.connections.keep(connection);
        }
    }

    fn fail(&mut self, error: hyper::Error) {
        self.connection = None;
        self.begun.fail();
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
        if let Some(data) = this.first.take().or_else(|| this.second.take()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            if let Some(breaking) = &mut this.breaking {
                let error = ready!(breaking.as_mut().poll(cx));
                this.breaking = None;
                this.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            match ready!(this.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Err(error)) => this.fail(error),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.first.is_none() && self.second.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let queued = [&self.first, &self.second].into_iter().flatten();
        let queued: u64 = queued.map(|data| data.len() as u64).sum();
        let rest = self.incoming.size_hint();
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(queued + rest),
            None if self.ended => SizeHint::with_exact(queued),
            None => SizeHint::new(),
        }
    }
}
