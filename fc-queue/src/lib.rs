//! Asynchronous invocation: what is accepted is durable, run at least once, and ends exactly once.

mod config;
mod configs;
pub mod core;
pub mod destination;
mod dispatch;
pub mod driver;
mod engine;
mod enqueue;
mod tasks;

pub use config::{EngineConfig, EnginePorts, TaskNews, TaskSink};
pub use engine::Engine;
