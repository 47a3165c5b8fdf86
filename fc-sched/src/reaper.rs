//! Wakes pools whose instances may have idled for long enough.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use fc_core::{Clock, Instant};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::shell::PoolShell;

/// One timer for all pools. A pool has at most one entry, so the heap is bounded by their number.
#[derive(Debug, Default)]
pub(crate) struct Reaper {
    wakes: Mutex<BinaryHeap<Wake>>,
    earlier: Notify,
}

#[derive(Debug)]
struct Wake {
    at: Reverse<Instant>,
    pool: Weak<PoolShell>,
}

impl PartialEq for Wake {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Wake {}

impl PartialOrd for Wake {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wake {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Reaper {
    /// Looks at `pool` at `at`. The pool sees to it that it is asked for once at a time.
    pub(crate) fn wake_at(&self, at: Instant, pool: Weak<PoolShell>) {
        let mut wakes = self.wakes.lock();
        let earliest = wakes.peek().is_none_or(|first| at < first.at.0);
        wakes.push(Wake { at: Reverse(at), pool });
        drop(wakes);
        if earliest {
            self.earlier.notify_one();
        }
    }

    /// Wakes pools until `stop`.
    pub(crate) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>, stop: CancellationToken) {
        loop {
            let next = self.wakes.lock().peek().map_or(Instant::MAX, |wake| wake.at.0);
            tokio::select! {
                () = clock.sleep_until(next) => {}
                () = self.earlier.notified() => continue,
                () = stop.cancelled() => return,
            }
            let now = clock.now();
            while let Some(pool) = self.take_due(now) {
                if let Some(pool) = pool.upgrade() {
                    pool.expire();
                }
            }
        }
    }

    fn take_due(&self, now: Instant) -> Option<Weak<PoolShell>> {
        let mut wakes = self.wakes.lock();
        let due = wakes.peek().is_some_and(|wake| wake.at.0 <= now);
        if due { wakes.pop().map(|wake| wake.pool) } else { None }
    }
}
