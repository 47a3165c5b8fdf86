//! The store on NATS JetStream: the rules, on one process and on two; restarts of the server.
#![allow(clippy::disallowed_methods, reason = "it waits for a real server")]
// Helpers of tests may unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{
    Change, ChangeStream, Durability, Record, Revision, StoreCapabilities, When,
};
use fc_core::{ErrorKind, Result, Store, SystemClock};
use fc_store::{NatsStore, NatsStoreConfig};
use fc_testkit::conformance::store::cases;
use fc_testkit::server::{NatsServer, NatsSettings, Proxy};
use futures_util::StreamExt;

/// One server for all cases; it ends with this process.
fn url() -> String {
    static SERVER: OnceLock<NatsServer> = OnceLock::new();
    SERVER.get_or_init(|| NatsServer::start(NatsSettings::default()).unwrap()).url()
}

fn config(url: String) -> NatsStoreConfig {
    static CASES: AtomicUsize = AtomicUsize::new(0);
    let stream = format!("cases-{}", CASES.fetch_add(1, Ordering::Relaxed));
    NatsStoreConfig { stream, bytes_max: 32 << 20, ..NatsStoreConfig::new(url) }
}

async fn connect(config: NatsStoreConfig) -> NatsStore {
    NatsStore::connect(config, Arc::new(SystemClock::new())).await.unwrap()
}

async fn one() -> Arc<dyn Store> {
    Arc::new(connect(config(url())).await)
}

mod one_process {
    fc_testkit::store_conformance!(super::one);
}

/// Two processes' stores on one stream. Each call goes to the next.
#[derive(Debug)]
struct Turns {
    stores: [NatsStore; 2],
    calls: AtomicUsize,
}

