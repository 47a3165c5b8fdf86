//! The queue's own time: it never goes back, neither when the machine's clock does nor across a
//! restart.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Clock, Instant, Timestamp};

/// Wall-clock time that was read once, and has gone on with the monotonic clock since.
#[derive(Clone, Debug)]
pub(super) struct QueueClock {
    clock: Arc<dyn Clock>,
    wall: Timestamp,
    mono: Instant,
}

impl QueueClock {
    /// Begins at the machine's time, or at `at_least` if that is later: what the log has seen.
    pub(super) fn new(clock: Arc<dyn Clock>, at_least: Timestamp) -> Self {
        let (wall, mono) = (clock.wall().max(at_least), clock.now());
        Self { clock, wall, mono }
    }

    pub(super) fn now(&self) -> Timestamp {
        later(self.wall, self.clock.now() - self.mono)
    }

    /// The instant at which `now` shows `at`.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        let ahead = at.as_unix_millis().saturating_sub(self.wall.as_unix_millis());
        self.mono + Duration::from_millis(ahead)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

/// `at` and then `by`, whose started millisecond counts in full.
pub(super) fn after(at: Timestamp, by: Duration) -> Timestamp {
    later(at, by.saturating_add(Duration::from_nanos(999_999)))
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_millis(at.as_unix_millis().saturating_add(by))
}
