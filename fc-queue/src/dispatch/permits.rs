//! How many tasks run at once in this process, over all lanes.

use parking_lot::Mutex;

use super::places::{Place, Places};
use crate::core::concurrency::ConcurrencyLimits;

/// Permits to run a task. Those who wait are served in the order in which they came, one each: a lane
/// with many tasks gets no more than one with few (ASY-7).
///
/// They grow by one with each task that has run, up to the most, and never fall: that one account's
/// functions find no capacity is no matter of the others. Each lane has a limit of its own for that.
#[derive(Debug)]
pub(crate) struct Permits {
    places: Places,
    /// How many more there may be.
    left: Mutex<u32>,
}

/// A permit to run one task; given back when it is dropped.
pub(super) type Permit = Place;

impl Permits {
    pub(crate) fn new(limits: ConcurrencyLimits) -> Self {
        let ConcurrencyLimits { start, max } = limits;
        Self { places: Places::new(start as usize), left: Mutex::new(max.saturating_sub(start)) }
    }

    /// Waits for one permit, and takes up to `max` if nobody else waits.
    ///
    /// Cancel safe: a dropped call takes none.
    pub(super) async fn take(&self, max: usize) -> Vec<Permit> {
        self.places.take(max).await
    }

    /// One task has run.
    pub(crate) fn succeeded(&self) {
        let mut left = self.left.lock();
        if *left > 0 {
            *left -= 1;
            self.places.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn permits_grow_with_what_has_run_up_to_the_most() {
        let permits = Permits::new(ConcurrencyLimits { start: 2, max: 4 });
        let mut held = permits.take(10).await;
        assert_eq!(held.len(), 2);
        permits.succeeded();
        held.extend(permits.take(10).await);
        assert_eq!(held.len(), 3);
        (0..9).for_each(|_| permits.succeeded());
        held.extend(permits.take(10).await);
        assert_eq!(held.len(), 4, "no more than the most");
        held.clear();
        assert_eq!(permits.take(10).await.len(), 4, "what was given comes back");
    }

    /// ASY-7: whoever waits is next, however many another wants.
    #[tokio::test]
    async fn asy_7_who_waits_is_served_before_who_comes_back() {
        let permits = Arc::new(Permits::new(ConcurrencyLimits { start: 1, max: 1 }));
        let busy = permits.take(1).await;
        let quiet = tokio::spawn({
            let permits = permits.clone();
            async move { permits.take(1).await.len() }
        });
        tokio::task::yield_now().await;
        drop(busy);
        let again = permits.take(1);
        assert_eq!(quiet.await.unwrap(), 1);
        assert_eq!(again.await.len(), 1);
    }
}
