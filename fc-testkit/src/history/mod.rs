//! What asynchronous invocation promised, judged from what was seen.
//!
//! Clients, witness functions and the platform write [`Event`]s down ([`History`]), each process into
//! a file of its own; [`read`] puts them together, and a [`Judge`] says which of the invariants I1 to
//! I12 and I28 the history breaks, with the smallest part of it that shows so. The run must be over
//! and quiet: what has not happened by then counts as never.
//!
//! ```
//! use fc_testkit::history::{Event, Invariant, Judge, JudgeConfig, Submission, What};
//! let event = |at, what| Event::new(at, what);
//! let submit = Submission::new("s1", "task", "hash");
//! let events = [event(1, What::Submit(submit)), event(2, What::ack("s1"))];
//! let violations = Judge::new(JudgeConfig::default()).judge(&events);
//! // Acknowledged, and nothing became of it.
//! assert_eq!(violations[0].invariant, Invariant::I1);
//! println!("{}", violations[0]);
//! ```

mod boot;
mod event;
mod judge;
mod read;
mod recorder;
mod rules;
mod spans;
mod timeline;

pub use boot::BootClock;
pub use event::{Branch, Destinations, Ending, Event, Outcome, Submission, What};
pub use judge::{Invariant, Judge, JudgeConfig, Schedule, Violation};
pub use read::{ReadError, parse, read};
pub use recorder::History;
