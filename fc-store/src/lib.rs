//! Reference stores.
//!
//! [`MemoryStore`] keeps records in this process, and loses them with it. `RedbStore` (feature
//! `redb`) keeps them in one file of this machine, synced before a write returns.
//! `postgres::PostgresStore` (feature `postgres`) keeps them in a PostgreSQL database.

mod contract;
#[cfg(feature = "redb")]
mod embedded;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod watch;

#[cfg(feature = "redb")]
pub use embedded::{RedbConfig, RedbStore};
pub use memory::MemoryStore;
