//! One time for all processes of a machine.
// What a history is made of is the machine's own time.
#![allow(clippy::disallowed_methods)]

use std::time::Duration;

use fc_core::{Clock, Instant, Sleep, SystemClock, Timestamp};

/// The machine's clock, with its start as the origin: the same axis in all its processes, so that what
/// several of them write down can be put in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock(SystemClock);

impl Clock for BootClock {
    fn now(&self) -> Instant {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Neither is negative.
        let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        let left: Duration = at - self.now();
        if at == Instant::MAX {
            return self.0.sleep_until(at);
        }
        self.0.sleep_until(self.0.now() + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_them_agree() {
        let (first, second) = (BootClock::default(), BootClock::default());
        let (a, b, c) = (first.now(), second.now(), first.now());
        assert!(a <= b && b <= c && a > Instant::ORIGIN);
    }
}
