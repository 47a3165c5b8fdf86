//! When lanes have something to lease, for many waiters in one statement.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Error;

use super::front::Fronts;
use super::link::{Job, Session, Work, take_front};
use super::{BATCH_MAX, time};

/// How far a look sees: who waits looks again after this time, whatever it is told.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The work of looking.
#[derive(Debug)]
pub(super) struct Looks(pub(super) Arc<Fronts>);

impl Work for Looks {
    /// The lane's number.
    type Request = i32;
    /// After what time a task can be leased if nothing changes, unless it is longer than a look sees.
    type Reply = Option<Duration>;

    const NAME: &'static str = "wait";
    const WRITES: bool = false;

    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>> {
        take_front(queue, BATCH_MAX, usize::MAX, |_| 0)
    }

    async fn run(&self, session: &Session, requests: &[&i32]) -> Result<Vec<Self::Reply>, Error> {
        let statement = session.statement(include_str!("sql/look.sql")).await?;
        let mut lanes: Vec<i32> = requests.iter().map(|lane| **lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let first: Vec<i64> = lanes.iter().map(|lane| self.0.from(*lane)).collect();
        let until = time::micros(LOOK_AGAIN);
        let rows = session.client.query(&statement, &[&lanes, &first, &until]).await?;
        let after = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        let found: HashMap<i32, Option<Duration>> =
            rows.iter().map(|row| (row.get(0), row.get::<_, Option<i64>>(1).map(after))).collect();
        Ok(requests.iter().map(|lane| found.get(*lane).copied().flatten()).collect())
    }
}
