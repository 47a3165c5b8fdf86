//! The idle time-out as configured.

use fc_core::Instant;

use super::{Facts, KeepAlive, KeepAliveState, Window};

/// Idle instances are kept for the function's idle time-out (SCH-3); under pressure the one that is
/// idle longest goes first. No state.
///
/// ```
/// use std::time::Duration;
/// use fc_core::Resources;
/// use fc_sched::core::policy::{Facts, FixedKeepAlive, KeepAlive, Window};
///
/// let facts = Facts {
///     idle_timeout: Duration::from_secs(300),
///     size: Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 },
///     concurrency: 1,
///     start_cost: Duration::ZERO,
///     served: 0,
/// };
/// assert_eq!(FixedKeepAlive.begin().window(&facts), Window::keep(Duration::from_secs(300)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FixedKeepAlive;

impl KeepAlive for FixedKeepAlive {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn begin(&self) -> Box<dyn KeepAliveState> {
        Box::new(*self)
    }
}

impl KeepAliveState for FixedKeepAlive {
    fn woke(&mut self, _: &Facts, _: Instant) {}

    fn fell_idle(&mut self, _: &Facts, _: Instant) {}

    fn window(&self, facts: &Facts) -> Window {
        Window::keep(facts.idle_timeout)
    }

    fn worth(&self, _: &Facts, idle_since: Instant) -> u64 {
        idle_since.as_nanos()
    }

    fn evicted(&mut self, _: u64, _: Instant) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fc_core::Resources;

    use super::*;

    #[test]
    fn sch_3_as_configured_and_the_longest_idle_goes_first() {
        let facts = Facts {
            idle_timeout: Duration::from_secs(77),
            size: Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 },
            concurrency: 1,
            start_cost: Duration::from_secs(1),
            served: 5,
        };
        let mut state = FixedKeepAlive.begin();
        let at = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
        for seconds in (0..10_000).step_by(1_000) {
            state.fell_idle(&facts, at(seconds));
            state.woke(&facts, at(seconds + 500));
            assert_eq!(state.window(&facts), Window::keep(Duration::from_secs(77)));
        }
        assert!(state.worth(&facts, at(1)) < state.worth(&facts, at(2)));
    }
}
