//! Targets by utilisation.

use std::time::Duration;

use fc_core::{Error, Instant, Result, Timestamp};

use super::recent_max::RecentMax;
use super::{Load, Period, Scaling, ScalingState, TARGET_MAX};

/// How carefully a [`TargetTracking`] takes instances away. No cloud publishes its numbers; these
/// are ours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScaleIn {
    /// The part of what is too much that goes at once: 0.5.
    pub factor: f64,
    /// What was needed is kept for this long: 5 min.
    pub settle: Duration,
    /// Time between two decisions to take away: 1 min.
    pub every: Duration,
}

impl Default for ScaleIn {
    fn default() -> Self {
        let (settle, every) = (Duration::from_secs(300), Duration::from_secs(60));
        Self { factor: 0.5, settle, every }
    }
}

/// As many instances as keep the provisioned ones' slots used to a given part
/// (`targetTrackingPolicies` with `ProvisionedConcurrencyUtilization`; FunctionGraph's metric policy).
///
/// Utilisation is running requests ÷ (instances × requests at once in one). Requests that on-demand
/// instances had to take count too, so it may exceed 1, and there is something to grow from when
/// nothing is provisioned. What is needed is `current × utilisation ÷ target`.
///
/// - **Out**, at each tick: to what is needed, rounded up, `max` at most.
/// - **In**: what was needed at most in the last [`ScaleIn::settle`] stays. Of what is more, a
///   [`ScaleIn::factor`] goes: `current × factor × (1 − utilisation ÷ target)`, rounded down, one
///   instance at least; then nothing for [`ScaleIn::every`]. It never goes below what is needed, so
///   that under an even load it comes to rest.
///
/// When its period begins it holds what is provisioned, within `min` and `max`. 180 bytes a
/// function.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TargetTracking {
    period: Period,
    utilization: f64,
    min: u32,
    max: u32,
    scale_in: ScaleIn,
}

impl TargetTracking {
    /// Between `min` and `max` instances, used to `utilization`, within `period`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field of a [`TargetTrackingPolicy`] or of a [`ScaleIn`].
    ///
    /// [`TargetTrackingPolicy`]: super::TargetTrackingPolicy
    pub fn new(
        utilization: f64,
        min: u32,
        max: u32,
        period: Period,
        scale_in: ScaleIn,
    ) -> Result<Self> {
        if !(utilization > 0.0 && utilization <= 1.0) {
            let what = format_args!("{utilization} is not above 0 and at most 1");
            return Err(Error::invalid("metric_target", what));
        }
        if !(1..=TARGET_MAX).contains(&max) {
            let what = format_args!("{max} instances is not in 1 to {TARGET_MAX}");
            return Err(Error::invalid("max_capacity", what));
        }
        if min > max {
            let what = format_args!("{min} instances is over max_capacity {max}");
            return Err(Error::invalid("min_capacity", what));
        }
        if !(scale_in.factor > 0.0 && scale_in.factor <= 1.0) {
            let what = format_args!("{} is not above 0 and at most 1", scale_in.factor);
            return Err(Error::invalid("factor", what));
        }
        Ok(Self { period, utilization, min, max, scale_in })
    }
}

impl Scaling for TargetTracking {
    fn name(&self) -> &'static str {
        "target-tracking"
    }

    fn begin(&self) -> Box<dyn ScalingState> {
        Box::new(State { policy: *self, active: None })
    }
}

#[derive(Debug)]
struct State {
    policy: TargetTracking,
    active: Option<Active>,
}

/// While the period lasts.
#[derive(Debug)]
struct Active {
    held: u32,
    needs: RecentMax,
    /// When something may be taken away.
    settled: Instant,
}

