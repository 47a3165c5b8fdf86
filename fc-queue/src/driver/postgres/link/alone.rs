//! One caller's operation, done in its own poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use fc_core::{Error, Result};
use tokio::runtime::Handle;

use super::group::{Place, Work};
use super::session::Session;

type Answer<W> = Result<<W as Work>::Reply>;

/// One caller's operation. If the caller goes away, a task goes on: what was sent may be done, and the
/// session is of use again once it is answered.
pub(super) struct Alone<W: Work> {
    work: Option<Pin<Box<dyn Future<Output = Answer<W>> + Send>>>,
    runtime: Handle,
}

impl<W: Work> Alone<W> {
    pub(super) fn new(mut place: Place<W>, session: Session, request: W::Request) -> Self {
        let runtime = place.shared.runtime.clone();
        let work = async move {
            let outcome = place.shared.run(&session, &[&request]).await;
            place.session = outcome.is_usable.then_some(session);
            drop(place);
            let mut replies = outcome.replies?;
            replies.pop().ok_or_else(|| Error::internal("a reply is missing"))
        };
        Self { work: Some(Box::pin(work)), runtime }
    }
}

impl<W: Work> Future for Alone<W> {
    type Output = Answer<W>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
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
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}
