//! Drivers behind a network that fails: decorators that keep a port's contract and use all of it.
//!
//! A call may be refused before it does anything, or have an unknown outcome: done, not done, or done
//! some calls later. It may take its time, and what is idempotent may be done twice. Which call has
//! which fate depends on the seed and the number of the call alone, so that the same calls in the same
//! order fail in the same way; time passes by the clock that is given.

mod fate;
mod plan;
mod queue;
mod store;

pub use plan::{FaultCounts, FaultPlan};
pub use queue::FaultyQueue;
pub use store::FaultyStore;
