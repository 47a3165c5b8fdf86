//! Points in time as arguments: policies compare them, only a [`Clock`](crate::Clock) makes them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a clock's monotonic axis: nanoseconds since that clock's origin.
///
/// Two instants are comparable only if the same [`Clock`](crate::Clock) made them.
///
/// ```
/// use std::time::Duration;
/// use fc_core::Instant;
/// let start = Instant::from_nanos(1_000);
/// assert_eq!((start + Duration::from_nanos(500)) - start, Duration::from_nanos(500));
/// assert_eq!(start - Instant::MAX, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ORIGIN: Self = Self(0);
    /// Later than any instant a clock gives: "no deadline".
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since the clock's origin.
    pub const fn since_origin(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at [`Instant::MAX`].
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero if `earlier` is not earlier.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAX { f.write_str("never") } else { self.since_origin().fmt(f) }
    }
}

/// Wall-clock time: milliseconds since the Unix epoch. For ids, records and logs, never for
/// time-outs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time `millis` milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_unix_seconds(self) -> u64 {
        self.0 / 1000
    }
}
