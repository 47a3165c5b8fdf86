//! The one who writes.

use std::sync::Arc;

use bytes::Bytes;
use fc_core::port::store::{Change, Revision, When};
use fc_core::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use super::slot::{NotDone, Reopened, no_room, said};
use super::table::Records;
use super::{RedbConfig, Shared};
use crate::contract::check;

/// What the writer is asked for.
pub(super) enum Job {
    Write(Write),
    /// A read has failed: see whether the file must be opened anew.
    Check,
    Close(oneshot::Sender<()>),
}

/// A write, and who waits for it. The answer is the revision, `None` if there was nothing to delete.
pub(super) struct Write {
    pub(super) key: String,
    /// `None` deletes.
    pub(super) value: Option<Bytes>,
    pub(super) when: When,
    pub(super) answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Revision>>;

impl Write {
    fn bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// The one who writes. It ends when nobody can ask any more.
pub(super) struct Writer {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    batch_max: usize,
    batch_bytes_max: u64,
    watch_lag_max: usize,
    watch_bytes_max: u64,
}

/// What a transaction came to.
struct Applied {
    answers: Vec<Answer>,
    changes: Vec<Change>,
    last: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, jobs: mpsc::Receiver<Job>, config: &RedbConfig) -> Self {
        Self {
            shared,
            jobs,
            batch_max: config.batch_max,
            batch_bytes_max: config.batch_bytes_max,
            watch_lag_max: config.watch_lag_max as usize,
            watch_bytes_max: config.watch_bytes_max,
        }
    }

