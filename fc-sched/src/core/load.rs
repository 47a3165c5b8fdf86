//! How busy a function was since it was last asked.

use std::time::Duration;

use fc_core::Instant;

/// Running requests over time: what scaling policies see of a pool (SCH-4, SCH-11).
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadMeter {
    /// Requests × nanoseconds since the last reading.
    area: u128,
    since: Instant,
    changed: Instant,
    running: u32,
    peak: u32,
    arrivals: u64,
}

/// One reading of a function's load, since the one before.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LoadReading {
    /// Mean number of running requests, weighted by time.
    pub running_mean: f64,
    /// Most running requests at once.
    pub running_peak: u32,
    /// Requests that came.
    pub arrivals: u64,
    /// The time it is about.
    pub over: Duration,
}

impl LoadMeter {
    pub(super) fn new(running: u32, now: Instant) -> Self {
        Self { area: 0, since: now, changed: now, running, peak: running, arrivals: 0 }
    }

    pub(super) fn arrived(&mut self) {
        self.arrivals += 1;
    }

    /// So many run from now on.
    pub(super) fn runs(&mut self, running: u32, now: Instant) {
        self.area += u128::from(self.running) * (now - self.changed).as_nanos();
        self.changed = self.changed.max(now);
        self.running = running;
        self.peak = self.peak.max(running);
    }

    pub(super) fn read(&mut self, now: Instant) -> LoadReading {
        self.runs(self.running, now);
        let over = now - self.since;
        let nanos = over.as_nanos();
        let running_mean = if nanos == 0 {
            f64::from(self.running)
        } else {
            // Rounds below a billionth.
            self.area as f64 / nanos as f64
        };
        let reading =
            LoadReading { running_mean, running_peak: self.peak, arrivals: self.arrivals, over };
        *self = Self::new(self.running, now);
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_weighted_by_time() {
        let second = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
        let mut meter = LoadMeter::new(0, second(0));
        meter.arrived();
        meter.runs(4, second(1));
        meter.runs(0, second(2));
        let reading = meter.read(second(4));
        assert_eq!((reading.running_mean, reading.running_peak, reading.arrivals), (1.0, 4, 1));
        assert_eq!(meter.read(second(5)).running_peak, 0);
    }
}
