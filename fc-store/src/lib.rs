//! Reference stores.
//!
//! [`MemoryStore`] keeps records in this process, and loses them with it. `RedbStore` (feature
//! `redb`) keeps them in one file of this machine, synced before a write returns.

mod contract;
#[cfg(feature = "redb")]
mod embedded;
mod memory;
mod watch;

#[cfg(feature = "redb")]
pub use embedded::{RedbConfig, RedbStore};
pub use memory::MemoryStore;