    pub(super) fn run(mut self) {
        let mut next = self.jobs.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Write(first) => {
                    let (batch, other) = self.gather(first);
                    self.write(batch);
                    next = other;
                }
                Job::Check => self.heal(),
                Job::Close(closed) => {
                    self.jobs.close();
                    self.shared.slot.close();
                    // Nobody waits for it if not.
                    let _ = closed.send(());
                }
            }
            next = next.or_else(|| self.jobs.blocking_recv());
        }
        self.shared.slot.close();
    }

    /// The first and all who came meanwhile; with what ended the gathering, if it is no write.
    fn gather(&mut self, first: Write) -> (Vec<Write>, Option<Job>) {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < self.batch_max && bytes < self.batch_bytes_max {
            match self.jobs.try_recv() {
                Ok(Job::Write(write)) => {
                    bytes += write.bytes();
                    batch.push(write);
                }
                Ok(other) => return (batch, Some(other)),
                Err(_) => break,
            }
        }
        (batch, None)
    }

    /// Opens the file anew if it is not what it should be.
    fn heal(&self) {
        let well = self.shared.slot.with(|database| Ok(database.begin_write()?.abort()?));
        if matches!(well, Err(NotDone::Failed(_))) || self.shared.slot.has_failed() {
            self.reopen();
        }
    }

    fn reopen(&self) -> Reopened {
        let reopened = self.shared.slot.reopen();
        match reopened {
            Reopened::Until(revision) => {
                tracing::warn!(revision, "the store's file was opened again after an error");
            }
            Reopened::No => tracing::error!("the store's file is not open after an error"),
        }
        reopened
    }

    fn write(&self, mut batch: Vec<Write>) {
        if self.shared.slot.has_failed() {
            // It may have been a full disk, or another passing trouble.
            self.reopen();
        }
        if let Some(wanted) = self.shared.slot.wants() {
            batch = self.refuse_what_grows(batch, wanted);
        }
        let (operations, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|write| ((write.key, write.value, write.when), write.answer))
            .unzip();
        if operations.is_empty() {
            return;
        }
        let verdicts = self.commit(operations);
        for (answer, verdict) in answers.into_iter().zip(verdicts) {
            // Whoever went away does not want to know.
            let _ = answer.send(verdict);
        }
    }

    /// Deletions may make room; a value that is written would only break the file again, and to
    /// open it costs a walk through all of it.
    fn refuse_what_grows(&self, batch: Vec<Write>, wanted: u64) -> Vec<Write> {
        let (grows, shrinks): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|write| write.value.is_some());
        for write in grows {
            let what = format!("the store's disk is full: {wanted} bytes are wanted to grow");
            let _ = write.answer.send(Err(no_room(what)));
        }
        shrinks
    }

    /// One transaction. Nobody is answered before it is known what became of it, not even those who
    /// were refused: what they were refused for may never have been.
    fn commit(&self, operations: Vec<(String, Option<Bytes>, When)>) -> Vec<Answer> {
        let count = operations.len();
        let slot = &self.shared.slot;
        let mut applied = None;
        let done = slot.with(|database| {
            let write = database.begin_write()?;
            let all = apply(Records::of(&write)?, operations)?;
            if all.changes.is_empty() {
                write.abort()?;
                applied = Some(all);
                return Ok(());
            }
            applied = Some(all);
            Ok(write.commit()?)
        });
        match (done, applied) {
            (Ok(()), Some(applied)) => self.committed(applied),
            (Ok(()), None) => same(count, &Error::internal("a commit of nothing")),
            (Err(NotDone::Refused(error)), _) => same(count, &error),
            (Err(NotDone::Failed(error)), applied) => {
                tracing::error!(%error, writes = count, "the store's commit failed");
                let error = said("writing", error);
                self.after_failure(count, applied, &error)
            }
        }
    }

    fn committed(&self, applied: Applied) -> Vec<Answer> {
        if applied.changes.iter().any(|change| matches!(change, Change::Deleted { .. })) {
            self.shared.slot.roomier();
        }
        let wakers: Vec<_> = {
            let mut watchers = self.shared.watchers.lock();
            let (max, bytes_max) = (self.watch_lag_max, self.watch_bytes_max);
            let told = applied.changes.into_iter();
            told.flat_map(|change| watchers.tell(change, max, bytes_max)).collect()
        };
        // Without the lock: a waker may run its task here, and that may ask for the watchers.
        wakers.into_iter().for_each(std::task::Waker::wake);
        applied.answers
    }

    /// `applied` is there if the commit was begun: then it may have been done.
    fn after_failure(&self, count: usize, applied: Option<Applied>, error: &Error) -> Vec<Answer> {
        match (self.reopen(), applied) {
            (Reopened::Until(last), Some(applied)) if last >= applied.last => {
                self.committed(applied)
            }
            (Reopened::Until(_), _) | (Reopened::No, None) => same(count, error),
            (Reopened::No, Some(applied)) if applied.changes.is_empty() => same(count, error),
            (Reopened::No, Some(_)) => {
                let what = format!("it may have been written: {}", error.message());
                same(count, &Error::new(ErrorKind::Unknown, what))
            }
        }
    }
}

/// The operations in their order, each behind those before it.
fn apply(
    mut records: Records<'_>,
    operations: Vec<(String, Option<Bytes>, When)>,
) -> Result<Applied, redb::Error> {
    let mut answers = Vec::with_capacity(operations.len());
    let mut changes = Vec::new();
    for (key, value, when) in operations {
        let is = records.revision(&key)?;
        if let Err(refused) = check(&key, when, is) {
            answers.push(Err(refused));
            continue;
        }
        let change = match value {
            Some(value) => records.put(key, value)?,
            None if is.is_some() => records.delete(key)?,
            None => {
                answers.push(Ok(None));
                continue;
            }
        };
        let (Change::Put(fc_core::port::store::Record { revision, .. })
        | Change::Deleted { revision, .. }) = &change;
        answers.push(Ok(Some(*revision)));
        changes.push(change);
    }
    let last = records.finish()?;
    Ok(Applied { answers, changes, last })
}

fn same(count: usize, error: &Error) -> Vec<Answer> {
    (0..count).map(|_| Err(error.duplicate())).collect()
}
