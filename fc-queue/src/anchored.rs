//! Wall-clock time that does not jump.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Clock, Instant, Timestamp};

/// The wall clock as it stood when this was made, moved on by the monotonic clock: a jump of the wall
/// clock makes no task early or late (I5).
#[derive(Clone, Debug)]
pub(crate) struct AnchoredClock {
    clock: Arc<dyn Clock>,
    wall: Timestamp,
    instant: Instant,
}

impl AnchoredClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        // The instant first: if this thread pauses in between, the clock is late and not early.
        let instant = clock.now();
        let wall = clock.wall();
        Self { clock, wall, instant }
    }

    /// The same, but not before `at_least`: what was seen in an earlier life.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "memory has no earlier life"))]
    pub(crate) fn not_before(clock: Arc<dyn Clock>, at_least: Timestamp) -> Self {
        let anchored = Self::new(clock);
        Self { wall: anchored.wall.max(at_least), ..anchored }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The time, its milliseconds rounded down.
    pub(crate) fn now(&self) -> Timestamp {
        self.wall_after(self.clock.now() - self.instant)
    }

    /// The time that has come when all of `span` has passed, rounded up.
    pub(crate) fn after(&self, span: Duration) -> Timestamp {
        const ALMOST: Duration = Duration::from_nanos(999_999);
        let passed = (self.clock.now() - self.instant).saturating_add(span);
        self.wall_after(passed.saturating_add(ALMOST))
    }

    /// The first instant at which [`Self::now`] is `at`, or later.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        let ms = at.as_unix_millis().saturating_sub(self.wall.as_unix_millis());
        self.instant + Duration::from_millis(ms)
    }

    fn wall_after(&self, passed: Duration) -> Timestamp {
        let ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_unix_millis(self.wall.as_unix_millis().saturating_add(ms))
    }
}

#[cfg(test)]
mod tests {
    use fc_testkit::SimClock;

    use super::*;

    #[test]
    fn it_moves_with_the_monotonic_clock_and_heeds_no_jump() {
        let sim = SimClock::new(Timestamp::from_unix_millis(1_000));
        sim.advance(Duration::from_micros(2_300));
        let anchored = AnchoredClock::new(Arc::new(sim.clone()));
        assert_eq!(anchored.now(), Timestamp::from_unix_millis(1_002));
        for hour in [3_600_000, -7_200_000] {
            sim.jump_wall(hour);
            assert_eq!(anchored.now(), Timestamp::from_unix_millis(1_002));
        }
        sim.advance(Duration::from_micros(1_700));
        assert_eq!(anchored.now(), Timestamp::from_unix_millis(1_003));
    }

    #[test]
    fn a_span_is_over_when_all_of_it_has_passed() {
        let sim = SimClock::new(Timestamp::from_unix_millis(1_000));
        let anchored = AnchoredClock::new(Arc::new(sim.clone()));
        sim.advance(Duration::from_micros(900));
        let end = anchored.after(Duration::from_millis(5));
        assert_eq!(end, Timestamp::from_unix_millis(1_006));
        let instant = anchored.instant(end);
        assert_eq!(instant, Instant::ORIGIN + Duration::from_millis(6));
        sim.advance_to(Instant::from_nanos(instant.as_nanos() - 1));
        assert!(anchored.now() < end);
        sim.advance_to(instant);
        assert_eq!(anchored.now(), end);
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let sim = SimClock::new(Timestamp::from_unix_millis(u64::MAX - 1));
        let anchored = AnchoredClock::new(Arc::new(sim));
        let end = Timestamp::from_unix_millis(u64::MAX);
        assert_eq!(anchored.after(Duration::MAX), end);
        let early = SimClock::new(Timestamp::default());
        assert_eq!(AnchoredClock::new(Arc::new(early)).instant(end), Instant::MAX);
    }
}