impl ScalingState for State {
    fn target(&mut self, load: &Load) -> Option<u32> {
        let TargetTracking { period, utilization, min, max, scale_in } = self.policy;
        if !period.contains(load.wall) {
            self.active = None;
            return None;
        }
        let active = self.active.get_or_insert_with(|| Active {
            held: load.provisioned.clamp(min, max),
            needs: RecentMax::new(scale_in.settle),
            settled: load.now + scale_in.settle,
        });
        let slots = f64::from(load.concurrency.max(1)) * utilization;
        // Not a number is below zero here: nothing runs.
        let need = load.running_mean.max(0.0) / slots;
        // Less than what binary fractions do to 3 ÷ 0.6.
        let whole = |need: f64| ((need - 1e-9).ceil() as u32).clamp(min, max);
        let highest = active.needs.observe(need, load.now);
        active.held = active.held.max(whole(need));
        let most = active.held.saturating_sub(whole(highest));
        if most > 0 && load.now >= active.settled {
            let part = (f64::from(active.held) - highest) * scale_in.factor;
            active.held -= (part as u32).clamp(1, most);
            active.settled = load.now + scale_in.every;
        }
        Some(active.held)
    }

    fn next_change(&self, wall: Timestamp) -> Option<Timestamp> {
        self.policy.period.next_change(wall)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::load;
    use super::*;

    fn tracking(utilization: f64, min: u32, max: u32) -> Box<dyn ScalingState> {
        TargetTracking::new(utilization, min, max, Period::ALWAYS, ScaleIn::default())
            .unwrap()
            .begin()
    }

    fn target(state: &mut dyn ScalingState, second: u64, running: f64, provisioned: u32) -> u32 {
        let load = Load { running_mean: running, provisioned, ..load(second, 0) };
        state.target(&load).unwrap()
    }

    #[test]
    fn sch_4_out_is_current_times_metric_by_target_rounded_up() {
        // Provisioned, requests at once, running, utilisation wanted: 80 % of 100 instances used,
        // 40 % wanted, are 200.
        for (provisioned, concurrency, running, wanted, expected) in [
            (100, 1, 80.0, 0.4, 200),
            (10, 1, 9.0, 0.6, 15),
            (10, 20, 161.0, 0.8, 11),
            (5, 1, 3.0, 0.6, 5),
            (100, 1, 100.0, 0.1, 500),
            (0, 1, 1.0, 0.5, 2),
            (0, 10, 0.5, 1.0, 1),
            (1, 1, f64::INFINITY, 0.5, 500),
            (1, 1, f64::NAN, 0.5, 1),
        ] {
            let mut state = tracking(wanted, 0, 500);
            let load = Load { provisioned, concurrency, running_mean: running, ..load(0, 0) };
            assert_eq!(state.target(&load), Some(expected), "{load:?}");
        }
    }

    #[test]
    fn sch_4_from_the_least_it_grows_with_what_on_demand_instances_take() {
        let mut state = tracking(0.5, 0, 100);
        assert_eq!(target(&mut *state, 0, 0.0, 0), 0);
        assert_eq!(target(&mut *state, 1, 3.0, 0), 6);
        assert_eq!(target(&mut *state, 2, 90.0, 6), 100);
        assert_eq!(target(&mut *tracking(0.5, 7, 100), 0, 1.0, 0), 7);
    }

    #[test]
    fn sch_4_in_is_half_of_what_is_too_much_once_it_has_settled() {
        let mut state = tracking(0.4, 1, 500);
        assert_eq!(target(&mut *state, 0, 20.0, 100), 100);
        // 20 % used, 40 % wanted: 100 × 0.5 × (1 − 0.5) go, then half of the rest, once a minute.
        for (second, expected) in [
            (299, 100),
            (300, 75),
            (359, 75),
            (360, 63),
            (420, 57),
            (480, 54),
            (540, 52),
            (600, 51),
            (660, 50),
            (720, 50),
            (99_999, 50),
        ] {
            assert_eq!(target(&mut *state, second, 20.0, 0), expected, "at {second}");
        }
        // One burst keeps what it needed for five minutes.
        assert_eq!(target(&mut *state, 100_000, 40.0, 50), 100);
        assert_eq!(target(&mut *state, 100_300, 0.0, 100), 100);
        assert_eq!(target(&mut *state, 100_361, 0.0, 100), 50);
    }

    #[test]
    fn sch_4_it_says_nothing_outside_its_period() {
        let at = |seconds: u64| Some(Timestamp::from_unix_millis(seconds * 1000));
        let period = Period { start: at(10), end: at(20) };
        let policy = TargetTracking::new(0.5, 2, 9, period, ScaleIn::default()).unwrap();
        let mut state = policy.begin();
        for (second, expected, change) in
            [(9, None, at(10)), (10, Some(8), at(20)), (19, Some(8), at(20)), (20, None, None)]
        {
            let load = load(second, 4);
            assert_eq!((state.target(&load), state.next_change(load.wall)), (expected, change));
        }
    }

    #[test]
    fn sch_4_what_makes_no_sense_is_refused_by_name() {
        let new = |utilization, min, max, factor| {
            let scale_in = ScaleIn { factor, ..ScaleIn::default() };
            TargetTracking::new(utilization, min, max, Period::ALWAYS, scale_in)
        };
        for (utilization, min, max, factor, expected) in [
            (0.0, 0, 1, 0.5, "metric_target: 0 is not above 0 and at most 1"),
            (60.0, 0, 1, 0.5, "metric_target: 60 is not above 0 and at most 1"),
            (f64::NAN, 0, 1, 0.5, "metric_target: NaN is not above 0 and at most 1"),
            (0.6, 0, 0, 0.5, "max_capacity: 0 instances is not in 1 to 10000"),
            (0.6, 0, 10_001, 0.5, "max_capacity: 10001 instances is not in 1 to 10000"),
            (0.6, 3, 2, 0.5, "min_capacity: 3 instances is over max_capacity 2"),
            (0.6, 0, 1, 0.0, "factor: 0 is not above 0 and at most 1"),
        ] {
            let error = new(utilization, min, max, factor).unwrap_err();
            assert_eq!(error.message(), expected);
        }
        assert!(new(1.0, 10_000, 10_000, 1.0).is_ok());
    }

    proptest! {
        #[test]
        fn sch_4_a_target_is_within_its_bounds_and_enough(
            (min, max) in (0u32..50, 1u32..100).prop_map(|(one, other)| (one.min(other), other)),
            utilization in 0.01..1.0f64,
            steps in prop::collection::vec((0u64..400, 0.0..200.0f64, 0u32..200), 1..100),
        ) {
            let mut state = tracking(utilization, min, max);
            let mut second = 0;
            for (pause, running, provisioned) in steps {
                second += pause;
                let target = target(&mut *state, second, running, provisioned);
                prop_assert!((min..=max).contains(&target));
                prop_assert!(target == max || f64::from(target) + 1e-6 >= running / utilization);
            }
        }

        /// Whatever came before, under an even load it only comes down, and rests at what is needed.
        #[test]
        fn sch_4_under_an_even_load_it_does_not_flap(
            before in prop::collection::vec(0.0..200.0f64, 0..30),
            running in 0.0..100.0f64, utilization in 0.05..1.0f64, start in 0u32..300,
        ) {
            let mut state = tracking(utilization, 1, TARGET_MAX);
            let mut provisioned = start;
            for (second, running) in before.iter().enumerate() {
                provisioned = target(&mut *state, second as u64 * 10, *running, provisioned);
            }
            let mut last = target(&mut *state, 1_000, running, provisioned);
            for second in (1_010..3_000).step_by(10) {
                let target = target(&mut *state, second, running, last);
                prop_assert!(target <= last, "from {} to {} at {}", last, target, second);
                last = target;
            }
            prop_assert_eq!(last, ((running / utilization - 1e-9).ceil() as u32).max(1));
        }
    }
}
