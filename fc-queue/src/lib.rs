//! Asynchronous invocation: what is accepted is durable, run at least once, and ends exactly once.
//!
//! [`Engine`] is an [`Invoke`](fc_core::Invoke) that queues and answers 202, and the dispatcher that
//! runs what is queued through another `Invoke`, the scheduler. Between them:
//!
//! - [`core::retry`]: whether and when an attempt is made again, with presets of the clouds.
//! - [`core::destination`] and [`destination`]: where results go, in which words, and what brings them.
//! - [`driver`]: queues in memory, in files of this machine, on NATS JetStream, in PostgreSQL.
//!
//! A queue of your own is a [`Queue`](fc_core::Queue); `fc_testkit::queue_conformance!` proves it.

mod anchored;
mod config;
mod configs;
pub mod core;
mod counters;
pub mod destination;
mod dispatch;
pub mod driver;
mod engine;
mod enqueue;
mod fit;
mod tasks;

pub use config::{EngineConfig, EnginePorts, TaskNews, TaskSink};
pub use counters::{
    AttemptCounters, DeliveryCounters, EndCounters, EngineCounters, SubmissionCounters,
};
pub use engine::Engine;
