//! Traces: who was invoked when, for how long, on instances of what size.

mod arrivals;
mod azure2019;
mod azure2021;
mod format;
mod functions;
mod huawei2023;
mod number;
mod plain;
mod rows;
mod write;

use std::time::Duration;

use fc_core::{Error, Instant, Resources, Result};

pub(super) use arrivals::ArrivalList;
pub use format::{ReadOptions, Reading, TraceFormat};

use super::instance_size;

/// Functions that a trace may have.
pub const FUNCTIONS_MAX: usize = 1_000_000;

/// What is assumed of an invocation whose length the data set does not give: 684 ms, the median
/// of the log-normal fit to Azure's functions, exp(-0.38) s (Shahrad et al., *Serverless in the
/// Wild*, USENIX ATC 2020, section 3.4).
pub const ASSUMED_DURATION: Duration = Duration::from_millis(684);

/// What is assumed of a function whose memory the data set does not give: "50% of the
/// applications allocate at most 170MB" (the same, section 3.5), rounded up to 192 MB.
pub const ASSUMED_MEMORY_MB: u32 = 192;

/// Functions and their invocations in the order of time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    functions: Vec<TraceFunction>,
    arrivals: Vec<Arrival>,
}

impl Trace {
    /// A trace of these functions and invocations.
    ///
    /// # Errors
    ///
    /// Too many functions, an invocation of none of them, or one that comes before its predecessor.
    pub fn new(functions: Vec<TraceFunction>, arrivals: Vec<Arrival>) -> Result<Self> {
        let (count, most) = (functions.len(), FUNCTIONS_MAX);
        if count > most {
            return Err(Error::over_limit("trace", "functions", most as u64, count as u64));
        }
        let mut before = Instant::ORIGIN;
        for (index, arrival) in arrivals.iter().enumerate() {
            if arrival.function() as usize >= count {
                let what = format!(
                    "invocation {index} is of function {}, there are {count}",
                    arrival.function()
                );
                return Err(Error::invalid("arrivals", what));
            }
            if arrival.at < before {
                let what = format!(
                    "invocation {index} at {:?} comes before its predecessor at {before:?}",
                    arrival.at
                );
                return Err(Error::invalid("arrivals", what));
            }
            before = arrival.at;
        }
        Ok(Self { functions, arrivals })
    }

    /// The functions; an [`Arrival`] names one by its place here.
    pub fn functions(&self) -> &[TraceFunction] {
        &self.functions
    }

    /// The invocations: sorted by time, those of the same time in the order of the input.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// From the trace's start to its last invocation.
    pub fn span(&self) -> Duration {
        self.arrivals.last().map_or(Duration::ZERO, |last| last.at.since_origin())
    }
}

/// A function of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceFunction {
    /// As in the input; unique within its account.
    pub name: String,
    /// Whose it is: the same number, the same account.
    pub account: u32,
    /// Memory of an instance, a legal class ([`memory_class_mb`](super::memory_class_mb)).
    pub memory_mb: u32,
    /// Invocations that one instance runs at once.
    pub concurrency: u32,
}

impl TraceFunction {
    /// What an instance takes of a node ([`instance_size`]).
    pub fn resources(&self) -> Resources {
        instance_size(self.memory_mb)
    }
}

/// One invocation, in 16 bytes: a day of a large trace has hundreds of millions.
///
/// ```
/// use std::time::Duration;
/// use fc_core::Instant;
/// use fc_sched::sim::Arrival;
/// let arrival = Arrival::new(Instant::from_nanos(5), 3, Duration::from_micros(250))?;
/// assert_eq!((arrival.at.as_nanos(), arrival.function()), (5, 3));
/// assert_eq!(arrival.duration_ns(), 250_000);
/// assert_eq!(size_of::<Arrival>(), 16);
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When it comes, since the trace's start.
    pub at: Instant,
    /// The function's number above [`Arrival::DURATION_BITS`], microseconds below.
    packed: u64,
}

impl Arrival {
    /// The longest invocation, FunctionGraph's longest time-out (INV-7): 259,200 s.
    pub const DURATION_MAX: Duration = Duration::from_secs(259_200);
    /// 2^40 µs are 12 days; what is left holds 16 million functions.
    const DURATION_BITS: u32 = 40;

    /// An invocation of `function` at `at` that runs for `duration`, in whole microseconds.
    ///
    /// # Errors
    ///
    /// A function's number over [`FUNCTIONS_MAX`], or a time over [`Arrival::DURATION_MAX`].
    pub fn new(at: Instant, function: u32, duration: Duration) -> Result<Self> {
        if function as usize >= FUNCTIONS_MAX {
            let what = format!("{function} is not below {FUNCTIONS_MAX}");
            return Err(Error::invalid("function", what));
        }
        if duration > Self::DURATION_MAX {
            let value = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            let most = Self::DURATION_MAX.as_millis() as u64;
            return Err(Error::over_limit("duration", "ms", most, value));
        }
        // Below 2^40, by the limit above.
        Ok(Self::from_micros(at, function, duration.as_micros() as u64))
    }

    /// The function's place in [`Trace::functions`].
    pub const fn function(self) -> u32 {
        (self.packed >> Self::DURATION_BITS) as u32
    }

    /// How long it runs once it has an instance.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.duration_us())
    }

    /// The same in nanoseconds.
    pub const fn duration_ns(self) -> u64 {
        self.duration_us() * 1000
    }

    const fn duration_us(self) -> u64 {
        self.packed & ((1 << Self::DURATION_BITS) - 1)
    }

    /// For readers that have checked both.
    pub(super) const fn from_micros(at: Instant, function: u32, duration_us: u64) -> Self {
        debug_assert!(duration_us < 1 << Self::DURATION_BITS);
        Self { at, packed: (function as u64) << Self::DURATION_BITS | duration_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> TraceFunction {
        TraceFunction { name: name.into(), account: 0, memory_mb: 128, concurrency: 1 }
    }

    fn arrival(at: u64, function: u32) -> Arrival {
        Arrival::new(Instant::from_nanos(at), function, Duration::from_millis(1)).unwrap()
    }

    #[test]
    fn an_arrival_keeps_what_it_is_given_up_to_its_limits() {
        let (most, longest) = (FUNCTIONS_MAX as u32 - 1, Arrival::DURATION_MAX);
        let arrival = Arrival::new(Instant::MAX, most, longest).unwrap();
        assert_eq!((arrival.at, arrival.function()), (Instant::MAX, most));
        assert_eq!(arrival.duration(), longest);
        assert!(Arrival::new(Instant::MAX, most + 1, longest).is_err());
        let refused = Arrival::new(Instant::MAX, 0, longest + Duration::from_secs(1)).unwrap_err();
        let expected = "duration: 259201000 ms is over the limit of 259200000";
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn a_trace_is_in_order_and_knows_its_functions() {
        let functions = vec![function("a"), function("b")];
        let sound = Trace::new(functions.clone(), vec![arrival(1, 1), arrival(1, 0)]).unwrap();
        assert_eq!(sound.span(), Duration::from_nanos(1));
        let unknown = Trace::new(functions.clone(), vec![arrival(1, 2)]).unwrap_err();
        assert!(unknown.to_string().contains("invocation 0 is of function 2, there are 2"));
        let disordered = Trace::new(functions, vec![arrival(2, 1), arrival(1, 0)]).unwrap_err();
        assert!(disordered.to_string().contains("invocation 1 at 1ns comes before"));
        assert_eq!(Trace::default().span(), Duration::ZERO);
    }
}
