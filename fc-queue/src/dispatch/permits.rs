//! How many tasks run at once in this process, over all lanes.

use std::sync::Arc;

use fc_core::Instant;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::concurrency::{Concurrency, ConcurrencyLimits};

/// Permits to run a task. Those who wait are served in the order in which they came, one each: a lane
/// with many tasks gets no more than one with few (ASY-7).
#[derive(Debug)]
pub(crate) struct Permits {
    semaphore: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    concurrency: Concurrency,
    /// Permits that the semaphore has given out or holds.
    issued: u32,
}

/// A permit to run one task; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Arc<Permits>,
    inner: Option<OwnedSemaphorePermit>,
}

impl Permits {
    pub(crate) fn new(limits: ConcurrencyLimits) -> Arc<Self> {
        let concurrency = Concurrency::new(limits);
        let issued = concurrency.limit();
        let semaphore = Arc::new(Semaphore::new(issued as usize));
        Arc::new(Self { semaphore, state: Mutex::new(State { concurrency, issued }) })
    }

    /// Waits for one permit, and takes up to `max` if nobody else waits.
    ///
    /// Cancel safe: a dropped call takes none.
    pub(crate) async fn take(self: &Arc<Self>, max: usize) -> Vec<Permit> {
        let mut taken = Vec::new();
        // It is never closed.
        if let Ok(first) = self.semaphore.clone().acquire_owned().await {
            taken.push(self.permit(first));
        }
        while taken.len() < max
            && let Ok(more) = self.semaphore.clone().try_acquire_owned()
        {
            taken.push(self.permit(more));
        }
        taken
    }

    fn permit(self: &Arc<Self>, inner: OwnedSemaphorePermit) -> Permit {
        Permit { permits: self.clone(), inner: Some(inner) }
    }

    /// One task has run.
    pub(crate) fn succeeded(&self) {
        let mut state = self.state.lock();
        state.concurrency.succeeded();
        let more = state.concurrency.limit().saturating_sub(state.issued);
        if more > 0 {
            state.issued += more;
            self.semaphore.add_permits(more as usize);
        }
    }

    /// One task found no capacity.
    pub(crate) fn throttled(&self, now: Instant) {
        self.state.lock().concurrency.throttled(now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        let mut state = self.permits.state.lock();
        if state.issued > state.concurrency.limit() {
            state.issued -= 1;
            inner.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn permits_follow_the_limit_up_and_down() {
        let limits = ConcurrencyLimits { start: 2, max: 4, cut_pause: Duration::from_secs(1) };
        let permits = Permits::new(limits);
        let mut held = permits.take(10).await;
        assert_eq!(held.len(), 2);
        (0..9).for_each(|_| permits.succeeded());
        held.extend(permits.take(10).await);
        assert_eq!(held.len(), 4, "no more than the most");
        permits.throttled(Instant::ORIGIN);
        held.clear();
        assert_eq!(permits.take(10).await.len(), 2, "half of them are gone");
        assert_eq!(permits.take(10).await.len(), 2, "and what was given comes back");
    }

    /// ASY-7: whoever waits is next, however many another wants.
    #[tokio::test]
    async fn asy_7_who_waits_is_served_before_who_comes_back() {
        let limits = ConcurrencyLimits { start: 1, max: 1, cut_pause: Duration::ZERO };
        let permits = Permits::new(limits);
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
