//! The machine's clock: the one file that reads it.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Clock, Sleep};
use crate::{Instant, Timestamp};

/// The machine's monotonic and wall clocks, with tokio's timer for waiting.
///
/// # Requires
///
/// `sleep_until` must be polled inside a tokio runtime whose time driver is enabled.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

/// Far enough to be "never" for a timer wheel, near enough not to overflow an `Instant`.
const NEVER: Duration = Duration::from_secs(86_400 * 365 * 30);

impl SystemClock {
    /// A clock whose origin is this moment.
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// The machine's instant that corresponds to `at`.
    pub fn to_std(&self, at: Instant) -> std::time::Instant {
        self.origin + at.since_origin().min(NEVER)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::ORIGIN + self.origin.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Box::pin(tokio::time::sleep_until(self.to_std(at).into()))
    }
}
