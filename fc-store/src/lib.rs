//! Reference stores.
//!
//! [`MemoryStore`] keeps records in this process, and loses them with it. `RedbStore` (feature
//! `redb`) keeps them in one file of this machine, synced before a write returns.
//! `postgres::PostgresStore` (feature `postgres`) keeps them in a PostgreSQL database.
//! `NatsStore` (feature `nats`) keeps them on NATS JetStream, for several processes.

mod contract;
#[cfg(feature = "redb")]
mod embedded;
mod memory;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
mod watch;

#[cfg(feature = "redb")]
pub use embedded::{RedbConfig, RedbStore};
pub use memory::MemoryStore;
#[cfg(feature = "nats")]
pub use nats::{NatsStore, NatsStoreConfig};
