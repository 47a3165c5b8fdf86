//! A future that is not run past an instant.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::{Clock, Sleep};
use crate::Instant;

/// The deadline came first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the deadline has passed")]
pub struct Elapsed;

pin_project! {
    /// Made by [`ClockExt::with_deadline`](super::ClockExt::with_deadline).
    #[derive(Debug)]
    pub struct WithDeadline<'c, F> {
        clock: &'c dyn Clock,
        at: Instant,
        sleep: SleepSlot,
        #[pin]
        future: F,
    }
}

struct SleepSlot(Option<Sleep>);

impl std::fmt::Debug for SleepSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "armed" } else { "unarmed" })
    }
}

impl<'c, F> WithDeadline<'c, F> {
    pub(super) fn new(clock: &'c dyn Clock, at: Instant, future: F) -> Self {
        Self { clock, at, sleep: SleepSlot(None), future }
    }
}

impl<F: Future> Future for WithDeadline<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if *this.at == Instant::MAX {
            return Poll::Pending;
        }
        let (clock, at) = (*this.clock, *this.at);
        let sleep = this.sleep.0.get_or_insert_with(|| clock.sleep_until(at));
        sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    }
}
