//! Greedy-dual's clock: one for all functions, and what it showed earlier.

use fc_core::Instant;
use parking_lot::Mutex;

/// Steps of the clock that are remembered, 16 bytes each.
const STEPS_MAX: usize = 64;

/// A clock that evictions move on. All functions of a policy share it.
///
/// An instance's worth begins with what the clock showed when it fell idle, so the clock remembers
/// its last steps. When there are too many, every other one is forgotten: then it says for some
/// times what it showed a little later, never less than before.
#[derive(Debug, Default)]
pub(super) struct EvictionClock(Mutex<Steps>);

#[derive(Debug, Default)]
struct Steps {
    shows: u64,
    /// Until when it showed what, both ascending.
    past: Vec<(Instant, u64)>,
}

impl EvictionClock {
    /// What it showed at `at`.
    pub(super) fn at(&self, at: Instant) -> u64 {
        let steps = self.0.lock();
        let later = steps.past.partition_point(|(until, _)| *until <= at);
        steps.past.get(later).map_or(steps.shows, |(_, shows)| *shows)
    }

    /// Something worth that was evicted at `now`: nothing cheaper is worth keeping any more.
    pub(super) fn evicted(&self, worth: u64, now: Instant) {
        let mut steps = self.0.lock();
        if worth <= steps.shows {
            return;
        }
        // Several at one time are one step, and time does not go back.
        if steps.past.last().is_none_or(|(until, _)| *until < now) {
            if steps.past.len() == STEPS_MAX {
                let mut odd = false;
                steps.past.retain(|_| {
                    odd = !odd;
                    !odd
                });
            }
            let shows = steps.shows;
            steps.past.push((now, shows));
        }
        steps.shows = worth;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of all evictions. While few are remembered it is exact; then never less
        /// than it showed, and never more than it shows.
        #[test]
        fn sch_11_the_clock_never_goes_back(
            steps in prop::collection::vec((0u64..5, 0u64..100), 0..300),
            asked in prop::collection::vec(0u64..800, 8),
        ) {
            let clock = EvictionClock::default();
            let (mut now, mut worth, mut all) = (0, 0, Vec::new());
            let mut seen: Vec<u64> = vec![0; asked.len()];
            for (pause, more) in steps {
                now += pause;
                worth += more;
                clock.evicted(worth, Instant::from_nanos(now));
                all.push((now, worth));
                // Out of order, it changes nothing.
                clock.evicted(worth / 2, Instant::from_nanos(now));
                for (asked, seen) in asked.iter().zip(&mut seen) {
                    let shows = clock.at(Instant::from_nanos(*asked));
                    let exact = all.iter().rfind(|(at, _)| at <= asked).map_or(0, |(_, worth)| *worth);
                    prop_assert!(exact <= shows && *seen <= shows && shows <= worth);
                    if all.len() <= STEPS_MAX {
                        prop_assert_eq!(exact, shows, "at {} of {:?}", asked, &all);
                    }
                    *seen = shows;
                }
            }
            prop_assert!(clock.0.lock().past.len() <= STEPS_MAX);
        }
    }
}
