//! The hybrid histogram policy: learn when the next request comes.

use std::time::Duration;

use fc_core::{Error, Instant, Result};

use super::forecast::IdleForecast;
use super::histogram::IdleHistogram;
use super::{Facts, KeepAlive, KeepAliveState, Prewarm, Window};

/// The numbers of a [`HybridHistogram`]. The defaults are those of the paper, where it has some.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HistogramShape {
    /// Width of a bin: 1 min.
    pub bin: Duration,
    /// Bins: 240, which makes a range of 4 h.
    pub bins: u16,
    /// The percentile of the idle times before which no request is expected: 5.
    pub head_percent: u32,
    /// The percentile after which none is expected any more: 99.
    pub tail_percent: u32,
    /// Both ends of the window are moved outwards by this part: 0.1.
    pub margin: f64,
    /// The bins' coefficient of variation from which the histogram says something: 2.
    pub variation_min: f64,
    /// Idle times in the histogram from which it says something. The paper leaves that to the
    /// variation, for which a single one is enough; 10 is ours.
    pub observed_min: u32,
    /// If more than this part of the idle times is beyond the range, they are forecast one by one:
    /// 0.5.
    pub beyond_max: f64,
    /// The margin of such a forecast: 0.15.
    pub forecast_margin: f64,
    /// How long an instance is kept if nothing is known. The paper takes the range; `None`, the
    /// default, is the function's own idle time-out.
    pub standard_keep: Option<Duration>,
}

impl Default for HistogramShape {
    fn default() -> Self {
        Self {
            bin: Duration::from_secs(60),
            bins: 240,
            head_percent: 5,
            tail_percent: 99,
            margin: 0.1,
            variation_min: 2.0,
            observed_min: 10,
            beyond_max: 0.5,
            forecast_margin: 0.15,
            standard_keep: None,
        }
    }
}

/// Learns each function's idle times (Shahrad et al., "Serverless in the Wild", USENIX ATC 2020).
///
/// A histogram of idle times gives a head, before which no request is expected, and a tail. When
/// the function falls idle its instance is stopped at once, started again shortly before the head,
/// and kept until after the tail. If the head is in the first bin, or no later than a start takes,
/// the instance simply stays until after the tail.
///
/// - Most idle times are longer than the range: each is forecast from those before. The paper uses
///   ARIMA; here it is an autoregression of order one, with the paper's margin of 15 %.
/// - Too few idle times, or spread so evenly that they say nothing: the standard time.
/// - An instance that falls idle while the function runs requests: the standard time, too. The
///   function is not idle.
///
/// It overrides a function's idle time-out both ways. Under pressure the one that is idle longest
/// goes first. About 0.7 KB a function with the usual shape.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct HybridHistogram {
    shape: HistogramShape,
}

impl HybridHistogram {
    /// With other numbers than the paper's.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field whose number makes no sense.
    pub fn new(shape: HistogramShape) -> Result<Self> {
        let margins = [("margin", shape.margin), ("forecast_margin", shape.forecast_margin)];
        for (field, margin) in margins {
            if !(0.0..1.0).contains(&margin) {
                return Err(Error::invalid(field, format_args!("{margin} is not in 0 to below 1")));
            }
        }
        if !(0.0..=1.0).contains(&shape.beyond_max) {
            let what = format_args!("{} is not in 0 to 1", shape.beyond_max);
            return Err(Error::invalid("beyond_max", what));
        }
        if !(0.0..=f64::MAX).contains(&shape.variation_min) {
            let what = format_args!("{} is no coefficient of variation", shape.variation_min);
            return Err(Error::invalid("variation_min", what));
        }
        if shape.bin < Duration::from_secs(1) {
            let what = format_args!("{:?} is under the limit of 1 s", shape.bin);
            return Err(Error::invalid("bin", what));
        }
        if !(1..=BINS_MAX).contains(&shape.bins) {
            let what = format_args!("{} is not in 1 to {BINS_MAX}", shape.bins);
            return Err(Error::invalid("bins", what));
        }
        let (head, tail) = (shape.head_percent, shape.tail_percent);
        if !(1..=100).contains(&tail) {
            return Err(Error::invalid("tail_percent", format_args!("{tail} is not in 1 to 100")));
        }
        if !(1..=tail).contains(&head) {
            let what = format_args!("{head} is not in 1 to the tail's {tail}");
            return Err(Error::invalid("head_percent", what));
        }
        Ok(Self { shape })
    }
}

const BINS_MAX: u16 = 1440;

impl KeepAlive for HybridHistogram {
    fn name(&self) -> &'static str {
        "hybrid-histogram"
    }

    fn begin(&self) -> Box<dyn KeepAliveState> {
        Box::new(State {
            shape: self.shape,
            histogram: IdleHistogram::new(self.shape.bins, self.shape.bin),
            forecast: IdleForecast::default(),
            idle_since: None,
            running: false,
            expected: None,
        })
    }
}

#[derive(Debug)]
struct State {
    shape: HistogramShape,
    histogram: IdleHistogram,
    forecast: IdleForecast,
    /// `None` until the function fell idle for the first time.
    idle_since: Option<Instant>,
    running: bool,
    /// What the idle times say of the next one.
    expected: Option<Expected>,
}

