//! What is known of a lane that is dispatched.

use std::sync::Arc;
use std::time::Duration;

use fc_core::Instant;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::concurrency::{Concurrency, ConcurrencyLimits};

/// How many tasks of a lane run, and may.
#[derive(Debug)]
pub(crate) struct LaneLoad {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    concurrency: Concurrency,
    running: u32,
}

/// A task of a lane that runs; dropped, its place is free.
#[derive(Debug)]
pub(crate) struct Running(Arc<LaneLoad>);

impl LaneLoad {
    pub(crate) fn new(limits: ConcurrencyLimits, cut_pause: Duration) -> Arc<Self> {
        let state = State { concurrency: Concurrency::new(limits, cut_pause), running: 0 };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new() })
    }

    /// Waits until another task may run, and says how many may. One task asks at a time.
    pub(crate) async fn room(&self) -> usize {
        loop {
            let freed = self.freed.notified();
            {
                let state = self.state.lock();
                let room = state.concurrency.limit().saturating_sub(state.running);
                if room > 0 {
                    return room as usize;
                }
            }
            freed.await;
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().running == 0
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.state.lock().running += 1;
        Running(self.clone())
    }
}

impl Running {
    /// It has run.
    pub(crate) fn succeeded(&self) {
        self.0.state.lock().concurrency.succeeded();
    }

    /// It was begun at `begun` and found no capacity.
    pub(crate) fn throttled(&self, begun: Instant, now: Instant) {
        self.0.state.lock().concurrency.throttled(begun, now);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        // A permit of the notification is kept for who has not asked yet.
        self.0.freed.notify_one();
    }
}
