//! Queue drivers.

#[cfg(feature = "nats")]
mod anchored;
#[cfg(feature = "nats")]
pub mod nats;

#[cfg(feature = "nats")]
pub use nats::{NatsQueue, NatsQueueConfig};
