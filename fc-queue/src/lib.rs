//! Asynchronous invocation: what is accepted is durable, run at least once, and ends exactly once.

pub mod core;
pub mod destination;
pub mod driver;
