//! The next idle time from those before it.

use std::time::Duration;

/// How much of an older observation is left with each new one: those of the last ten or so count.
const MEMORY: f64 = 0.9;

/// Idle times before the first forecast.
const OBSERVED_MIN: u32 = 4;

/// An autoregression of order one: next = a + b × last, by least squares over what is remembered.
///
/// It stands in the place of the paper's ARIMA, for functions that are idle for hours: a handful of
/// numbers instead of a fit over all history. It finds what repeats (b = 0), what alternates (b =
/// −1) and what drifts (b = 1). 64 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdleForecast {
    last: Option<f64>,
    observed: u32,
    // Sums over pairs (x, y) of an idle time and the next, in seconds.
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl IdleForecast {
    pub(super) fn observe(&mut self, idle: Duration) {
        let y = idle.as_secs_f64();
        if let Some(x) = self.last.replace(y) {
            self.weight = self.weight * MEMORY + 1.0;
            self.x = self.x * MEMORY + x;
            self.y = self.y * MEMORY + y;
            self.xx = self.xx * MEMORY + x * x;
            self.xy = self.xy * MEMORY + x * y;
        }
        self.observed = self.observed.saturating_add(1);
    }

    /// The next idle time; `None` before four were seen.
    pub(super) fn next(&self) -> Option<Duration> {
        let last = self.last.filter(|_| self.observed >= OBSERVED_MIN)?;
        let (mean_x, mean_y) = (self.x / self.weight, self.y / self.weight);
        let variance = self.xx / self.weight - mean_x * mean_x;
        let covariance = self.xy / self.weight - mean_x * mean_y;
        // Of idle times that hardly differ, the difference says nothing.
        let slope = match variance > (mean_x * 0.01).powi(2) {
            true => (covariance / variance).clamp(-1.0, 1.0),
            false => 0.0,
        };
        let next = mean_y + slope * (last - mean_x);
        Duration::try_from_secs_f64(next.max(0.0)).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn after(hours: &[f64]) -> Option<f64> {
        let mut forecast = IdleForecast::default();
        hours.iter().for_each(|hours| forecast.observe(HOUR.mul_f64(*hours)));
        forecast.next().map(|next| next.as_secs_f64() / 3_600.0)
    }

    #[test]
    fn sch_11_what_repeats_alternates_or_drifts_is_foreseen() {
        for (hours, expected) in [
            (&[6.0, 6.0, 6.0][..], None),
            (&[6.0; 4], Some(6.0)),
            (&[6.0, 6.01, 5.99, 6.0, 6.005], Some(6.0)),
            (&[8.0, 16.0, 8.0, 16.0, 8.0, 16.0], Some(8.0)),
            (&[8.0, 16.0, 8.0, 16.0, 8.0, 16.0, 8.0], Some(16.0)),
            (&[5.0, 6.0, 7.0, 8.0, 9.0], Some(10.0)),
        ] {
            let next = after(hours);
            let close = match (next, expected) {
                (Some(next), Some(expected)) => (next - expected).abs() < 0.05 * expected,
                (next, expected) => next == expected,
            };
            assert!(close, "{hours:?}: {next:?}");
        }
    }

    proptest! {
        /// Whatever was seen, the forecast is no further from it than its own spread.
        #[test]
        fn sch_11_a_forecast_stays_near_what_was_seen(
            hours in prop::collection::vec(0.0..1_000_000.0f64, 4..100),
        ) {
            let (low, high) = hours.iter().fold((f64::MAX, 0.0f64), |(low, high), hours| {
                (low.min(*hours), high.max(*hours))
            });
            let next = after(&hours).unwrap();
            let spread = high - low + 1e-6 * high;
            prop_assert!(next >= low - spread && next <= high + spread, "{next}");
        }
    }

    #[test]
    fn sch_11_the_longest_idle_time_is_no_trouble() {
        let mut forecast = IdleForecast::default();
        (0..10).for_each(|_| forecast.observe(Duration::MAX));
        _ = forecast.next();
        forecast.observe(Duration::ZERO);
        _ = forecast.next();
    }
}
