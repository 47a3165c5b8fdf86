//! Sessions with a PostgreSQL server, for the queue and, included by its path, for the store.

mod alone;
mod config;
mod failure;
mod group;
mod migrate;
mod pool;
mod session;
mod tls;

pub use config::PostgresConfig;
pub(crate) use failure::failed;
pub(crate) use group::{Group, Job, Work, take_front};
pub(crate) use migrate::{Migrations, migrate};
pub(crate) use pool::Pool;
pub(crate) use session::{Connector, Notifications, Session};
