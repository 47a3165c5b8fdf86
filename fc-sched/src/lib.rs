//! From an authorised invocation to an instance.
//!
//! [`Scheduler::invoke`](fc_core::Invoke::invoke) is the page to read: resolve, admit, route,
//! acquire, run, hand over. What it decides with is in [`core`], which is pure: a pool of instances
//! per function version (bin-packed slots, a waiting line, a state machine for each instance), the
//! supply of instances (quotas, nodes, a fair line), and policies that can be replaced. The rest of
//! this crate is the thin asynchronous shell that starts and stops what the cores ask for, and tells
//! them what happened.

mod admission;
mod concurrency;
mod config;
pub mod core;
mod decision;
mod lease;
mod nodes;
mod reaper;
mod run;
mod scaling;
mod scheduler;
mod shell;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
mod warm;

pub use config::{Needs, NeedsOf, Policies, SchedulerConfig, SchedulerPorts};
pub use decision::{Decision, DecisionSink, Outcome};
pub use nodes::NodeStatus;
pub use scaling::ProvisionStatus;
pub use scheduler::Scheduler;
pub use shell::Node;
pub use warm::WarmSlot;
