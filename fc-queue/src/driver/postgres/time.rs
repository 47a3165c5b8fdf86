//! A caller's times in the server's terms.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Clock, Instant, Timestamp};
use parking_lot::Mutex;

/// What the server's clock shows, so that machines' clocks need not agree.
///
/// A task's time is counted from the caller's now, and the same time gives the same instant of the
/// server: what becomes visible together keeps the order of its pushes. It errs on the late side, by a
/// round trip and two milliseconds. A jump of either clock is noticed and made up for.
#[derive(Debug)]
pub(super) struct ServerTime {
    clock: Arc<dyn Clock>,
    offsets: Mutex<Offsets>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Offsets {
    /// The server's clock less our monotonic one, microseconds.
    monotonic_us: i64,
    /// The server's clock less our wall clock.
    wall_us: i64,
}

/// Our wall clock is told in milliseconds: so much is cut off at most.
const CUT_US: i64 = 1_000;

/// So much later than need be a task may become visible, before the offset is taken anew.
const LATE_US: i64 = 50_000;

impl ServerTime {
    /// Begins with what the server showed between two instants.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        before: Instant,
        after: Instant,
        server_us: i64,
    ) -> Self {
        let time = Self { clock, offsets: Mutex::default() };
        time.heard(before, after, server_us);
        time
    }

    /// Takes what the server showed at a moment between `before` and `after`.
    pub(super) fn heard(&self, before: Instant, after: Instant, server_us: i64) {
        let since = |at: Instant| server_us.saturating_sub(micros(at.since_origin()));
        let (least, most) = (since(after), since(before));
        let mut offsets = self.offsets.lock();
        if !(least..=most).contains(&offsets.monotonic_us) {
            offsets.monotonic_us = most;
        }
    }

    /// The server's time, microseconds since the Unix epoch, when it is `at` here; `None`: by now.
    pub(super) fn of(&self, at: Timestamp) -> Option<i64> {
        let wall = self.clock.wall();
        if at <= wall {
            return None;
        }
        let mut offsets = self.offsets.lock();
        let server_us = micros(self.clock.now().since_origin()) + offsets.monotonic_us;
        let is = server_us - to_us(wall);
        let used = offsets.wall_us;
        if is > used || is < used - LATE_US {
            offsets.wall_us = is + CUT_US;
        }
        Some(to_us(at).saturating_add(offsets.wall_us).min(FOREVER_US))
    }
}

/// A duration for the server.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(FOREVER_US).min(FOREVER_US)
}

/// The year 5000: the server can add it to any time of ours.
const FOREVER_US: i64 = 3_030 * 366 * 86_400 * 1_000_000;

fn to_us(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_millis().saturating_mul(1_000)).unwrap_or(FOREVER_US)
}

pub(super) fn to_sql(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_millis()).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use fc_core::Sleep;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock whose two hands are moved apart.
    #[derive(Debug, Default)]
    struct Hands {
        monotonic_us: AtomicU64,
        wall_us: AtomicU64,
    }

    impl Hands {
        fn pass(&self, us: u64) {
            self.monotonic_us.fetch_add(us, Ordering::Relaxed);
            self.wall_us.fetch_add(us, Ordering::Relaxed);
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Instant {
            Instant::from_nanos(self.monotonic_us.load(Ordering::Relaxed) * 1_000)
        }

        fn wall(&self) -> Timestamp {
            Timestamp::from_unix_millis(self.wall_us.load(Ordering::Relaxed) / 1_000)
        }

        fn sleep_until(&self, _: Instant) -> Sleep {
            Box::pin(std::future::pending())
        }
    }

    const YEAR_US: u64 = 365 * 86_400 * 1_000_000;

    #[test]
    fn a_time_is_the_same_instant_of_the_server_whenever_it_is_told() {
        let hands = Arc::new(Hands::default());
        hands.wall_us.store(40 * YEAR_US, Ordering::Relaxed);
        // The server's clock is a year ahead; it was read within 300 us.
        let server = |hands: &Hands| (hands.wall_us.load(Ordering::Relaxed) + YEAR_US) as i64;
        let (before, read) = (hands.now(), server(&hands));
        hands.pass(300);
        let time = ServerTime::new(hands.clone(), before, hands.now(), read);
        let at = Timestamp::from_unix_millis(hands.wall().as_unix_millis() + 600_000);
        let first = time.of(at).unwrap();
        let exact = (at.as_unix_millis() * 1_000 + YEAR_US) as i64;
        assert!((exact..=exact + 2_300).contains(&first), "{}", first - exact);
        for _ in 0..1_000 {
            hands.pass(599_137 % 7_919);
            assert_eq!(time.of(at), Some(first));
        }
        hands.pass(600_000_000);
        assert_eq!(time.of(at), None);
    }

    #[test]
    fn a_jump_of_a_clock_makes_no_task_early_or_late() {
        let hands = Arc::new(Hands::default());
        hands.wall_us.store(40 * YEAR_US, Ordering::Relaxed);
        let mut server = 7 * YEAR_US as i64;
        let time = ServerTime::new(hands.clone(), hands.now(), hands.now(), server);
        for jump in [3_600_000_000_i64, -3_600_000_000, 20_000, -20_000, 900_000] {
            // Ours jumps, then the server's.
            let wall = hands.wall_us.load(Ordering::Relaxed).checked_add_signed(jump).unwrap();
            hands.wall_us.store(wall, Ordering::Relaxed);
            for _ in 0..2 {
                let at = Timestamp::from_unix_millis(hands.wall().as_unix_millis() + 10_000);
                let delay = time.of(at).unwrap() - server;
                assert!((9_999_000..10_052_000).contains(&delay), "{jump}: {delay}");
                server += jump;
                time.heard(hands.now(), hands.now(), server);
            }
        }
    }
}
