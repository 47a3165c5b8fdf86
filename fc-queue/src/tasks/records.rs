//! Records of tasks in a store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::store::{Revision, When};
use fc_core::{Clock, Error, ErrorKind, Result, Store};
use futures_util::future::try_join_all;

use super::keys::{Order, TaskKey};
use crate::core::stored_task::{StoredTask, not_found};

/// How often an operation whose outcome was not known, or that another writer came before, is tried
/// again before its caller is told.
const TRIES_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);
/// Answers of one task that are removed: more than leases that may have got so far.
const RESULTS_MAX: usize = 1000;

/// Records of tasks.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// What [`Records::create`] found.
#[derive(Debug)]
pub(crate) enum Created {
    /// The task is recorded now.
    New,
    /// There is a task of this id.
    Exists(Box<StoredTask>),
}

impl Records {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Records a new task with what its caller sent. Its name is taken first: of two that submit the
    /// same, one is told `New` (I10).
    pub(crate) async fn create(
        &self,
        key: TaskKey<'_>,
        task: &StoredTask,
        payload: &Bytes,
    ) -> Result<Created> {
        let record = task.encode()?;
        let (mut tries, mut may_be_there) = (0, false);
        loop {
            let error = match self.store.put(&key.record(), record.clone(), When::Absent).await {
                Ok(_) => break,
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Conflict => match self.read(key).await? {
                    // Our own, whose answer was lost.
                    Some((found, _)) if found.task.request_id == task.task.request_id => break,
                    Some((found, _)) => return Ok(Created::Exists(Box::new(found))),
                    None => {}
                },
                ErrorKind::Unknown => may_be_there = true,
                _ if may_be_there => {
                    let what = format!("a record may be there: {}", error.message());
                    return Err(Error::new(ErrorKind::Unknown, what));
                }
                _ => return Err(error),
            }
            self.pause(&mut tries, error).await?;
        }
        let accepted = task.task.started_time;
        let beside = [
            (key.payload(), payload.clone()),
            (key.index(Order::OldestFirst, accepted), Bytes::new()),
            (key.index(Order::NewestFirst, accepted), Bytes::new()),
        ];
        try_join_all(beside.iter().map(|(key, value)| self.write(key, value))).await?;
        Ok(Created::New)
    }

    /// The record, if there is one.
    pub(crate) async fn read(&self, key: TaskKey<'_>) -> Result<Option<(StoredTask, Revision)>> {
        let record = self.store.get(&key.record()).await?;
        record.map(|found| Ok((StoredTask::decode(&found.value)?, found.revision))).transpose()
    }

    /// Changes a record if `change` says that it did; gives what is there then. `change` may be asked
    /// several times, each time of what is there.
    ///
    /// # Errors
    ///
    /// `TaskNotFound`; `Unknown` if the change may have happened.
    pub(crate) async fn update(
        &self,
        key: TaskKey<'_>,
        change: impl Fn(&mut StoredTask) -> bool + Send + Sync,
    ) -> Result<StoredTask> {
        let mut tries = 0;
        loop {
            let (mut task, revision) = self.read(key).await?.ok_or_else(|| not_found(key.id))?;
            if !change(&mut task) {
                return Ok(task);
            }
            let when = When::Unchanged(revision);
            match self.store.put(&key.record(), task.encode()?, when).await {
                Ok(_) => return Ok(task),
                Err(error) => match error.kind() {
                    ErrorKind::Conflict | ErrorKind::Unknown => {
                        self.pause(&mut tries, error).await?;
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Keeps what the function answered.
    pub(crate) async fn keep_result(
        &self,
        key: TaskKey<'_>,
        fence: u64,
        result: &Bytes,
    ) -> Result<()> {
        self.write(&key.result(fence), result).await
    }

    /// What the caller sent; `None`: whoever submits the task has not written it, or never will.
    pub(crate) async fn sent(&self, key: TaskKey<'_>) -> Result<Option<Bytes>> {
        Ok(self.store.get(&key.payload()).await?.map(|found| found.value))
    }

    /// Takes back a record that its own submission made, if nobody has touched it: `false` if somebody
    /// has. The record goes last: until then nobody else writes beside it.
    pub(crate) async fn withdraw(&self, key: TaskKey<'_>, made: &StoredTask) -> Result<bool> {
        let Some((found, revision)) = self.read(key).await? else {
            return Ok(true);
        };
        if found.task.request_id != made.task.request_id {
            return Ok(true);
        }
        if found != *made {
            return Ok(false);
        }
        let accepted = made.task.started_time;
        for key in [
            key.payload(),
            key.index(Order::NewestFirst, accepted),
            key.index(Order::OldestFirst, accepted),
        ] {
            self.store.delete(&key, When::Always).await?;
        }
        match self.store.delete(&key.record(), When::Unchanged(revision)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the caller sent; nothing if it is not there.
    pub(crate) async fn payload(&self, key: TaskKey<'_>) -> Result<Bytes> {
        Ok(self.sent(key).await?.unwrap_or_default())
    }

    /// What the function answered at last, if anything was kept.
    pub(crate) async fn result(
        &self,
        key: TaskKey<'_>,
        task: &StoredTask,
    ) -> Result<Option<Bytes>> {
        let answer = task.ending.as_ref().and_then(|ending| ending.answer.as_ref());
        let Some(answer) = answer else {
            return Ok(None);
        };
        Ok(self.store.get(&key.result(answer.fence)).await?.map(|found| found.value))
    }

    /// Removes all that belongs to a task. The oldest-first entry goes last: while it is there, a sweep
    /// that was cut off comes back.
    pub(crate) async fn remove(&self, key: TaskKey<'_>, accepted: u64) -> Result<()> {
        for result in self.store.list(&key.results(), None, RESULTS_MAX).await? {
            self.store.delete(&result.key, When::Always).await?;
        }
        let first = [key.record(), key.payload(), key.index(Order::NewestFirst, accepted)];
        for key in first.iter().chain([&key.index(Order::OldestFirst, accepted)]) {
            self.store.delete(key, When::Always).await?;
        }
        Ok(())
    }

    /// Writes what only one writer writes, and always the same.
    async fn write(&self, key: &str, value: &Bytes) -> Result<()> {
        let mut tries = 0;
        loop {
            match self.store.put(key, value.clone(), When::Always).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Unknown => {
                    self.pause(&mut tries, error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn pause(&self, tries: &mut u32, error: Error) -> Result<()> {
        *tries += 1;
        if *tries >= TRIES_MAX {
            return Err(error);
        }
        self.clock.sleep_until(self.clock.now() + PAUSE * *tries).await;
        Ok(())
    }
}
