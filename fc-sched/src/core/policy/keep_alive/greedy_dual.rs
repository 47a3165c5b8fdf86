//! Greedy-dual: keep what is used often, is dear to start and takes little memory.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use fc_core::Instant;

use super::clock::EvictionClock;
use super::{Facts, KeepAlive, KeepAliveState, Window};

/// Idle instances are kept until memory is short. Then the one goes first that is worth least:
/// clock + requests × cost of a start ÷ memory. The clock shows what the last one was worth that
/// went, so that what is not used any more falls behind (Fuerst and Sharma, "FaasCache", ASPLOS 2021).
///
/// A start costs what it was measured to cost, and an instance has the clock of when it fell idle.
/// Worth is in microseconds of start a GB of memory; it saturates after 10¹¹ requests to the
/// slowest functions. Per function 32 bytes, per policy 1 KB.
///
/// ```
/// use std::time::Duration;
/// use fc_core::{Instant, Resources};
/// use fc_sched::core::policy::{Facts, GreedyDual, KeepAlive};
///
/// let policy = GreedyDual::new(None);
/// let size = Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 };
/// let (idle_timeout, concurrency) = (Duration::from_secs(300), 1);
/// let cheap = Facts { idle_timeout, size, concurrency, start_cost: Duration::from_millis(5), served: 9 };
/// let dear = Facts { start_cost: Duration::from_secs(5), ..cheap };
/// let (mut one, other) = (policy.begin(), policy.begin());
/// let idle_since = Instant::from_nanos(7);
/// assert!(one.worth(&cheap, idle_since) < other.worth(&dear, idle_since));
/// assert_eq!(one.window(&cheap).keep, Duration::MAX);
/// ```
#[derive(Debug)]
pub struct GreedyDual {
    clock: Arc<EvictionClock>,
    idle_max: Duration,
}

impl GreedyDual {
    /// Idle instances are kept until memory is short, or for `idle_max` at most.
    pub fn new(idle_max: Option<Duration>) -> Self {
        Self { clock: Arc::default(), idle_max: idle_max.unwrap_or(Duration::MAX) }
    }
}

impl KeepAlive for GreedyDual {
    fn name(&self) -> &'static str {
        "greedy-dual"
    }

    fn begin(&self) -> Box<dyn KeepAliveState> {
        let (clock, idle_max) = (Arc::clone(&self.clock), self.idle_max);
        Box::new(State { clock, idle_max, value: Cell::new(0) })
    }
}

#[derive(Debug)]
struct State {
    clock: Arc<EvictionClock>,
    idle_max: Duration,
    /// The highest so far: a start that gets cheaper must not lower what the heaps have seen.
    value: Cell<u64>,
}

impl State {
    fn value(&self, facts: &Facts) -> u64 {
        let cost = facts.start_cost.as_micros().max(1);
        let a_gb = u128::from(facts.served).saturating_mul(cost).saturating_mul(1024);
        let value = a_gb / u128::from(facts.size.memory_mb.max(1));
        let value = u64::try_from(value).unwrap_or(u64::MAX).max(self.value.get());
        self.value.set(value);
        value
    }
}

impl KeepAliveState for State {
    fn woke(&mut self, _: &Facts, _: Instant) {}

    fn fell_idle(&mut self, _: &Facts, _: Instant) {}

    fn window(&self, _: &Facts) -> Window {
        Window::keep(self.idle_max)
    }

    fn worth(&self, facts: &Facts, idle_since: Instant) -> u64 {
        self.clock.at(idle_since).saturating_add(self.value(facts))
    }

    fn evicted(&mut self, worth: u64, now: Instant) {
        self.clock.evicted(worth, now);
    }
}

#[cfg(test)]
mod tests {
    use fc_core::Resources;
    use proptest::prelude::*;

    use super::*;

