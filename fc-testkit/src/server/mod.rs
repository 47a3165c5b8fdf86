//! Private servers for tests: each in a directory of its own, ended with its owner.

#[cfg(feature = "postgres")]
mod postgres;

#[cfg(feature = "postgres")]
pub use postgres::PostgresServer;
