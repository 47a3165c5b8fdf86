//! Queue drivers.

mod anchored;
mod memory;

pub use memory::MemoryQueue;
