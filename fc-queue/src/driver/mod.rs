//! Queue drivers.

mod anchored;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;

pub use memory::MemoryQueue;
