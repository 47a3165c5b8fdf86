//! A caller's times in the server's terms.

use std::time::Duration;

use fc_core::Timestamp;

/// How long after now `at` is, microseconds: the server adds it to its own clock, so that the machines'
/// clocks need not agree. What passes until then makes it later, never earlier.
pub(super) fn delay_us(at: Timestamp, now: Timestamp) -> i64 {
    let delay_ms = at.as_unix_millis().saturating_sub(now.as_unix_millis());
    i64::try_from(delay_ms.saturating_mul(1_000)).unwrap_or(FOREVER_US).min(FOREVER_US)
}

/// A duration for the server.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(FOREVER_US).min(FOREVER_US)
}

/// A thousand years: the server can add it to any time of ours.
const FOREVER_US: i64 = 1_000 * 366 * 86_400 * 1_000_000;

pub(super) fn to_sql(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_millis()).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or_default())
}
