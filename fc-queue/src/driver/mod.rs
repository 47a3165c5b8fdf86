//! Queue drivers.

mod anchored;
mod memory;
#[cfg(feature = "nats")]
pub mod nats;

pub use memory::MemoryQueue;
#[cfg(feature = "nats")]
pub use nats::{NatsQueue, NatsQueueConfig};
