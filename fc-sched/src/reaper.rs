//! Wakes pools in which time has something to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use fc_core::{Clock, Instant};

use crate::shell::PoolShell;
use crate::sync::{CancellationToken, Mutex, Notify, select};

/// One timer for all pools. A pool asks for a look that is earlier than the one it has
/// asked for before, and what dead pools have asked for is swept out, so the heap is bounded by the
/// number of pools and of looks that were overtaken.
#[derive(Debug, Default)]
pub(crate) struct Reaper {
    wakes: Mutex<BinaryHeap<Wake>>,
    earlier: Notify,
}

/// Below this many entries the heap is not swept.
const SWEEP_MIN: usize = 64;

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
    /// Looks at `pool` at `at`.
    pub(crate) fn wake_at(&self, at: Instant, pool: &Arc<PoolShell>) {
        let mut wakes = self.wakes.lock();
        if wakes.len() >= SWEEP_MIN && wakes.len() == wakes.capacity() {
            // A dead pool's entry keeps its memory. What is left is at most as much as lives, and
            // the heap grows before it is swept again: constant time on average.
            wakes.retain(|wake| wake.pool.strong_count() > 0);
        }
        let earliest = wakes.peek().is_none_or(|first| at < first.at.0);
        wakes.push(Wake { at: Reverse(at), pool: Arc::downgrade(pool) });
        drop(wakes);
        if earliest {
            self.earlier.notify_one();
        }
    }

    /// Wakes pools until `stop`.
    pub(crate) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>, stop: CancellationToken) {
        loop {
            let next = self.wakes.lock().peek().map_or(Instant::MAX, |wake| wake.at.0);
            select! {
                () = clock.sleep_until(next) => {},
                () = self.earlier.notified() => continue,
                () = stop.cancelled() => return,
            }
            let now = clock.now();
            while let Some(due) = self.take_due(now) {
                if let Some(pool) = due.pool.upgrade() {
                    pool.look(due.at.0);
                }
            }
        }
    }

    fn take_due(&self, now: Instant) -> Option<Wake> {
        let mut wakes = self.wakes.lock();
        let due = wakes.peek().is_some_and(|wake| wake.at.0 <= now);
        if due { wakes.pop() } else { None }
    }
}
