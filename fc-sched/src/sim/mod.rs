//! The simulator: the scheduler's decisions under virtual time, fed by a trace, judged in a table.
//!
//! A [`Trace`] is read ([`TraceFormat::read`]) or made up ([`GeneratorConfig::generate`]); a
//! [`SimConfig`] says what the platform has; [`simulate`] runs one policy over the trace and gives
//! an [`Outcome`]; [`report`] shows several of them side by side. Time and randomness are
//! arguments: the same trace, configuration and seed give the same outcome.

mod chaos;
mod config;
mod engine;
mod generate;
mod policy_name;
mod random;
pub mod report;
mod run;
mod size;
pub mod trace;

pub use chaos::{Broken, Chaos, Invariant, Neighbours, Sabotage};
pub use config::{ColdStart, SimConfig};
pub use generate::{GeneratorConfig, Pattern};
pub use policy_name::PolicyName;
pub use random::Random;
pub use report::Outcome;
pub use run::simulate;
pub use size::{instance_size, memory_class_mb};
pub use trace::{Arrival, ReadOptions, Reading, Trace, TraceFormat, TraceFunction};
