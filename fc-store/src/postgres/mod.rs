//! Records in PostgreSQL.

mod follow;
// The queue's driver has the same sessions; a crate sees no sibling.
#[path = "../../../fc-queue/src/driver/postgres/link/mod.rs"]
mod link;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::store::{ChangeStream, Record, Revision, StoreCapabilities, When};
use fc_core::{Clock, Context, Error, RequestId, Result, Store};
use tokio_postgres::Row;

use crate::contract::{check, within};
use crate::watch::Watch;
use follow::Follower;
pub use link::PostgresConfig;
use link::{Connector, Group, Migrations, Pool, migrate};
use write::{Write, Writes, Written};

/// Changes that the database keeps for watchers.
const CHANGES_MAX: u32 = 1_024;

const MIGRATIONS: Migrations =
    Migrations { component: "store", steps: &[include_str!("sql/1.sql")] };

/// Records in a PostgreSQL database, shared by all processes that use its schema.
///
/// Writes of one schema are one after the other, since revisions have an order; what many callers write
/// at a time goes in one transaction. The last 1024 changes are kept for watchers, also across restarts;
/// a watcher is woken by `NOTIFY`, and looks by itself each second. Every value is at most 256 KB, every
/// key 1 KB. What is said of durability, sessions and failures of the queue in PostgreSQL holds here.
///
/// # Requires
///
/// A tokio runtime with I/O and time; PostgreSQL 13 or newer with `plpgsql`; a role that may create the
/// schema, or owns it.
#[derive(Debug)]
pub struct PostgresStore {
    capabilities: StoreCapabilities,
    pool: Pool,
    writes: Group<Writes>,
    follower: Follower,
}

impl PostgresStore {
    /// Connects, checks the server's settings, and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for settings of the server that are not safe, or TLS that cannot be had;
    /// `Unsupported` for a server that is too old or a schema that is too new; `ResourceThrottled` if the
    /// server cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn connect(config: PostgresConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let connector = Connector::new(config, clock)?;
        let session = connector.open().await?;
        session.drive(migrate(&session, connector.schema(), &MIGRATIONS)).await?;
        let channel = format!("fc_store_{}", connector.schema());
        let follower = Follower::start(connector.clone(), &session, channel.clone());
        let follower = session.drive(follower).await?;
        Ok(Self {
            capabilities: StoreCapabilities {
                durability: session.durability,
                value_bytes_max: 256 * 1024,
                key_bytes_max: 1_024,
                watch_lag_max: CHANGES_MAX,
            },
            pool: Pool::new(connector.clone()),
            writes: Group::start(connector, Writes { channel }),
            follower,
        })
    }

    async fn write(&self, key: &str, value: Option<Bytes>, when: When) -> Result<Written> {
        within("key", self.capabilities.key_bytes_max, key.len())?;
        let cx = Context::new(RequestId::NIL);
        let written = self.writes.ask(cx, Write { key: key.to_owned(), value, when }).await?;
        if !written.held {
            check(key, when, written.found)?;
        }
        if written.made.is_some() {
            self.follower.look();
        }
        Ok(written)
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.capabilities
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        let bytes = key.as_bytes();
        let row: Option<Row> = self
            .pool
            .run("get", false, |session| async move {
                let get = "SELECT key, value, revision FROM record WHERE key = $1";
                let statement = session.statement(get).await?;
                session.client.query_opt(&statement, &[&bytes]).await
            })
            .await?;
        row.as_ref().map(record).transpose()
    }

    async fn put(&self, key: &str, value: Bytes, when: When) -> Result<Revision> {
        within("value", self.capabilities.value_bytes_max, value.len())?;
        let written = self.write(key, Some(value), when).await?;
        written.made.ok_or_else(|| Error::internal("put: the server gave no revision"))
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        Ok(self.write(key, None, when).await?.made.is_some())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        // From `prefix` on, or behind `after` if that is further: bytes, as the key is.
        let (start, is_behind) = match after {
            Some(after) if after >= prefix => (after.as_bytes(), true),
            _ => (prefix.as_bytes(), false),
        };
        let end = end_of(prefix.as_bytes());
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let from = if is_behind { "key > $1" } else { "key >= $1" };
        let to = if end.is_some() { "AND key < $3" } else { "AND $3::bytea IS NULL" };
        let sql = &*format!(
            "SELECT key, value, revision FROM record WHERE {from} {to} ORDER BY key LIMIT $2"
        );
        let end = &end;
        let rows: Vec<Row> = self
            .pool
            .run("list", false, |session| async move {
                let statement = session.statement(sql).await?;
                session.client.query(&statement, &[&start, &max, end]).await
            })
            .await?;
        rows.iter().map(record).collect()
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        let written: i64 = self
            .pool
            .run("watch", false, |session| async move {
                let statement = session.statement("SELECT revision FROM head").await?;
                Ok(session.client.query_one(&statement, &[]).await?.get(0))
            })
            .await?;
        let watched = self.follower.watched();
        let id = watched.add(prefix, since, revision(written))?;
        // It may have been written by another process, which was not heard yet.
        self.follower.look();
        Ok(Box::pin(Watch { watched, id }))
    }
}

/// The first bytes behind all that start with `prefix`; `None`: there are none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or_default())
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| Error::internal("a key in PostgreSQL is no text"))
}

fn record(row: &Row) -> Result<Record> {
    Ok(Record {
        key: text(row.get(0))?,
        value: Bytes::copy_from_slice(row.get(1)),
        revision: revision(row.get(2)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_behind_its_prefix_and_before_what_follows() {
        assert_eq!(end_of(b""), None);
        assert_eq!(end_of(b"\xff\xff"), None);
        assert_eq!(end_of(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of(b"a/"), Some(b"a0".to_vec()));
    }
}