    fn facts(memory_mb: u32, start_ms: u64, served: u64) -> Facts {
        Facts {
            idle_timeout: Duration::from_secs(300),
            size: Resources { cpu_milli: 350, memory_mb, disk_mb: 512 },
            concurrency: 1,
            start_cost: Duration::from_millis(start_ms),
            served,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn sch_11_dear_small_and_frequent_stay() {
        let policy = GreedyDual::new(None);
        let worth = |facts: Facts| policy.begin().worth(&facts, at(1));
        let usual = worth(facts(512, 100, 10));
        assert!(worth(facts(512, 200, 10)) > usual, "dear to start");
        assert!(worth(facts(256, 100, 10)) > usual, "small");
        assert!(worth(facts(512, 100, 11)) > usual, "frequent");
        assert_eq!(usual, 10 * 100_000 * 1024 / 512);
        assert!(worth(facts(512, 0, 10)) > 0, "never measured");
        assert_eq!(worth(facts(0, u64::MAX / 1_000, u64::MAX)), u64::MAX);
    }

    #[test]
    fn sch_11_what_is_not_used_any_more_falls_behind() {
        let policy = GreedyDual::new(None);
        let (was_hot, hot) = (facts(512, 1_000, 50), facts(512, 1_000, 1));
        let mut others = policy.begin();
        let old = policy.begin();
        let evictions_until = (1..1_000).find(|second| {
            let newest = others.worth(&hot, at(*second));
            others.evicted(newest, at(*second));
            old.worth(&was_hot, at(0)) < others.worth(&hot, at(*second))
        });
        assert_eq!(evictions_until, Some(50));
        // Used now, it is worth as much more as others that are used now.
        assert!(old.worth(&was_hot, at(1_000)) > others.worth(&hot, at(1_000)));
    }

    #[test]
    fn sch_11_only_pressure_ends_it_unless_there_is_a_cap() {
        let cap = Duration::from_secs(3_600);
        let window = |policy: GreedyDual| policy.begin().window(&facts(512, 100, 1));
        assert_eq!(window(GreedyDual::new(None)), Window::keep(Duration::MAX));
        assert_eq!(window(GreedyDual::new(Some(cap))), Window::keep(cap));
    }

    /// The paper's cache, one container a function: its priority is written down at each use.
    #[derive(Default)]
    struct Paper {
        clock: u64,
        warm: Vec<(usize, u64)>,
        requests: [u64; FUNCTIONS],
    }

    const FUNCTIONS: usize = 6;

    impl Paper {
        /// Which one goes to make room.
        fn request(&mut self, function: usize, value: u64, room: usize) -> Option<usize> {
            self.requests[function] += 1;
            let mut gone = None;
            if let Some(warm) = self.warm.iter().position(|(warm, _)| *warm == function) {
                self.warm.remove(warm);
            } else if self.warm.len() == room {
                let least = self.warm.iter().map(|(_, worth)| *worth).min().unwrap();
                let first = self.warm.iter().position(|(_, worth)| *worth == least).unwrap();
                gone = Some(self.warm.remove(first).0);
                self.clock = self.clock.max(least);
            }
            let worth = self.clock + self.requests[function] * value;
            self.warm.push((function, worth));
            gone
        }
    }

    proptest! {
        #[test]
        fn sch_11_evicts_what_the_paper_evicts(
            requests in prop::collection::vec(0..FUNCTIONS, 1..60),
            room in 1..FUNCTIONS,
            costs in prop::array::uniform6(1u64..50),
        ) {
            let policy = GreedyDual::new(None);
            let mut states: Vec<_> = (0..FUNCTIONS).map(|_| policy.begin()).collect();
            let mut served = [0; FUNCTIONS];
            let (mut warm, mut paper) = (Vec::<(usize, Instant)>::new(), Paper::default());
            for (second, function) in requests.into_iter().enumerate() {
                let now = at(second as u64 + 1);
                served[function] += 1;
                let mut gone = None;
                if let Some(found) = warm.iter().position(|(warm, _)| *warm == function) {
                    warm.remove(found);
                } else if warm.len() == room {
                    let worth = |(function, since): (usize, Instant)| {
                        let facts = facts(1024, costs[function], served[function]);
                        states[function].worth(&facts, since)
                    };
                    let (first, least) =
                        warm.iter().map(|idle| worth(*idle)).enumerate()
                            .min_by_key(|(place, worth)| (*worth, *place)).unwrap();
                    let victim = warm.remove(first).0;
                    states[victim].evicted(least, now);
                    gone = Some(victim);
                }
                warm.push((function, now));
                prop_assert_eq!(gone, paper.request(function, costs[function] * 1_000, room));
            }
        }

        /// The contract of `KeepAliveState::worth`, whatever is measured and evicted in between.
        #[test]
        fn sch_11_worth_never_decreases(
            steps in prop::collection::vec((1u64..1_000, 0u64..1_000, 0u64..5, 0u64..100_000), 1..200),
            since in 0u64..500,
        ) {
            let policy = GreedyDual::new(None);
            let (state, mut other) = (policy.begin(), policy.begin());
            let (mut served, mut now, mut seen) = (0, 0, [0, 0]);
            for (start_ms, more, pause, evicted) in steps {
                served += more;
                now += pause;
                other.evicted(evicted * now, at(now));
                let facts = facts(512, start_ms, served);
                let worth = [since, since + 3].map(|since| state.worth(&facts, at(since)));
                prop_assert!(worth[0] >= seen[0] && worth[1] >= seen[1] && worth[1] >= worth[0]);
                seen = worth;
            }
        }
    }
}