/// When a request is expected, margins included, from the moment the function falls idle.
#[derive(Clone, Copy, Debug)]
struct Expected {
    from: Duration,
    to: Duration,
}

impl State {
    fn expect(&self) -> Option<Expected> {
        let Self { shape, histogram, .. } = self;
        if histogram.beyond_share() > shape.beyond_max {
            let next = self.forecast.next()?;
            return Some(around(next, next, shape.forecast_margin));
        }
        let speaks = histogram.within() >= shape.observed_min
            && histogram.variation() >= shape.variation_min;
        let head = histogram.percentile(shape.head_percent).filter(|_| speaks)?;
        let tail = histogram.percentile(shape.tail_percent)?;
        // The head is rounded down to its bin's begin, the tail up to its bin's end.
        Some(around(histogram.edge(head), histogram.edge(tail + 1), shape.margin))
    }
}

fn around(from: Duration, to: Duration, margin: f64) -> Expected {
    let scaled = |time: Duration, by: f64| {
        Duration::try_from_secs_f64(time.as_secs_f64() * by).unwrap_or(Duration::MAX)
    };
    Expected { from: scaled(from, 1.0 - margin), to: scaled(to, 1.0 + margin) }
}

impl KeepAliveState for State {
    fn woke(&mut self, _: &Facts, now: Instant) {
        self.running = true;
        if let Some(since) = self.idle_since {
            self.histogram.observe(now - since);
            self.forecast.observe(now - since);
            self.expected = self.expect();
        }
    }

    fn fell_idle(&mut self, _: &Facts, now: Instant) {
        self.running = false;
        self.idle_since = Some(now);
    }

    fn window(&self, facts: &Facts) -> Window {
        let standard = Window::keep(self.shape.standard_keep.unwrap_or(facts.idle_timeout));
        let Some(expected) = self.expected.filter(|_| !self.running) else {
            return standard;
        };
        // Ready at the head, not begun then.
        match expected.from.checked_sub(facts.start_cost) {
            Some(after) if !after.is_zero() => {
                let keep = expected.to.saturating_sub(after);
                Window { keep: Duration::ZERO, prewarm: Some(Prewarm { after, keep }) }
            }
            _ => Window::keep(expected.to),
        }
    }

    fn worth(&self, _: &Facts, idle_since: Instant) -> u64 {
        idle_since.as_nanos()
    }

    fn evicted(&mut self, _: u64, _: Instant) {}
}

#[cfg(test)]
mod tests {
    use fc_core::Resources;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

