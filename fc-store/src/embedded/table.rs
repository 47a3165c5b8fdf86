//! What is in the file: records under their keys, the last revision, the form of it all.

use std::ops::Bound;

use bytes::Bytes;
use fc_core::port::store::{Change, Record, Revision};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};

/// A record: its revision (8 bytes, the lowest first), then its value.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// In [`NUMBERS`]: the last write's revision.
const LAST: &str = "last";
/// In [`NUMBERS`]: how often the file was opened, so that each opening has something to sync.
const OPENED: &str = "opened";
/// In [`NUMBERS`]: [`FORM`].
const FORMAT: &str = "format";
const FORM: u64 = 1;

type Done<T> = Result<T, redb::Error>;

/// Makes the tables where there are none, and syncs the file. Gives the last revision, which is on
/// the disk then; `None` if the file is of another form.
pub(super) fn ready(database: &Database) -> Done<Option<u64>> {
    let write = database.begin_write()?;
    let last = {
        let mut numbers = write.open_table(NUMBERS)?;
        let form = numbers.get(FORMAT)?.map(|form| form.value());
        if form.is_some_and(|form| form != FORM) {
            return Ok(None);
        }
        numbers.insert(FORMAT, FORM)?;
        let opened = numbers.get(OPENED)?.map_or(0, |opened| opened.value());
        numbers.insert(OPENED, opened.wrapping_add(1))?;
        write.open_table(RECORDS)?;
        number(&numbers, LAST)?
    };
    write.commit()?;
    Ok(Some(last))
}

/// The last revision that was committed.
pub(super) fn last(read: &ReadTransaction) -> Done<u64> {
    number(&read.open_table(NUMBERS)?, LAST)
}

pub(super) fn begin(database: &Database) -> Done<ReadTransaction> {
    Ok(database.begin_read()?)
}

pub(super) fn get(read: &ReadTransaction, key: String) -> Done<Option<Record>> {
    let records = read.open_table(RECORDS)?;
    let stored = records.get(key.as_str())?;
    stored.map(|stored| record(key, stored.value())).transpose()
}

pub(super) fn list(
    read: &ReadTransaction,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Done<Vec<Record>> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let records = read.open_table(RECORDS)?;
    let mut listed = Vec::new();
    for stored in records.range::<&str>((start, Bound::Unbounded))?.take(max) {
        let (key, value) = stored?;
        if !key.value().starts_with(prefix) {
            break;
        }
        listed.push(record(key.value().to_owned(), value.value())?);
    }
    Ok(listed)
}

/// The records under one transaction, and the revisions it gives.
pub(super) struct Records<'t> {
    records: Table<'t, &'static str, &'static [u8]>,
    numbers: Table<'t, &'static str, u64>,
    last: u64,
}

impl<'t> Records<'t> {
    pub(super) fn of(write: &'t WriteTransaction) -> Done<Self> {
        let numbers = write.open_table(NUMBERS)?;
        let last = number(&numbers, LAST)?;
        Ok(Self { records: write.open_table(RECORDS)?, numbers, last })
    }

    /// Where a record is.
    pub(super) fn revision(&self, key: &str) -> Done<Option<Revision>> {
        let stored = self.records.get(key)?;
        stored.map(|stored| Ok(parts(stored.value())?.0)).transpose()
    }

    pub(super) fn put(&mut self, key: String, value: Bytes) -> Done<Change> {
        let revision = self.next();
        let mut stored = self.records.insert_reserve(key.as_str(), value.len() + 8)?;
        let (head, body) = stored.as_mut().split_at_mut(8);
        head.copy_from_slice(&revision.0.to_le_bytes());
        body.copy_from_slice(&value);
        drop(stored);
        Ok(Change::Put(Record { key, value, revision }))
    }

    /// Deletes a record that is there.
    pub(super) fn delete(&mut self, key: String) -> Done<Change> {
        let revision = self.next();
        self.records.remove(key.as_str())?;
        Ok(Change::Deleted { key, revision })
    }

    /// Writes the last revision down, and gives it.
    pub(super) fn finish(mut self) -> Done<u64> {
        self.numbers.insert(LAST, self.last)?;
        Ok(self.last)
    }

    fn next(&mut self) -> Revision {
        self.last += 1;
        Revision(self.last)
    }
}

fn number(numbers: &impl ReadableTable<&'static str, u64>, name: &str) -> Done<u64> {
    Ok(numbers.get(name)?.map_or(0, |number| number.value()))
}

fn record(key: String, stored: &[u8]) -> Done<Record> {
    let (revision, value) = parts(stored)?;
    Ok(Record { key, value: Bytes::copy_from_slice(value), revision })
}

fn parts(stored: &[u8]) -> Done<(Revision, &[u8])> {
    let (head, value) = stored.split_first_chunk::<8>().ok_or_else(|| {
        redb::Error::Corrupted(format!("a record of {} bytes, below 8", stored.len()))
    })?;
    Ok((Revision(u64::from_le_bytes(*head)), value))
}
