//! One private server for all tests of a binary; its guard ends it with the process.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use fc_queue::driver::postgres::PostgresConfig;
use fc_testkit::server::PostgresServer;

/// The server's URL.
pub(crate) fn url() -> String {
    static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
        PostgresServer::start(&[("max_connections", "400")]).unwrap_or_else(|e| panic!("{e}"))
    });
    SERVER.url()
}

/// A schema that no other test uses.
pub(crate) fn config() -> PostgresConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    PostgresConfig::new(&url()).unwrap().schema(&name).unwrap()
}

/// The schema that a configuration names.
pub(crate) fn schema_of(config: &PostgresConfig) -> String {
    let text = format!("{config:?}");
    let name = text.split("schema: \"").nth(1).and_then(|rest| rest.split('"').next());
    name.unwrap().to_owned()
}

/// A plain client of the server that all share.
pub(crate) async fn client() -> tokio_postgres::Client {
    client_of(&url()).await
}

/// A plain client.
pub(crate) async fn client_of(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