    fn facts(start_cost: Duration) -> Facts {
        let size = Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 };
        Facts { idle_timeout: IDLE_TIMEOUT, size, concurrency: 1, start_cost, served: 1 }
    }

    /// What is known after these idle times, with a start of that length.
    fn after(policy: HybridHistogram, idle: &[Duration], start_cost: Duration) -> Window {
        let (mut state, facts) = (policy.begin(), facts(start_cost));
        let mut now = Instant::ORIGIN;
        state.woke(&facts, now);
        for idle in idle {
            state.fell_idle(&facts, now);
            now = now + *idle;
            state.woke(&facts, now);
            assert_eq!(state.window(&facts), Window::keep(IDLE_TIMEOUT), "it runs");
            now = now + MINUTE / 2;
        }
        state.fell_idle(&facts, now);
        state.window(&facts)
    }

    fn minutes(count: usize, minutes: u32) -> Vec<Duration> {
        vec![MINUTE * minutes; count]
    }

    #[test]
    fn sch_11_between_head_and_tail_an_instance_is_there() {
        let policy = HybridHistogram::default();
        // All in the bin of 30 to 31 min: from 27 min on to 34 min 6 s.
        let window = after(policy, &minutes(20, 30), Duration::ZERO);
        let (after_27, keep) = (MINUTE * 27, Duration::from_secs(7 * 60 + 6));
        let prewarm = Some(Prewarm { after: after_27, keep });
        assert_eq!(window, Window { keep: Duration::ZERO, prewarm });
    }

    #[test]
    fn sch_8_the_longer_a_start_took_the_earlier_it_begins() {
        let start = Duration::from_secs(40);
        let window = after(HybridHistogram::default(), &minutes(20, 30), start);
        // 40 s before the 27 min, and the end stays.
        let (after, keep) = (MINUTE * 27 - start, Duration::from_secs(7 * 60 + 6) + start);
        assert_eq!(window.prewarm, Some(Prewarm { after, keep }));
    }

    #[test]
    fn sch_11_without_a_gap_worth_a_stop_it_stays_until_after_the_tail() {
        let policy = HybridHistogram::default();
        // Head in the first bin; or a head at 54 s, with a start of 54 s.
        let tail_1 = Window::keep(Duration::from_secs(66));
        assert_eq!(after(policy, &minutes(20, 0), Duration::ZERO), tail_1);
        let tail_2 = Window::keep(Duration::from_secs(132));
        assert_eq!(after(policy, &minutes(20, 1), Duration::from_secs(54)), tail_2);
    }

    #[test]
    fn sch_3_what_says_nothing_leaves_the_configured_time() {
        let policy = HybridHistogram::default();
        let standard = Window::keep(IDLE_TIMEOUT);
        assert_eq!(after(policy, &[], Duration::ZERO), standard);
        assert_eq!(after(policy, &minutes(9, 30), Duration::ZERO), standard, "too few");
        let spread: Vec<Duration> = (0..480).map(|minute| MINUTE * (minute % 240)).collect();
        assert_eq!(after(policy, &spread, Duration::ZERO), standard, "any minute is as likely");
        let keep = Some(MINUTE * 20);
        let policy = HybridHistogram::new(HistogramShape { standard_keep: keep, ..policy.shape });
        let (mut state, facts) = (policy.unwrap().begin(), facts(Duration::ZERO));
        state.fell_idle(&facts, Instant::ORIGIN);
        assert_eq!(state.window(&facts), Window::keep(MINUTE * 20));
    }

    #[test]
    fn sch_11_beyond_the_range_each_idle_time_is_forecast() {
        let policy = HybridHistogram::default();
        let window = after(policy, &minutes(5, 10 * 60), Duration::ZERO);
        let prewarm = window.prewarm.unwrap();
        let close = |is: Duration, minutes: u64| is.abs_diff(MINUTE * minutes as u32) < MINUTE;
        assert!(close(prewarm.after, 510) && close(prewarm.keep, 180), "{window:?}");
        // 8 h and 16 h in turn.
        let turns = [minutes(1, 480), minutes(1, 960)].concat().repeat(4);
        let prewarm = after(policy, &turns, Duration::ZERO).prewarm.unwrap();
        assert!(close(prewarm.after, 408), "{prewarm:?}");
        // Half beyond is not most.
        let half = [minutes(10, 10 * 60), minutes(10, 30)].concat();
        assert_eq!(after(policy, &half, Duration::ZERO).prewarm.unwrap().after, MINUTE * 27);
        assert_eq!(after(policy, &minutes(3, 600), Duration::ZERO), Window::keep(IDLE_TIMEOUT));
    }

    #[test]
    fn sch_11_a_number_that_makes_no_sense_is_refused_by_name() {
        let shape = HistogramShape::default();
        for (shape, expected) in [
            (HistogramShape { bins: 0, ..shape }, "bins: 0 is not in 1 to 1440"),
            (HistogramShape { bins: 1441, ..shape }, "bins: 1441 is not in 1 to 1440"),
            (
                HistogramShape { bin: MINUTE / 61, ..shape },
                "bin: 983.606557ms is under the limit of 1 s",
            ),
            (HistogramShape { margin: 1.0, ..shape }, "margin: 1 is not in 0 to below 1"),
            (
                HistogramShape { forecast_margin: f64::NAN, ..shape },
                "forecast_margin: NaN is not in 0 to below 1",
            ),
            (HistogramShape { beyond_max: 1.5, ..shape }, "beyond_max: 1.5 is not in 0 to 1"),
            (
                HistogramShape { variation_min: f64::INFINITY, ..shape },
                "variation_min: inf is no coefficient of variation",
            ),
            (HistogramShape { tail_percent: 101, ..shape }, "tail_percent: 101 is not in 1 to 100"),
            (
                HistogramShape { head_percent: 100, ..shape },
                "head_percent: 100 is not in 1 to the tail's 99",
            ),
        ] {
            assert_eq!(HybridHistogram::new(shape).unwrap_err().message(), expected);
        }
        assert_eq!(HybridHistogram::new(shape).unwrap(), HybridHistogram::default());
    }

    proptest! {
        /// Of the idle times it learned, at most 5 % end before the head and 1 % after the tail.
        #[test]
        fn sch_11_the_window_covers_what_was_learned(
            base in 2u64..200, spread in 1u64..20, jitter in prop::collection::vec(0u64..1_000, 20..200),
        ) {
            let idle: Vec<Duration> =
                jitter.iter().map(|jitter| MINUTE * (base + jitter % spread) as u32).collect();
            let window = after(HybridHistogram::default(), &idle, Duration::ZERO);
            let prewarm = window.prewarm.unwrap();
            let early = idle.iter().filter(|idle| **idle < prewarm.after).count();
            let late = idle.iter().filter(|idle| **idle > prewarm.after + prewarm.keep).count();
            prop_assert!(early * 20 <= idle.len() && late * 100 <= idle.len(), "{window:?}");
            prop_assert!(window.keep.is_zero());
        }

        #[test]
        fn sch_11_no_idle_times_make_it_panic(
            idle in prop::collection::vec(any::<u64>(), 0..60), start in any::<u64>(),
        ) {
            let idle: Vec<Duration> = idle.into_iter().map(Duration::from_nanos).collect();
            let mut state = HybridHistogram::default().begin();
            let facts = facts(Duration::from_nanos(start));
            for idle in idle {
                state.woke(&facts, Instant::from_nanos(idle.as_nanos() as u64));
                _ = state.window(&facts);
                state.fell_idle(&facts, Instant::from_nanos(start));
                _ = state.window(&facts);
            }
        }
    }
}
