//! Queue drivers.

mod anchored;
#[cfg(feature = "embedded")]
pub mod embedded;
mod memory;

pub use memory::MemoryQueue;
