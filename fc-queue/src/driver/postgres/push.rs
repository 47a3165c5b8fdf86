//! Pushes of many callers in one statement.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use fc_core::port::queue::{NewTask, Pushed};
use fc_core::{Clock, Timestamp};
use tokio_postgres::Error;

use super::bell::Ringer;
use super::link::{Job, Session, Work, take_front};
use super::time::{self, ServerTime};
use super::{BATCH_BYTES_MAX, BATCH_MAX, part};

/// A task on its way into a lane.
#[derive(Debug)]
pub(super) struct Push {
    lane_id: i32,
    id: String,
    payload: Bytes,
    note: Bytes,
    ready_us: Option<i64>,
    visible_ms: i64,
    pushed_ms: i64,
}

impl Push {
    pub(super) fn new(lane_id: i32, task: NewTask, now: Timestamp, time: &ServerTime) -> Self {
        Self {
            lane_id,
            ready_us: time.of(task.visible_at),
            visible_ms: time::to_sql(task.visible_at),
            pushed_ms: time::to_sql(now),
            id: task.id,
            payload: task.payload,
            note: task.note,
        }
    }

    /// What its lane has to be told once it is pushed there.
    fn ring(&self, position: i64) -> (i32, Option<i64>) {
        (self.lane_id, self.ready_us.is_none().then_some(position))
    }

    pub(super) fn bytes(&self) -> usize {
        self.id.len() + self.payload.len() + self.note.len()
    }
}

/// Columns of the statements that push.
#[derive(Default)]
pub(super) struct Columns<'r> {
    pub(super) lane_id: Vec<i32>,
    pub(super) id: Vec<&'r str>,
    pub(super) payload: Vec<&'r [u8]>,
    pub(super) note: Vec<&'r [u8]>,
    pub(super) ready_us: Vec<Option<i64>>,
    pub(super) visible_ms: Vec<i64>,
    pub(super) pushed_ms: Vec<i64>,
}

impl<'r> FromIterator<&'r Push> for Columns<'r> {
    fn from_iter<I: IntoIterator<Item = &'r Push>>(pushes: I) -> Self {
        let mut columns = Self::default();
        for push in pushes {
            columns.lane_id.push(push.lane_id);
            columns.id.push(&push.id);
            columns.payload.push(&push.payload);
            columns.note.push(&push.note);
            columns.ready_us.push(push.ready_us);
            columns.visible_ms.push(push.visible_ms);
            columns.pushed_ms.push(push.pushed_ms);
        }
        columns
    }
}

/// The work of pushing.
#[derive(Debug)]
pub(super) struct Pushes {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) time: Arc<ServerTime>,
    pub(super) ringer: Ringer,
}

impl Work for Pushes {
    type Request = Push;
    type Reply = Pushed;

    const NAME: &'static str = "push";
    const WRITES: bool = true;

    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>> {
        take_front(queue, BATCH_MAX, BATCH_BYTES_MAX, Push::bytes)
    }

    async fn run(&self, session: &Session, requests: &[&Push]) -> Result<Vec<Pushed>, Error> {
        if let [push] = requests {
            return Ok(vec![self.push_one(session, push).await?]);
        }
        let statement = session.statement(include_str!("sql/push.sql")).await?;
        let c: Columns<'_> = requests.iter().copied().collect();
        let before = self.clock.now();
        let row = session
            .client
            .query_one(
                &statement,
                &[
                    &c.lane_id,
                    &c.id,
                    &c.payload,
                    &c.note,
                    &c.ready_us,
                    &c.visible_ms,
                    &c.pushed_ms,
                    &part(session),
                ],
            )
            .await?;
        self.time.heard(before, self.clock.now(), row.get(2));
        let asked: Vec<i64> = row.get(0);
        let new: HashSet<i64> = row.get::<_, Option<Vec<i64>>>(1).into_iter().flatten().collect();
        let is_new = |position: &i64| new.contains(position);
        let pushed = requests.iter().zip(&asked).filter(|(_, position)| is_new(position));
        self.ringer.ring(pushed.map(|(push, position)| push.ring(*position)));
        let answer = |position| if is_new(position) { Pushed::New } else { Pushed::Known };
        Ok(asked.iter().map(answer).collect())
    }
}

impl Pushes {
    /// Without columns, which take the server longer than the push itself.
    async fn push_one(&self, session: &Session, push: &Push) -> Result<Pushed, Error> {
        let statement = session.statement(include_str!("sql/push_one.sql")).await?;
        let before = self.clock.now();
        let row = session
            .client
            .query_opt(
                &statement,
                &[
                    &push.lane_id,
                    &push.id,
                    &&*push.payload,
                    &&*push.note,
                    &push.ready_us,
                    &push.visible_ms,
                    &push.pushed_ms,
                    &part(session),
                ],
            )
            .await?;
        // Nothing is counted for one that is there already.
        let Some(row) = row else {
            return Ok(Pushed::Known);
        };
        self.time.heard(before, self.clock.now(), row.get(0));
        self.ringer.ring([push.ring(row.get(1))]);
        Ok(Pushed::New)
    }
}