impl Turns {
    fn next(&self) -> &NatsStore {
        &self.stores[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl Store for Turns {
    fn capabilities(&self) -> StoreCapabilities {
        self.next().capabilities()
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.next().get(key).await
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        self.next().put(key, value, when).await
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        self.next().delete(key, when).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        self.next().list(prefix, after, max).await
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        self.next().watch(prefix, since).await
    }
}

async fn two() -> Arc<dyn Store> {
    let config = config(url());
    let stores = [connect(config.clone()).await, connect(config).await];
    Arc::new(Turns { stores, calls: AtomicUsize::new(0) })
}

mod two_processes {
    fc_testkit::store_conformance!(super::two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_needs_no_empty_store() {
    let store = two().await;
    for _ in 0..2 {
        for case in cases() {
            assert_eq!(case.run(&store).await, Ok(()), "{case:?}");
        }
    }
}

#[tokio::test]
async fn it_declares_what_it_is() {
    let capabilities = one().await.capabilities();
    assert_eq!(capabilities.durability, Durability::ProcessMemory);
    let synced = connect(NatsStoreConfig { synced: true, ..config(url()) }).await;
    assert_eq!(synced.capabilities().durability, Durability::Fsync);
    let over = NatsStoreConfig { value_bytes_max: 1 << 20, ..config(url()) };
    let refused = NatsStore::connect(over, Arc::new(SystemClock::new())).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// A process that was away catches up, and one that comes later sees what is there alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_there_after_a_kill() {
    let mut server = NatsServer::start(NatsSettings::default()).unwrap();
    let config = config(server.url());
    let (one, other) = (connect(config.clone()).await, connect(config.clone()).await);
    let mut changes = other.watch("", None).await.unwrap();
    let first = one.put("a", "1".into(), When::Absent).await.unwrap();
    one.put("b", "2".into(), When::Absent).await.unwrap();
    assert!(one.delete("b", When::Always).await.unwrap());
    server.kill9().unwrap();
    server.restart().unwrap();
    let second = one.put("a", "3".into(), When::Unchanged(first)).await.unwrap();
    for must in ["a", "b", "b", "a"] {
        let next = changes.next().await.unwrap().unwrap();
        let (Change::Put(Record { key, .. }) | Change::Deleted { key, .. }) = next;
        assert_eq!(key, must);
    }
    let late = connect(config).await;
    let must = vec![Record { key: "a".into(), value: "3".into(), revision: second }];
    for store in [&one, &other, &late] {
        assert_eq!(store.list("", None, 9).await.unwrap(), must);
    }
    assert_eq!(late.watch("", Some(first)).await.err().unwrap().kind(), ErrorKind::Conflict);
}

/// Only what was sent over the connection that broke is lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_while_there_is_no_connection_is_answered_by_the_next() {
    let mut server = NatsServer::start(NatsSettings::default()).unwrap();
    let store = Arc::new(connect(config(server.url())).await);
    let revision = store.put("a", "1".into(), When::Absent).await.unwrap();
    server.kill9().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = store.clone();
    let asked = tokio::spawn(async move { asked.get("a").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.restart().unwrap();
    assert_eq!(asked.await.unwrap().unwrap().unwrap().revision, revision);
}

/// What was replaced is erased, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_does_not_grow_with_each_write() {
    let config = NatsStoreConfig { watch_lag_max: 50, ..config(url()) };
    let store = connect(config.clone()).await;
    for number in 0..1000u32 {
        let key = format!("k{}", number % 7);
        store.put(&key, number.to_string().into(), When::Always).await.unwrap();
    }
    store.delete("k0", When::Always).await.unwrap();
    let client = async_nats::connect(url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(&config.stream).await.unwrap();
    let mut messages = 1001;
    for _ in 0..100 {
        messages = stream.get_info().await.unwrap().state.messages;
        if messages <= 60 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((50..=60).contains(&messages), "{messages}");
    let late = connect(config).await;
    for store in [&store, &late] {
        let listed = store.list("", None, 9).await.unwrap();
        let values: Vec<_> = listed.iter().map(|record| record.value.clone()).collect();
        assert_eq!(values, ["995", "996", "997", "998", "999", "993"]);
    }
}

/// A write whose answer is lost is found again: done once, and said so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_found_out() {
    let server = NatsServer::start(NatsSettings::default()).unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let through = format!("nats://127.0.0.1:{}", proxy.port());
    let direct = config(server.url());
    let witness = connect(direct.clone()).await;
    let store = Arc::new(connect(NatsStoreConfig { url: through, ..direct }).await);
    let first = store.put("k", "0".into(), When::Absent).await.unwrap();
    let mut last = first;
    for (number, when) in [When::Unchanged(first), When::Always].into_iter().enumerate() {
        let value = (number + 1).to_string();
        proxy.mute();
        let (writer, bytes) = (store.clone(), value.clone().into());
        let write = tokio::spawn(async move { writer.put("k", bytes, when).await });
        let stored = seen(&witness, Some(value.as_str())).await;
        proxy.cut();
        last = write.await.unwrap().unwrap();
        assert_eq!(Some(last), stored);
    }
    // One that another comes before is a conflict, whatever was lost.
    proxy.mute();
    witness.put("k", "else".into(), When::Unchanged(last)).await.unwrap();
    let writer = store.clone();
    let write =
        tokio::spawn(async move { writer.put("k", "mine".into(), When::Unchanged(last)).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.cut();
    assert_eq!(write.await.unwrap().unwrap_err().kind(), ErrorKind::Conflict);
    let writer = store.clone();
    let delete = tokio::spawn(async move { writer.delete("k", When::Always).await });
    assert_eq!(seen(&witness, None).await, None);
    assert!(delete.await.unwrap().unwrap());
}

/// The revision of `k` once it has this value.
async fn seen(store: &NatsStore, value: Option<&str>) -> Option<Revision> {
    for _ in 0..500 {
        let record = store.get("k").await.unwrap();
        if record.as_ref().map(|record| &record.value[..]) == value.map(str::as_bytes) {
            return record.map(|record| record.revision);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never was {value:?}");
}
