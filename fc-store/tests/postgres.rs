//! Records in PostgreSQL, on a private server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fc_core::port::store::{Change, When};
use fc_core::{Clock, ErrorKind, Store, SystemClock};
use fc_store::postgres::{PostgresConfig, PostgresStore};
use fc_testkit::server::PostgresServer;
use futures_util::StreamExt;

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

/// What one process writes, another's watcher is told, in order and without a gap, over a crash of the
/// server.
#[tokio::test]
async fn watchers_miss_nothing_over_a_crash_of_the_server() {
    let mut server = PostgresServer::start(&[]).unwrap_or_else(|e| panic!("{e}"));
    let config = PostgresConfig::new(&server.url()).unwrap();
    let (writer, reader) = (opened(config.clone()).await, opened(config).await);
    let mut changes = reader.watch("k/", None).await.unwrap();
    let mut written = Vec::new();
    for number in 0..60 {
        if number % 20 == 10 {
            server.kill9().unwrap();
            server.restart().unwrap();
        }
        let key = format!("k/{number}");
        // What is unknown or refused is tried again, until it is there.
        loop {
            match writer.put(&key, "v".into(), When::Absent).await {
                Ok(revision) => {
                    written.push((key, revision));
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let is = writer.get(&key).await.unwrap().unwrap();
                    written.push((key, is.revision));
                    break;
                }
                Err(error) => {
                    let may_pass = [ErrorKind::Unknown, ErrorKind::ResourceThrottled];
                    assert!(may_pass.contains(&error.kind()), "{error:?}");
                    let clock = SystemClock::new();
                    clock.sleep_until(clock.now() + Duration::from_millis(20)).await;
                }
            }
        }
    }
    for (key, revision) in written {
        match changes.next().await {
            Some(Ok(Change::Put(record))) => {
                assert_eq!((record.key, record.revision), (key, revision));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A process that begins later is told what was changed since a revision that it knows.
#[tokio::test]
async fn changes_are_known_across_a_restart() {
    let config = config();
    let before = opened(config.clone()).await;
    let since = before.put("a", "1".into(), When::Always).await.unwrap();
    let second = before.put("b", "2".into(), When::Always).await.unwrap();
    drop(before);
    let after = opened(config).await;
    let mut changes = after.watch("", Some(since)).await.unwrap();
    match changes.next().await {
        Some(Ok(Change::Put(record))) => assert_eq!(record.revision, second),
        other => panic!("{other:?}"),
    }
    let third = after.put("c", "3".into(), When::Always).await.unwrap();
    assert_eq!(third.0, second.0 + 1);
}
