//! Where the server keeps queued invocations and their records: `--queue`, `--store`.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use fc::core::{Clock, Queue, Store};
use fc::queue::driver::MemoryQueue;
use fc::queue::driver::embedded::{EmbeddedConfig, EmbeddedQueue};
use fc::store::{MemoryStore, RedbConfig, RedbStore};

use super::Failure;

/// Where something is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// This process's memory.
    Memory,
    /// The data directory.
    Embedded,
    /// A NATS server with JetStream; the URL may hold a password.
    Nats(String),
    /// A PostgreSQL server; the URL may hold a password.
    Postgres(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None if text == "memory" => Ok(Self::Memory),
            None if text == "embedded" => Ok(Self::Embedded),
            Some(("nats" | "tls", _)) => Ok(Self::Nats(text.to_owned())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            // Without what stands behind the scheme: it may be a password.
            _ => Err("must be memory, embedded, nats://… or postgres://…".into()),
        }
    }
}

impl std::fmt::Debug for Place {
    /// Without passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Embedded => "embedded",
            Self::Nats(_) => "nats",
            Self::Postgres(_) => "postgres",
        })
    }
}

/// Opens the queue.
pub(crate) async fn queue(
    place: &Place,
    data: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Queue>, Failure> {
    Ok(match place {
        Place::Memory => Arc::new(MemoryQueue::new(clock)),
        Place::Embedded => {
            let directory = data.join("queue");
            let open = move || EmbeddedQueue::open(directory, &EmbeddedConfig::default(), clock);
            Arc::new(tokio::task::spawn_blocking(open).await??)
        }
        #[cfg(feature = "nats")]
        Place::Nats(url) => {
            use fc::queue::driver::nats::{NatsQueue, NatsQueueConfig};
            Arc::new(NatsQueue::connect(NatsQueueConfig::new(url), clock).await?)
        }
        #[cfg(feature = "postgres")]
        Place::Postgres(url) => {
            use fc::queue::driver::postgres::{PostgresConfig, PostgresQueue};
            Arc::new(PostgresQueue::connect(PostgresConfig::new(url)?, clock).await?)
        }
        #[allow(unreachable_patterns)]
        other => return Err(missing(other)),
    })
}

/// Opens the store.
pub(crate) async fn store(
    place: &Place,
    data: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, Failure> {
    let _ = &clock;
    Ok(match place {
        Place::Memory => Arc::new(MemoryStore::new()),
        Place::Embedded => {
            Arc::new(RedbStore::open(data.join("store.redb"), RedbConfig::default()).await?)
        }
        #[cfg(feature = "nats")]
        Place::Nats(url) => {
            use fc::store::{NatsStore, NatsStoreConfig};
            Arc::new(NatsStore::connect(NatsStoreConfig::new(url), clock).await?)
        }
        #[cfg(feature = "postgres")]
        Place::Postgres(url) => {
            use fc::store::postgres::{PostgresConfig, PostgresStore};
            Arc::new(PostgresStore::connect(PostgresConfig::new(url)?, clock).await?)
        }
        #[allow(unreachable_patterns)]
        other => return Err(missing(other)),
    })
}

fn missing(place: &Place) -> Failure {
    format!("this server was built without {place:?}: build it with --features {place:?}").into()
}
