//! What one would write by hand: a table of jobs, single-row inserts, a loop of `SKIP LOCKED`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::{Client, NoTls, Statement};

use super::PAYLOAD;

/// A client with its statements.
#[derive(Debug)]
pub(crate) struct Plain {
    client: Client,
    insert: Statement,
    take: Statement,
    delete: Statement,
}

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS job (
        id bigserial PRIMARY KEY,
        lane text NOT NULL,
        payload bytea NOT NULL,
        run_at timestamptz NOT NULL DEFAULT now(),
        locked_until timestamptz,
        attempts int NOT NULL DEFAULT 0
    );
    CREATE INDEX IF NOT EXISTS job_due ON job (lane, run_at, id);";

const TAKE: &str = "
    UPDATE job SET locked_until = now() + interval '1 minute', attempts = attempts + 1,
        run_at = now() + interval '1 minute'
    WHERE id IN (
        SELECT id FROM job WHERE lane = $1 AND run_at <= now()
        ORDER BY run_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, payload, attempts";

impl Plain {
    pub(crate) async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.batch_execute("SET client_min_messages = warning").await.expect("a setting");
        let lock = "SELECT pg_advisory_lock(1)";
        client
            .batch_execute(&format!("{lock}; {TABLE}; SELECT pg_advisory_unlock(1)"))
            .await
            .expect("the table");
        let insert = "INSERT INTO job (lane, payload) VALUES ($1, $2)";
        let insert = client.prepare(insert).await.expect("a statement");
        let take = client.prepare(TAKE).await.expect("a statement");
        let delete =
            client.prepare("DELETE FROM job WHERE id = ANY($1)").await.expect("a statement");
        Self { client, insert, take, delete }
    }

    pub(crate) async fn several(url: &str, count: usize) -> Vec<Arc<Self>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Arc::new(Self::connect(url).await));
        }
        clients
    }

    pub(crate) async fn insert(&self) {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&"bench", &&PAYLOAD[..]];
        self.client.execute(&self.insert, &values).await.expect("inserted");
    }

    /// Takes up to `max` jobs and removes them; how many.
    pub(crate) async fn take_and_delete(&self, max: usize) -> usize {
        let max = i64::try_from(max).expect("a small number");
        let rows = self.client.query(&self.take, &[&"bench", &max]).await.expect("taken");
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if !ids.is_empty() {
            self.client.execute(&self.delete, &[&ids]).await.expect("deleted");
        }
        ids.len()
    }

    /// Jobs in many rows at once, to be drained.
    pub(crate) async fn fill(&self, count: usize) {
        let fill =
            "INSERT INTO job (lane, payload) SELECT 'bench', $1 FROM generate_series(1, $2::int)";
        let count = i32::try_from(count).expect("a small number");
        self.client.execute(fill, &[&&PAYLOAD[..], &count]).await.expect("filled");
    }

    pub(crate) async fn clear(&self) {
        self.client.batch_execute("TRUNCATE job").await.expect("emptied");
    }

    /// Statistics and the visibility map as a server has them that runs for a while.
    pub(crate) async fn analyze(&self) {
        self.client.batch_execute("VACUUM ANALYZE").await.expect("analyzed");
    }
}

/// Lets each of `workers` have a number until `count` are given.
pub(crate) fn is_next(given: &AtomicUsize, count: usize) -> bool {
    given.fetch_add(1, Ordering::Relaxed) < count
}
