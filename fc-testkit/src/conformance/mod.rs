//! Suites that prove a driver: plain async cases, chosen by what the driver declares.
//!
//! A driver's author needs one file: see [`store_conformance!`](crate::store_conformance) and
//! [`queue_conformance!`](crate::queue_conformance),
//! [`runtime_conformance!`](crate::runtime_conformance). Each case has a deliberately broken driver
//! in [`broken`](crate::broken) that fails it, and no other.

mod pieces;
pub mod queue;
pub mod runtime;
pub mod store;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use fc_core::{Clock, ClockExt, SystemClock};
use futures_util::future::BoxFuture;

/// Whether a driver keeps a rule; if not, how it breaks it. A case that does not concern a driver,
/// because it declares less, is kept.
pub type Verdict = Result<(), String>;

/// One rule, and how it is tried out.
#[derive(Clone, Copy)]
pub struct Case<S: ?Sized> {
    /// The rule.
    pub name: &'static str,
    run: for<'s> fn(&'s S) -> BoxFuture<'s, Verdict>,
}

impl<S: ?Sized> Case<S> {
    /// Tries the rule out, for a minute at most.
    ///
    /// # Errors
    ///
    /// How the subject breaks it.
    pub async fn run(&self, subject: &S) -> Verdict {
        bounded((self.run)(subject)).await
    }
}

impl<S: ?Sized> Debug for Case<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A case, for a minute at most.
///
/// # Errors
///
/// How the subject breaks the rule, or that the case has not come to an end.
pub async fn bounded(case: impl Future<Output = Verdict>) -> Verdict {
    const CASE_MAX: Duration = Duration::from_secs(60);
    let clock = SystemClock::new();
    let verdict = clock.with_deadline(clock.now() + CASE_MAX, case).await;
    verdict.unwrap_or_else(|_| Err(format!("the case does not end within {CASE_MAX:?}")))
}

/// What anything in a case may take before it counts as never coming.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `future`, within [`PATIENCE`].
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> Result<F::Output, String> {
    let clock = SystemClock::new();
    let answer = clock.with_deadline(clock.now() + PATIENCE, future).await;
    answer.map_err(|_| format!("{what}: nothing within {PATIENCE:?}"))
}

// By value, so that a case can write what must be in place.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, is: T, must: T) -> Verdict {
    if is == must { Ok(()) } else { Err(format!("{what}: is {is:?}, must be {must:?}")) }
}

pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

/// The value of an operation that must succeed.
pub(crate) fn done<T>(what: &str, result: fc_core::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

/// Checks that an operation failed with this kind.
pub(crate) fn refused<T: Debug>(
    what: &str,
    result: fc_core::Result<T>,
    kind: fc_core::ErrorKind,
) -> Verdict {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        other => Err(format!("{what}: is {other:?}, must be an error of kind {kind:?}")),
    }
}
