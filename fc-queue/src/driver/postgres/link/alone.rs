//! One caller's operation, done in its own poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use fc_core::{Error, Result};
use tokio::runtime::Handle;

use super::failure::not_sent;
use super::group::{Place, Work};

type Answer<W> = Result<<W as Work>::Reply>;

/// One caller's operation. If the caller goes away, a task goes on: what was sent may be done, and the
/// session is of use again once it is answered.
pub(super) struct Alone<W: Work> {
    work: Option<Pin<Box<dyn Future<Output = Answer<W>> + Send>>>,
    is_begun: bool,
    runtime: Handle,
}

impl<W: Work> Alone<W> {
    pub(super) fn new(mut place: Place<W>, request: W::Request) -> Self {
        let runtime = place.shared.runtime.clone();
        let work = async move {
            let shared = place.shared.clone();
            // A session in the midst of its work is of no use to others.
            let session = place.session.take();
            let Some(session) = session else {
                return Err(not_sent(W::NAME, "there is no session"));
            };
            let outcome = shared.run(&session, &[&request]).await;
            place.session = outcome.is_usable.then_some(session);
            drop(place);
            let mut replies = outcome.replies?;
            replies.pop().ok_or_else(|| Error::internal("a reply is missing"))
        };
        Self { work: Some(Box::pin(work)), is_begun: false, runtime }
    }

    /// Whether anything may have been sent.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }
}

impl<W: Work> Future for Alone<W> {
    type Output = Answer<W>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.is_begun = true;
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<W: Work> Drop for Alone<W> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take().filter(|_| self.is_begun) {
            self.runtime.spawn(work);
        }
    }
}
