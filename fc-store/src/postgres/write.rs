//! Writes of many callers in one transaction.

use std::collections::VecDeque;

use bytes::Bytes;
use fc_core::port::store::{Revision, When};
use tokio_postgres::Error;

use super::link::{Job, Session, Work, take_front};
use super::{CHANGES_MAX, revision};

const BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A record to be written; without a value, to be deleted.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) value: Option<Bytes>,
    pub(super) when: When,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Whether the condition held.
    pub(super) held: bool,
    /// The record's revision before.
    pub(super) found: Option<Revision>,
    /// The change's revision, if anything was changed.
    pub(super) made: Option<Revision>,
}

/// The work of writing.
#[derive(Debug)]
pub(super) struct Writes {
    /// Where watchers are told.
    pub(super) channel: String,
}

impl Work for Writes {
    type Request = Write;
    type Reply = Written;

    const NAME: &'static str = "write";
    const WRITES: bool = true;

    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>> {
        let bytes = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, Bytes::len);
        take_front(queue, BATCH_MAX, BATCH_BYTES_MAX, bytes)
    }

    async fn run(&self, session: &Session, requests: &[&Write]) -> Result<Vec<Written>, Error> {
        let write = "SELECT held, was, made FROM write_records($1, $2, $3, $4, $5, $6)";
        let statement = session.statement(write).await?;
        let keys: Vec<&[u8]> = requests.iter().map(|write| write.key.as_bytes()).collect();
        let values: Vec<Option<&[u8]>> = requests.iter().map(|w| w.value.as_deref()).collect();
        let (conditions, expected): (Vec<i16>, Vec<i64>) =
            requests.iter().map(|write| condition(write.when)).unzip();
        let rows = session
            .client
            .query(
                &statement,
                &[&keys, &values, &conditions, &expected, &i64::from(CHANGES_MAX), &self.channel],
            )
            .await?;
        let written = |row: &tokio_postgres::Row| Written {
            held: row.get(0),
            found: row.get::<_, Option<i64>>(1).map(revision),
            made: row.get::<_, Option<i64>>(2).map(revision),
        };
        Ok(rows.iter().map(written).collect())
    }
}

/// As the server's function takes it. No record is at revision 0.
fn condition(when: When) -> (i16, i64) {
    match when {
        When::Always => (0, 0),
        When::Absent => (1, 0),
        When::Unchanged(at) => (2, i64::try_from(at.0).unwrap_or_default()),
    }
}
