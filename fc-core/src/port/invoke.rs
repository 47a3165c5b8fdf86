//! Invoking a function.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Context, Invocation, Reply, Result};

/// Whoever can carry out an invocation: the scheduler, an enqueuer, a test.
#[async_trait]
pub trait Invoke: Debug + Send + Sync + 'static {
    /// Carries out `invocation` and answers.
    ///
    /// The function's own failure is an `Ok` with [`Reply::failure`] if the function answered, and
    /// an error that blames [`Function`](crate::Blame::Function) if it could not.
    ///
    /// # Errors
    ///
    /// An error of retry class `Safe` or `After` promises that the function did not run (I4).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the reply's body before its end, is the caller going away: the
    /// invocation is cancelled and everything that it held is freed (INV-8).
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply>;
}
