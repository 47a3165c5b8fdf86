//! What the driver asks of a server before it uses it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask};
use fc_core::port::store::Durability;
use fc_core::{Context, ErrorKind, Queue, RequestId, Result, SystemClock};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use fc_testkit::server::PostgresServer;
use futures_util::future::join_all;

use crate::server;

async fn connect(config: PostgresConfig) -> Result<PostgresQueue> {
    PostgresQueue::connect(config, Arc::new(SystemClock::new())).await
}

async fn durability(config: PostgresConfig) -> Durability {
    connect(config).await.unwrap().capabilities().durability
}

fn started(settings: &[(&str, &str)]) -> PostgresServer {
    PostgresServer::start(settings).unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused_or_declared() {
    for weak in ["fsync", "full_page_writes"] {
        let server = started(&[(weak, "off")]);
        let config = PostgresConfig::new(&server.url()).unwrap();
        let refused = connect(config.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(refused.message().contains(weak), "{refused:?}");
        let accepted = config.accept_weak_durability(true);
        assert_eq!(durability(accepted).await, Durability::ProcessMemory);
    }
}

/// The sessions' own setting is what counts, whatever the server's or the role's default is.
#[tokio::test]
async fn commits_are_synchronous_whatever_the_default() {
    let server = started(&[("synchronous_commit", "off")]);
    let config = PostgresConfig::new(&server.url()).unwrap();
    assert_eq!(durability(config).await, Durability::Fsync);
}

#[tokio::test]
async fn many_may_begin_at_once_and_a_newer_schema_is_refused() {
    let config = server::config();
    let queues = join_all((0..8).map(|_| connect(config.clone()))).await;
    assert!(queues.iter().all(Result::is_ok), "{queues:?}");
    let client = server::client().await;
    let newer = format!(
        "INSERT INTO {}.migration (component, version) VALUES ('queue', 99)",
        server::schema_of(&config)
    );
    client.batch_execute(&newer).await.unwrap();
    let refused = connect(config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

/// The tasks of an older release are leased in the order in which they became visible.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_with_its_tasks() {
    let config = server::config();
    let schema = server::schema_of(&config);
    let client = server::client().await;
    let first = include_str!("../../src/driver/postgres/sql/1.sql");
    let insert = "INSERT INTO task (lane_id, place, was, leases, position, fence, ready_at, visible_ms, \
                  pushed_ms, id, note, payload) SELECT 1, 0, 0, 0, n, 0, now() - n * interval '1 \
                  second', 1, 1, 'old-' || n, '', '' FROM generate_series(1, 3) n";
    let old = format!(
        "CREATE SCHEMA {schema}; SET search_path TO {schema}; {first}; CREATE TABLE migration \
         (component text NOT NULL, version int NOT NULL, at timestamptz NOT NULL DEFAULT now(), \
         PRIMARY KEY (component, version)); INSERT INTO migration VALUES ('queue', 1); INSERT INTO \
         lane (name) VALUES ('lane'); {insert}; SELECT nextval('position') FROM generate_series(1, 3); \
         INSERT INTO lane_count VALUES (1, 0, 3, 0, 0)"
    );
    client.batch_execute(&old).await.unwrap();
    let queue = connect(config).await.unwrap();
    let lane = Lane::new("lane").unwrap();
    let cx = Context::new(RequestId::NIL);
    queue.push(cx, &lane, NewTask::new("new", "")).await.unwrap();
    assert_eq!(queue.depth(&lane).await.unwrap().waiting, 4);
    let held = queue.lease(cx, &lane, 9, Duration::from_secs(60)).await.unwrap();
    let ids: Vec<&str> = held.iter().map(|held| &*held.token.task).collect();
    assert_eq!(ids, ["old-3", "old-2", "old-1", "new"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_nothing_secret_with_it() {
    let url = "postgres://user:hidden@127.0.0.1:1/db";
    let refused = connect(PostgresConfig::new(url).unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceThrottled);
    assert!(!format!("{refused:?}").contains("hidden"));
}

/// Gives the server a certificate for 127.0.0.1, and us what signed it.
fn certified(server: &mut PostgresServer) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut issuer = rcgen::CertificateParams::new(Vec::new()).unwrap();
    issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = issuer.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(issuer, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
    let data = server.data();
    write(&data, "server.crt", &leaf.pem());
    write(&data, "server.key", &own.serialize_pem());
    server.set("ssl", "on");
    server.restart().unwrap();
    root.pem()
}

/// A file of the server's user that nobody else may read.
fn write(data: &Path, name: &str, text: &str) {
    let (path, owner) = (data.join(name), fs::metadata(data).unwrap());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

#[tokio::test]
async fn required_tls_is_had_or_refused() {
    let mut server = started(&[]);
    let url = format!("{}?sslmode=require", server.url());
    let root = rcgen::KeyPair::generate().unwrap();
    let root = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&root).unwrap();
    let config = PostgresConfig::new(&url).unwrap().root_certificates(root.pem());
    let plain = connect(config.clone()).await.unwrap_err();
    assert_eq!(plain.kind(), ErrorKind::ResourceThrottled, "a server without TLS was used");
    let root = certified(&mut server);
    assert!(connect(config.clone()).await.is_err(), "a stranger's certificate was trusted");
    let queue = connect(config.root_certificates(root)).await.unwrap();
    let lane = Lane::new("lane").unwrap();
    queue.push(Context::new(RequestId::NIL), &lane, NewTask::new("a", "")).await.unwrap();
    let client = server::client_of(&server.url()).await;
    let plain = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE NOT \
                 s.ssl AND a.application_name = 'fc'";
    assert_eq!(client.query_one(plain, &[]).await.unwrap().get::<_, i64>(0), 0);
}
