//! Wall-clock time that does not jump.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Clock, Instant, Timestamp};

/// The wall-clock time of a clock's monotonic axis: what the machine's wall clock said once, and what
/// has passed since then. An administrator or NTP that sets the clock changes nothing (I5).
#[derive(Clone, Debug)]
pub struct Wall {
    clock: Arc<dyn Clock>,
    anchor: Timestamp,
    anchored_at: Instant,
}

impl Wall {
    /// Anchored at this moment.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (anchor, anchored_at) = (clock.wall(), clock.now());
        Self { clock, anchor, anchored_at }
    }

    /// Now, rounded down to a millisecond.
    pub fn now(&self) -> Timestamp {
        self.at(self.clock.now())
    }

    /// `delay` from now, rounded up to a millisecond: never early.
    pub fn after(&self, delay: Duration) -> Timestamp {
        let passed = (self.clock.now() - self.anchored_at) + delay;
        let up = passed.as_nanos().div_ceil(1_000_000);
        later(self.anchor, u64::try_from(up).unwrap_or(u64::MAX))
    }

    /// The time at an instant, rounded down.
    pub fn at(&self, instant: Instant) -> Timestamp {
        let passed = instant - self.anchored_at;
        later(self.anchor, u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }

    /// The instant at which it will be `at`: now, if that has passed.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let ms = at.as_unix_millis().saturating_sub(self.anchor.as_unix_millis());
        (self.anchored_at + Duration::from_millis(ms)).max(self.clock.now())
    }

    /// The clock beneath.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

/// `ms` milliseconds later.
pub fn later(at: Timestamp, ms: u64) -> Timestamp {
    Timestamp::from_unix_millis(at.as_unix_millis().saturating_add(ms))
}

#[cfg(test)]
mod tests {
    use fc_testkit::SimClock;

    use super::*;

    /// I5: a wall clock that jumps moves nothing, and nothing is rounded to be early.
    #[test]
    fn i5_a_jump_of_the_wall_clock_moves_nothing() {
        let clock = SimClock::new(Timestamp::from_unix_millis(1_000_000));
        let wall = Wall::new(Arc::new(clock.clone()));
        clock.advance(Duration::from_micros(1_500));
        clock.jump_wall(3_600_000);
        assert_eq!(wall.now(), Timestamp::from_unix_millis(1_000_001));
        assert_eq!(wall.after(Duration::from_secs(1)), Timestamp::from_unix_millis(1_001_002));
        clock.jump_wall(-7_200_000);
        assert_eq!(wall.now(), Timestamp::from_unix_millis(1_000_001));
        let due = wall.instant(wall.after(Duration::from_secs(1)));
        assert!(due >= clock.now() + Duration::from_secs(1));
        assert_eq!(wall.instant(Timestamp::from_unix_millis(5)), clock.now());
    }
}
