//! Renewals of many leases in one statement.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio_postgres::Error;

use super::link::{Job, Session, Work};
use super::settle::{Held, HeldColumns};
use super::{BATCH_MAX, part, time};

/// A lease that is to last.
#[derive(Debug)]
pub(super) struct Extend {
    pub(super) held: Held,
    pub(super) visibility: Duration,
}

/// The work of renewing.
#[derive(Debug)]
pub(super) struct Extends;

impl Work for Extends {
    type Request = Extend;
    /// Whether the lease held the task.
    type Reply = bool;

    const NAME: &'static str = "extend";
    const WRITES: bool = true;

    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>> {
        let mut positions = HashSet::new();
        let is_first = |job: &&Job<Self>| positions.insert(job.request.held.position);
        let count = queue.iter().take(BATCH_MAX).take_while(is_first).count();
        queue.drain(..count).collect()
    }

    async fn run(&self, session: &Session, requests: &[&Extend]) -> Result<Vec<bool>, Error> {
        let statement = session.statement(include_str!("sql/extend.sql")).await?;
        let mut sorted = requests.to_vec();
        sorted.sort_unstable_by(|a, b| {
            (a.held.lane_id, &a.held.id).cmp(&(b.held.lane_id, &b.held.id))
        });
        let h: HeldColumns<'_> = sorted.iter().map(|extend| &extend.held).collect();
        let held_us: Vec<i64> = sorted.iter().map(|e| time::micros(e.visibility)).collect();
        let row = session
            .client
            .query_one(
                &statement,
                &[&h.lane_id, &h.id, &h.position, &h.fence, &held_us, &part(session)],
            )
            .await?;
        let extended = row.get::<_, Option<Vec<i64>>>(0).into_iter().flatten();
        let extended: HashSet<i64> = extended.collect();
        Ok(requests.iter().map(|request| extended.contains(&request.held.position)).collect())
    }
}
