//! The time port.

mod deadline;
#[cfg(feature = "system-clock")]
mod system;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

pub use deadline::{Elapsed, WithDeadline};
#[cfg(feature = "system-clock")]
pub use system::SystemClock;

use crate::{Instant, Timestamp};

/// A wait that ends at a point in time.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from: the machine's clock in production, a simulated one in tests.
///
/// # Contract
///
/// `now` never goes back. A `sleep_until` future is ready at the first poll after its instant, and
/// at once if that has passed; it wakes its task without being polled in between. `wall` may jump.
///
/// # Cancel safety
///
/// Dropping a sleep forgets it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current instant on the monotonic axis.
    fn now(&self) -> Instant;

    /// The current wall-clock time.
    fn wall(&self) -> Timestamp;

    /// Waits until `at`. [`Instant::MAX`] never comes.
    fn sleep_until(&self, at: Instant) -> Sleep;
}

/// Conveniences over any [`Clock`].
pub trait ClockExt: Clock {
    /// Runs `future`, but not past `at`.
    ///
    /// The timer is made at the first poll that leaves the future pending: what is ready at once
    /// costs no timer.
    fn with_deadline<'c, F: Future>(&'c self, at: Instant, future: F) -> WithDeadline<'c, F>
    where
        Self: Sized,
    {
        WithDeadline::new(self, at, future)
    }
}

impl<C: Clock> ClockExt for C {}

impl dyn Clock {
    /// [`ClockExt::with_deadline`] for a clock behind a pointer.
    pub fn with_deadline<F: Future>(&self, at: Instant, future: F) -> WithDeadline<'_, F> {
        WithDeadline::new(self, at, future)
    }
}
