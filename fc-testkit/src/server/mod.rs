//! Private servers for tests: each in a directory of its own, ended with its owner.

#[cfg(feature = "nats")]
mod nats;

#[cfg(feature = "nats")]
pub use nats::{NatsServer, NatsSettings};
