//! The numbers of a forecast.

use std::time::Duration;

use fc_core::{Error, Result};

use super::TARGET_MAX;

/// Slots of a season at most: a week in parts of 5 min.
const SLOTS_MAX: u64 = 2_016;

/// After what time traffic is expected to repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Season {
    /// Each day is like the one before.
    Day,
    /// Each Monday is like the Monday before, and so on.
    Week,
}

impl Season {
    pub(super) const fn time(self) -> Duration {
        const DAY: u64 = 86_400;
        match self {
            Self::Day => Duration::from_secs(DAY),
            Self::Week => Duration::from_secs(7 * DAY),
        }
    }
}

/// The numbers of a [`Forecast`](super::Forecast). They are ours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ForecastShape {
    /// After what time traffic is expected to repeat: a day.
    pub season: Season,
    /// Into what parts it is cut: 5 min.
    pub slot: Duration,
    /// How much a new observation counts against those before it: 0.3.
    pub smoothing: f64,
    /// How many mean deviations are added for safety: 1.
    pub safety: f64,
    /// Instances that are asked for at most: 10 000.
    pub target_max: u32,
}

impl Default for ForecastShape {
    fn default() -> Self {
        Self {
            season: Season::Day,
            slot: Duration::from_secs(300),
            smoothing: 0.3,
            safety: 1.0,
            target_max: TARGET_MAX,
        }
    }
}

impl ForecastShape {
    pub(super) fn check(&self) -> Result<()> {
        let (slot, season) = (self.slot.as_nanos(), self.season.time().as_nanos());
        let fits = self.slot >= Duration::from_secs(1) && season.is_multiple_of(slot);
        if !fits || season / slot > SLOTS_MAX.into() {
            let what = format_args!(
                "{:?} does not divide {:?} into {SLOTS_MAX} slots at most",
                self.slot,
                self.season.time()
            );
            return Err(Error::invalid("slot", what));
        }
        if !self.slot.subsec_nanos().is_multiple_of(1_000_000) {
            let what = format_args!("{:?} is no whole number of milliseconds", self.slot);
            return Err(Error::invalid("slot", what));
        }
        if !(self.smoothing > 0.0 && self.smoothing <= 1.0) {
            let what = format_args!("{} is not above 0 and at most 1", self.smoothing);
            return Err(Error::invalid("smoothing", what));
        }
        if !(0.0..=100.0).contains(&self.safety) {
            let what = format_args!("{} is not in 0 to 100", self.safety);
            return Err(Error::invalid("safety", what));
        }
        if self.target_max > TARGET_MAX {
            let (limit, value) = (TARGET_MAX.into(), self.target_max.into());
            return Err(Error::over_limit("target_max", "instances", limit, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Forecast;
    use super::*;

    #[test]
    fn sch_11_what_makes_no_sense_is_refused_by_name() {
        let shape = ForecastShape::default();
        let seconds = Duration::from_secs;
        for (shape, expected) in [
            (
                ForecastShape { slot: seconds(7), ..shape },
                "slot: 7s does not divide 86400s into 2016 slots at most",
            ),
            (
                ForecastShape { slot: seconds(30), ..shape },
                "slot: 30s does not divide 86400s into 2016 slots at most",
            ),
            (
                ForecastShape { slot: Duration::ZERO, ..shape },
                "slot: 0ns does not divide 86400s into 2016 slots at most",
            ),
            (
                ForecastShape { slot: seconds(60), season: Season::Week, ..shape },
                "slot: 60s does not divide 604800s into 2016 slots at most",
            ),
            (
                ForecastShape { smoothing: 0.0, ..shape },
                "smoothing: 0 is not above 0 and at most 1",
            ),
            (ForecastShape { safety: f64::NAN, ..shape }, "safety: NaN is not in 0 to 100"),
            (
                ForecastShape { target_max: 10_001, ..shape },
                "target_max: 10001 instances is over the limit of 10000",
            ),
        ] {
            assert_eq!(Forecast::new(shape).unwrap_err().message(), expected);
        }
        assert!(Forecast::new(ForecastShape { slot: seconds(60), ..shape }).is_ok());
        assert_eq!(Forecast::new(shape).unwrap(), Forecast::default());
    }
}
