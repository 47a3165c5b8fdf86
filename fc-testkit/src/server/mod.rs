//! Private servers for tests: each in a directory of its own, ended with its owner.

#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "nats")]
mod proxy;

#[cfg(feature = "nats")]
pub use nats::{NatsServer, NatsSettings};
#[cfg(feature = "postgres")]
pub use postgres::PostgresServer;
#[cfg(feature = "nats")]
pub use proxy::Proxy;
