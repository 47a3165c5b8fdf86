//! Records in PostgreSQL, on a private server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use fc_core::{Store, SystemClock};
use fc_store::postgres::{PostgresConfig, PostgresStore};
use fc_testkit::server::PostgresServer;

/// A schema that no other test uses, on a server that all share.
fn config() -> PostgresConfig {
    static SERVER: LazyLock<PostgresServer> =
        LazyLock::new(|| PostgresServer::start(&[]).unwrap_or_else(|e| panic!("{e}")));
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    PostgresConfig::new(&SERVER.url()).unwrap().schema(&name).unwrap()
}

async fn opened(config: PostgresConfig) -> Arc<dyn Store> {
    Arc::new(PostgresStore::connect(config, Arc::new(SystemClock::new())).await.unwrap())
}

async fn empty() -> Arc<dyn Store> {
    opened(config()).await
}

mod conformance {
    fc_testkit::store_conformance!(super::empty);
}
