//! Queue drivers.

#[cfg(feature = "embedded")]
pub mod embedded;
mod memory;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;

pub use memory::MemoryQueue;
