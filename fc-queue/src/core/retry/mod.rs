//! Whether and when a task is tried again (ASY-2 to 4, I6, I7; `alibaba-fc.md` 3.2, 3.3).
//!
//! An attempt ends with an [`Outcome`] of one of three classes of failure, each with a schedule and a
//! count of its own:
//!
//! | class | examples | ends by |
//! |---|---|---|
//! | function error | the function reported, crashed, timed out, did not start | its retries, or the age |
//! | throttled | `429`, `503` for want of capacity | the age |
//! | system | the platform failed, or does not know whether the function ran | the age |
//!
//! A system error is tried again even where the function may have run: delivery is at least once.
//!
//! ```
//! use fc_core::{FailureType, Timestamp};
//! use fc_queue::core::retry::{Next, Outcome, Progress, RetryPolicy};
//!
//! let policy = RetryPolicy::function_compute();
//! let accepted = Timestamp::from_unix_millis(1_000_000);
//! let now = Timestamp::from_unix_millis(1_000_700);
//! let first = policy.decide(&Progress::new(accepted), Outcome::Throttled, now, 7);
//! let Next::Retry { at } = first.next else { panic!() };
//! assert!((500..=600).contains(&(at.as_unix_millis() - now.as_unix_millis())));
//!
//! let mut progress = first.progress;
//! for _ in 0..3 {
//!     let failed = Outcome::FunctionError(FailureType::Unhandled);
//!     let decision = policy.decide(&progress, failed, at, 7);
//!     assert!(matches!(decision.next, Next::Retry { .. }));
//!     progress = decision.progress;
//! }
//! let last = policy.decide(&progress, Outcome::FunctionError(FailureType::Unhandled), at, 7);
//! assert_eq!(last.next, Next::Failed { condition: "UnhandledInvocationError" });
//! assert_eq!(last.progress.attempts(), 5);
//! ```

mod budget;
mod decide;
mod delivery;
mod outcome;
mod policy;
mod presets;
mod progress;
mod schedule;

pub use budget::{Bucket, Budget};
pub use decide::{Decision, Next};
pub use delivery::DeliveryPolicy;
pub use outcome::{Class, Outcome};
pub use policy::{Conditions, RetryPolicy};
pub use progress::Progress;
pub use schedule::Schedule;
