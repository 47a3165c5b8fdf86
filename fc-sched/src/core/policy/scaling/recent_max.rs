//! The highest of the last minutes, in a few numbers.

use std::time::Duration;

use fc_core::Instant;

const PARTS: usize = 5;

/// The highest number of the last so many minutes. Each counts for at least that long, and for a
/// fifth longer at most. 64 bytes.
#[derive(Clone, Debug)]
pub(super) struct RecentMax {
    /// One for each fifth, and one for the fifth under way.
    highest: [f64; PARTS + 1],
    /// Which fifth since the clock's origin is under way.
    newest: u64,
    part_ns: u64,
}

impl RecentMax {
    pub(super) fn new(time: Duration) -> Self {
        let part = time.as_nanos().div_ceil(PARTS as u128).max(1);
        let part_ns = u64::try_from(part).unwrap_or(u64::MAX);
        Self { highest: [0.0; PARTS + 1], newest: 0, part_ns }
    }

    /// Adds `number`, and says which is the highest now. None of them is below zero.
    pub(super) fn observe(&mut self, number: f64, now: Instant) -> f64 {
        let part = (now.as_nanos() / self.part_ns).max(self.newest);
        let parts = self.highest.len() as u64;
        for passed in (self.newest + 1..=part).rev().take(self.highest.len()) {
            self.highest[(passed % parts) as usize] = 0.0;
        }
        self.newest = part;
        let here = &mut self.highest[(part % parts) as usize];
        *here = here.max(number);
        self.highest.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against all numbers and their times.
        #[test]
        fn sch_4_the_highest_of_the_last_five_to_six_parts(
            steps in prop::collection::vec((0u64..700, 0u32..100), 1..200),
        ) {
            let mut recent = RecentMax::new(Duration::from_nanos(1_000));
            let (mut now, mut all) = (0, Vec::new());
            for (pause, number) in steps {
                now += pause;
                all.push((now, f64::from(number)));
                let found = recent.observe(number.into(), Instant::from_nanos(now));
                let since = |age: u64| {
                    all.iter().filter(|(at, _)| at + age >= now).map(|(_, number)| *number)
                        .fold(0.0, f64::max)
                };
                prop_assert!(since(1_000) <= found && found <= since(1_200));
            }
        }
    }
}
