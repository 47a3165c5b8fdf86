//! Traces that are made up: Poisson, day and night, bursts; few functions have most invocations.

mod pattern;
mod popularity;

use std::time::Duration;

use fc_core::{Error, Result};

pub use pattern::Pattern;

use self::popularity::Popularity;
use super::trace::{ArrivalList, FUNCTIONS_MAX};
use super::{Arrival, Random, ReadOptions, Trace, TraceFunction, memory_class_mb};

/// What a made-up trace is like.
///
/// The default is 100 functions with 10 invocations a second over an hour, as a Poisson process;
/// its shapes are those of Azure's functions in Shahrad et al., *Serverless in the Wild*, USENIX
/// ATC 2020.
///
/// ```
/// use fc_sched::sim::GeneratorConfig;
/// let config = GeneratorConfig { rate: 2.0, ..GeneratorConfig::default() };
/// let trace = config.generate(1)?;
/// assert_eq!(trace, config.generate(1)?);
/// assert!((6_800..7_600).contains(&trace.arrivals().len()));
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct GeneratorConfig {
    /// How invocations come.
    pub pattern: Pattern,
    /// Functions, `f0` the most popular.
    pub functions: u32,
    /// Accounts, which the functions are dealt to in turn; not over the number of functions.
    pub accounts: u32,
    /// Invocations a second, of all functions together, in the mean.
    pub rate: f64,
    /// How long the trace is.
    pub length: Duration,
    /// Zipf's exponent: the function in place n has 1/n^`popularity` of the first one's
    /// invocations; 0 makes all alike. 1.5 by default, by which the first fifth of 100 functions
    /// has 90 % (Azure's 18.6 % most popular have 99.6 %, figure 5b).
    pub popularity: f64,
    /// Half of the functions are faster; 684 ms by default (section 3.4: log mean -0.38).
    pub duration_median: Duration,
    /// How far functions differ, as the deviation of the logarithm; 2.36 by default (the same).
    pub duration_sigma_between: f64,
    /// How far the invocations of one function differ, likewise; 0.5 by default, an assumption.
    pub duration_sigma_within: f64,
    /// No invocation takes longer; 10 minutes by default, Azure's longest of that time.
    pub duration_max: Duration,
    /// Half of the functions have less memory; 170 MB by default (section 3.5).
    pub memory_median_mb: f64,
    /// How far functions differ, as the deviation of the logarithm; 0.67 by default, by which
    /// nine in ten have at most 400 MB (the same).
    pub memory_sigma: f64,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            pattern: Pattern::Poisson,
            functions: 100,
            accounts: 1,
            rate: 10.0,
            length: Duration::from_secs(3_600),
            popularity: 1.5,
            duration_median: Duration::from_millis(684),
            duration_sigma_between: 2.36,
            duration_sigma_within: 0.5,
            duration_max: Duration::from_secs(600),
            memory_median_mb: 170.0,
            memory_sigma: 0.67,
        }
    }
}

impl GeneratorConfig {
    /// The trace of that seed: the same configuration and seed give the same trace.
    ///
    /// # Errors
    ///
    /// A number without meaning or over its limit: 1 to [`FUNCTIONS_MAX`] functions, a rate over
    /// 0, a share and a swing within 0 to 1, deviations and an exponent within 0 to 10, times of
    /// at least 1 ms, an [`Arrival::DURATION_MAX`], and more invocations than
    /// [`ReadOptions::invocations_max`] by default.
    pub fn generate(&self, seed: u64) -> Result<Trace> {
        self.validate()?;
        let mut random = Random::from_seed(seed);
        let mut functions = Vec::with_capacity(self.functions as usize);
        let mut medians = Vec::with_capacity(self.functions as usize);
        for number in 0..self.functions {
            // A function over the largest instance has the largest.
            let memory = random.log_normal(self.memory_median_mb, self.memory_sigma);
            functions.push(TraceFunction {
                name: format!("f{number}"),
                account: number % self.accounts,
                memory_mb: memory_class_mb(memory.min(MEMORY_MB_MAX).ceil() as u64)?,
                concurrency: 1,
            });
            let (median, sigma) = (self.duration_median, self.duration_sigma_between);
            medians.push(random.log_normal_time(median, sigma, self.duration_max));
        }
        let popularity = Popularity::zipf(self.functions, self.popularity);
        let mut draft = Draft {
            arrivals: ArrivalList::new(ReadOptions::default().invocations_max),
            config: self,
            medians,
        };
        let length_s = self.length.as_secs_f64();
        match self.pattern {
            Pattern::Poisson => draft.poisson(self.rate, |_| 1.0, &popularity, &mut random)?,
            Pattern::Diurnal { period, swing } => {
                // Thinned: candidates at the highest rate, kept with the rate of their time.
                let (period_s, highest) = (period.as_secs_f64(), 1.0 + swing);
                let keep = |at_s: f64| {
                    (1.0 - swing * (std::f64::consts::TAU * at_s / period_s).cos()) / highest
                };
                draft.poisson(self.rate * highest, keep, &popularity, &mut random)?;
            }
            Pattern::Bursts { share, size, length } => {
                draft.poisson(self.rate * (1.0 - share), |_| 1.0, &popularity, &mut random)?;
                let bursts = self.rate * share / f64::from(size);
                let mut at_s = next(0.0, bursts, &mut random);
                while at_s < length_s {
                    let function = popularity.draw(&mut random);
                    for _ in 0..size {
                        let at_s = at_s + random.uniform() * length.as_secs_f64();
                        if at_s < length_s {
                            draft.push(at_s, function, &mut random)?;
                        }
                    }
                    at_s = next(at_s, bursts, &mut random);
                }
            }
        }
        Trace::new(functions, draft.arrivals.into_arrivals(Some(0)))
    }

