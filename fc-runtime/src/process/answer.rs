//! An answer's body, which drives the connection that it comes over.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use fc_core::{Body, Error, Result};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::client::{Broken, Connection};
use super::log::Ended;
use super::running::Begun;

type Breaking = Pin<Box<dyn Future<Output = Error> + Send>>;

/// A body on its way. The connection is kept for the next request when the last byte is here, and
/// closed if this is dropped before.
pub(super) struct Answer {
    /// Until the last byte is here, or it broke.
    connection: Option<Box<Connection>>,
    /// Frames that were there with the head.
    first: Option<Bytes>,
    second: Option<Bytes>,
    breaking: Option<Breaking>,
    /// How the call ends if the body comes whole.
    whole: Ended,
    /// Last: the call is over when the connection is.
    begun: Begun,
}

impl Answer {
    /// The body that belongs to a head that has just come: in memory if all of it is here already.
    /// Waits for nothing.
    pub(super) fn body(connection: Box<Connection>, whole: Ended, begun: Begun) -> Body {
        let connection = Some(connection);
        let mut answer =
            Self { connection, first: None, second: None, breaking: None, whole, begun };
        answer.take_what_is_here();
        if answer.is_at_end() && answer.second.is_none() {
            return answer.first.take().map_or(Body::EMPTY, Body::from);
        }
        Body::stream(answer)
    }

    fn take_what_is_here(&mut self) {
        // Whoever waits for the rest is heard when it is asked for.
        let mut nobody = Context::from_waker(Waker::noop());
        while self.second.is_none() {
            match self.poll_data(&mut nobody) {
                Poll::Ready(Some(Ok(data))) if self.first.is_none() => self.first = Some(data),
                Poll::Ready(Some(Ok(data))) => self.second = Some(data),
                // Its reader learns of it.
                Poll::Ready(Some(Err(broken))) => return self.fail(broken),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    /// The next bytes from the connection, which is given back behind the last of them.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(None);
        };
        let polled = ready!(connection.poll_data(cx));
        if connection.is_over() {
            self.begun.ended = self.whole;
            if let Some(connection) = self.connection.take() {
                self.begun.running.connections.keep(connection);
            }
        }
        Poll::Ready(polled)
    }

    /// Whether nothing more comes from the connection.
    fn is_at_end(&self) -> bool {
        self.connection.is_none() && self.breaking.is_none()
    }

    fn fail(&mut self, broken: Broken) {
        self.connection = None;
        self.begun.fail();
        let (running, began) = (self.begun.running.clone(), self.begun.at);
        self.breaking = Some(Box::pin(async move { running.broken(began, broken).await }));
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
        loop {
            if let Some(breaking) = &mut this.breaking {
                let error = ready!(breaking.as_mut().poll(cx));
                this.breaking = None;
                return Poll::Ready(Some(Err(error)));
            }
            match ready!(this.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Err(broken)) => this.fail(broken),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_at_end() && self.first.is_none() && self.second.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let queued = [&self.first, &self.second].into_iter().flatten();
        let queued: u64 = queued.map(|data| data.len() as u64).sum();
        let rest = match &self.connection {
            Some(connection) => connection.exact(),
            None => self.is_at_end().then_some(0),
        };
        rest.map_or_else(SizeHint::new, |rest| SizeHint::with_exact(queued + rest))
    }
}
