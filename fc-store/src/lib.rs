//! Reference stores.
//!
//! [`MemoryStore`] keeps records in this process, and loses them with it.

mod memory;
mod watch;

pub use memory::MemoryStore;
