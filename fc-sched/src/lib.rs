//! From an authorised invocation to an instance.
//!
//! [`Scheduler::invoke`](fc_core::Invoke::invoke) is the page to read: resolve, admit, route,
//! acquire, run, hand over. What it decides with is in [`core`], which is pure: a pool of instances
//! per function version, bin-packed slots, a waiting line, and a state machine for each instance.
//! The rest of this crate is the thin asynchronous shell that starts and stops what the core asks
//! for, and tells it what happened.

mod admission;
pub mod core;
mod lease;
mod reaper;
mod run;
mod scheduler;
mod shell;

pub use scheduler::{Scheduler, SchedulerConfig, SchedulerPorts};
