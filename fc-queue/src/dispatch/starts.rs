//! How many tasks may wait for their first turn on a thread of the runtime.

use std::future::{Future, poll_fn};
use std::pin::Pin;

use super::places::{Place, Places};

/// For each thread of the runtime: enough that none of them waits while the next are leased.
const EACH: usize = 4;

/// Places in front of the runtime's threads.
///
/// A thread serves its tasks in turn: a backlog of quick ones that is spawned as fast as it is leased
/// would be a line of hundreds, in which everybody else's task, submission and request stands too
/// (ASY-7). What has begun and waits, for its function or the queue, holds no place.
#[derive(Debug)]
pub(crate) struct Starts(Places);

/// A place of a task that has not begun.
#[derive(Debug)]
pub(super) struct Start(Place);

impl Starts {
    /// For the runtime that this is called in.
    pub(crate) fn new() -> Self {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        Self(Places::new(threads * EACH))
    }

    /// Waits for one place, in the order in which it was asked for, and takes up to `max` if nobody else
    /// waits.
    ///
    /// Cancel safe: a dropped call takes none.
    pub(super) async fn take(&self, max: usize) -> Vec<Start> {
        self.0.take(max).await.into_iter().map(Start).collect()
    }
}

impl Start {
    /// Does `work`, and gives the place back once it has had its first turn.
    pub(super) async fn of<F: Future + Unpin>(self, mut work: F) -> F::Output {
        let mut place = Some(self.0);
        poll_fn(|cx| {
            let polled = Pin::new(&mut work).poll(cx);
            place.take();
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// ASY-7: what waits for its function holds no place; what has not begun does.
    #[tokio::test]
    async fn asy_7_a_place_is_given_back_at_the_first_turn() {
        let starts = Starts::new();
        let mut taken = starts.take(99).await;
        assert_eq!(taken.len(), EACH, "this runtime has one thread");
        let waits = tokio::spawn(taken.remove(0).of(std::future::pending::<()>()));
        assert_eq!(starts.take(99).await.len(), 1);
        assert!(!waits.is_finished());
        drop(taken);
        assert_eq!(starts.take(99).await.len(), EACH);
        waits.abort();
    }

    /// ASY-7: whoever waits is next, however many another wants.
    #[tokio::test]
    async fn asy_7_who_waits_is_served_before_who_comes_back() {
        let starts = Arc::new(Starts::new());
        let mut busy = starts.take(99).await;
        let quiet = tokio::spawn({
            let starts = starts.clone();
            async move { starts.take(1).await.len() }
        });
        tokio::task::yield_now().await;
        busy.pop();
        let again = starts.take(99);
        assert_eq!(quiet.await.unwrap(), 1);
        assert_eq!(again.await.len(), 1);
    }
}
