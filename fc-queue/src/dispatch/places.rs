//! A line of those who wait for places.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places that are given out in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// One of the places; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _held: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    pub(super) fn add(&self, count: usize) {
        self.0.add_permits(count);
    }

    /// Waits for one place, and takes up to `max` if nobody else waits.
    ///
    /// Cancel safe: a dropped call takes none.
    pub(super) async fn take(&self, max: usize) -> Vec<Place> {
        let mut taken = Vec::new();
        // It is never closed.
        if let Ok(first) = self.0.clone().acquire_owned().await {
            taken.push(Place { _held: first });
        }
        while taken.len() < max
            && let Ok(more) = self.0.clone().try_acquire_owned()
        {
            taken.push(Place { _held: more });
        }
        taken
    }
}