    fn validate(&self) -> Result<()> {
        let range = |field: &str, value: f64, least: f64, most: f64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(field, format_args!("{value} is outside {least} to {most}")))
        };
        range("functions", self.functions.into(), 1.0, FUNCTIONS_MAX as f64)?;
        range("accounts", self.accounts.into(), 1.0, self.functions.into())?;
        range("length", self.length.as_secs_f64(), 1e-3, LENGTH_S_MAX)?;
        let most = ReadOptions::default().invocations_max as f64;
        range("rate", self.rate, 1e-9, most)?;
        range("rate * length", self.rate * self.length.as_secs_f64(), 0.0, most)?;
        range("popularity", self.popularity, 0.0, 10.0)?;
        let longest = Arrival::DURATION_MAX.as_secs_f64();
        range("duration_max", self.duration_max.as_secs_f64(), 1e-3, longest)?;
        range("duration_median", self.duration_median.as_secs_f64(), 0.0, longest)?;
        range("duration_sigma_between", self.duration_sigma_between, 0.0, 10.0)?;
        range("duration_sigma_within", self.duration_sigma_within, 0.0, 10.0)?;
        range("memory_median_mb", self.memory_median_mb, 0.0, MEMORY_MB_MAX)?;
        range("memory_sigma", self.memory_sigma, 0.0, 10.0)?;
        match self.pattern {
            Pattern::Poisson => Ok(()),
            Pattern::Diurnal { period, swing } => {
                range("swing", swing, 0.0, 1.0)?;
                range("period", period.as_secs_f64(), 1e-3, LENGTH_S_MAX)
            }
            Pattern::Bursts { share, size, length } => {
                range("share", share, 0.0, 1.0)?;
                range("size", size.into(), 1.0, 1e6)?;
                range("burst length", length.as_secs_f64(), 0.0, LENGTH_S_MAX)
            }
        }
    }
}

/// The largest instance (QUO-5).
const MEMORY_MB_MAX: f64 = 32.0 * 1024.0;

/// Ten years of seconds, at which a double still resolves a tenth of a microsecond.
const LENGTH_S_MAX: f64 = 315_360_000.0;

/// When the next arrival of a Poisson process comes.
fn next(at_s: f64, rate: f64, random: &mut Random) -> f64 {
    if rate > 0.0 { at_s + random.exponential() / rate } else { f64::INFINITY }
}

/// A trace under way.
struct Draft<'c> {
    arrivals: ArrivalList,
    config: &'c GeneratorConfig,
    /// The median duration of each function.
    medians: Vec<Duration>,
}

impl Draft<'_> {
    /// A Poisson process over the trace's length, of which each arrival is kept with a chance.
    fn poisson(
        &mut self,
        rate: f64,
        keep: impl Fn(f64) -> f64,
        popularity: &Popularity,
        random: &mut Random,
    ) -> Result<()> {
        let length_s = self.config.length.as_secs_f64();
        let mut at_s = next(0.0, rate, random);
        while at_s < length_s {
            let chance = keep(at_s);
            if chance >= 1.0 || random.uniform() < chance {
                self.push(at_s, popularity.draw(random), random)?;
            }
            at_s = next(at_s, rate, random);
        }
        Ok(())
    }

    fn push(&mut self, at_s: f64, function: u32, random: &mut Random) -> Result<()> {
        let GeneratorConfig { duration_sigma_within: sigma, duration_max, .. } = *self.config;
        let duration = match self.medians.get(function as usize) {
            Some(&median) => random.log_normal_time(median, sigma, duration_max),
            None => Duration::ZERO,
        };
        self.arrivals.push((at_s * 1e9) as i64, function, duration.as_micros() as u64)
    }
}

#[cfg(test)]
mod tests;
