//! Invocations as they are read: bounded, then sorted, then counted from the first.

use std::time::Duration;

use fc_core::{Error, Instant, Result};

use crate::sim::Random;

use super::Arrival;

/// Invocations in the order of the input.
#[derive(Debug)]
pub(in crate::sim) struct ArrivalList {
    arrivals: Vec<Arrival>,
    most: u64,
}

/// Where time 0 lies on an [`ArrivalList`]'s axis, which has times before it too.
const ZERO_NS: u64 = 1 << 63;

impl ArrivalList {
    /// A list of at most `most`.
    pub(in crate::sim) fn new(most: u64) -> Self {
        Self { arrivals: Vec::new(), most }
    }

    /// Whether `more` are too many.
    fn check(&self, more: u64) -> Result<u64> {
        let count = more.saturating_add(self.arrivals.len() as u64);
        if count > self.most {
            return Err(Error::over_limit("trace", "invocations", self.most, count));
        }
        Ok(count)
    }

    /// Room for `more`, or an error rather than an abort.
    pub(super) fn reserve(&mut self, more: u64) -> Result<()> {
        let count = self.check(more)?;
        self.arrivals.try_reserve_exact(usize::try_from(more).unwrap_or(usize::MAX)).map_err(|_| {
            let what = format!("no memory for {count} invocations of 16 bytes");
            Error::invalid("trace", what)
        })
    }

    /// One invocation at `at_ns` since whatever the input counts from. The function's number and
    /// the duration are within their limits.
    pub(in crate::sim) fn push(
        &mut self,
        at_ns: i64,
        function: u32,
        duration_us: u64,
    ) -> Result<()> {
        if self.arrivals.len() == self.arrivals.capacity() {
            let more = (self.arrivals.len() as u64).clamp(1024, self.most.max(1024));
            let left = self.most.saturating_sub(self.arrivals.len() as u64);
            self.reserve(more.min(left).max(1))?;
        }
        let at = Instant::from_nanos(at_ns as u64 ^ ZERO_NS);
        self.arrivals.push(Arrival::from_micros(at, function, duration_us));
        Ok(())
    }

    /// `counts` invocations of each function somewhere in the bin that begins at `start_ns`, each
    /// equally likely at each nanosecond, with `duration_us` of each. Bins come in the order of
    /// time and do not overlap.
    pub(super) fn spread(
        &mut self,
        start_ns: i64,
        width: Duration,
        counts: &[(u32, u32)],
        random: &mut Random,
        mut duration_us: impl FnMut(u32, &mut Random) -> u64,
    ) -> Result<()> {
        let total = counts.iter().map(|&(_, count)| u64::from(count)).fold(0, u64::saturating_add);
        self.check(total)?;
        let begun = self.arrivals.len();
        let width_ns = width.as_nanos() as u64;
        for &(function, count) in counts {
            for _ in 0..count {
                let at_ns = start_ns.saturating_add_unsigned(random.below(width_ns));
                let duration_us = duration_us(function, random);
                self.push(at_ns, function, duration_us)?;
            }
        }
        self.arrivals[begun..].sort_by_key(|arrival| arrival.at);
        Ok(())
    }

    /// In order, those of the same time in the order of the input, from `start_ns` or, without
    /// it, from the earliest.
    pub(in crate::sim) fn into_arrivals(self, start_ns: Option<i64>) -> Vec<Arrival> {
        let mut arrivals = self.arrivals;
        if !arrivals.is_sorted_by_key(|arrival| arrival.at) {
            arrivals.sort_by_key(|arrival| arrival.at);
        }
        let start = match start_ns {
            Some(start_ns) => start_ns as u64 ^ ZERO_NS,
            None => arrivals.first().map_or(ZERO_NS, |first| first.at.as_nanos()),
        };
        for arrival in &mut arrivals {
            arrival.at = Instant::from_nanos(arrival.at.as_nanos().saturating_sub(start));
        }
        arrivals
    }
}
