//! Settlements of many callers in one statement.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use fc_core::Timestamp;
use fc_core::port::queue::{LeaseToken, Verdict};
use tokio_postgres::Error;

use super::bell::Ringer;
use super::link::{Job, Session, Work};
use super::push::{Columns, Push};
use super::time::{self, ServerTime};
use super::{BATCH_BYTES_MAX, BATCH_MAX, part};

/// A lease that somebody names, in the server's terms.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lane_id: i32,
    pub(super) id: String,
    pub(super) position: i64,
    pub(super) fence: i64,
}

impl Held {
    pub(super) fn new(lane_id: i32, lease: &LeaseToken) -> Self {
        // What the server never gave holds nothing.
        let signed = |number: u64| i64::try_from(number).unwrap_or(-1);
        let (position, fence) = (signed(lease.position), signed(lease.fence));
        // A task that nobody leased has fence 0.
        let fence = if fence == 0 { -1 } else { fence };
        Self { lane_id, id: lease.task.clone(), position, fence }
    }
}

/// Leases, in columns.
#[derive(Default)]
pub(super) struct HeldColumns<'r> {
    pub(super) lane_id: Vec<i32>,
    pub(super) id: Vec<&'r str>,
    pub(super) position: Vec<i64>,
    pub(super) fence: Vec<i64>,
}

impl<'r> FromIterator<&'r Held> for HeldColumns<'r> {
    fn from_iter<I: IntoIterator<Item = &'r Held>>(leases: I) -> Self {
        let mut columns = Self::default();
        for held in leases {
            columns.lane_id.push(held.lane_id);
            columns.id.push(&held.id);
            columns.position.push(held.position);
            columns.fence.push(held.fence);
        }
        columns
    }
}

/// A lease's end.
#[derive(Debug)]
pub(super) struct Settle {
    held: Held,
    verdict: i16,
    ready_us: Option<i64>,
    visible_ms: i64,
    note: Bytes,
    reason: Option<String>,
    follow_ups: Vec<Push>,
}

const DONE: i16 = 0;
const RETRY: i16 = 1;
const BURY: i16 = 2;

/// Settlements of one lease that go in a shorter statement, for which the server takes three quarters of
/// the time (measured with 32); it compares each with each.
const ONE_LEASE_MAX: usize = 64;

impl Settle {
    pub(super) fn new(
        held: Held,
        verdict: Verdict,
        follow_ups: Vec<Push>,
        now: Timestamp,
        time: &ServerTime,
    ) -> Self {
        let (verdict, at, note, reason) = match verdict {
            Verdict::Done => (DONE, now, Bytes::new(), None),
            Verdict::Retry { at, note } => (RETRY, at, note, None),
            Verdict::Bury { reason, note } => (BURY, now, note, Some(reason)),
        };
        let (ready_us, visible_ms) = (time.of(at), time::to_sql(at));
        Self { held, verdict, ready_us, visible_ms, note, reason, follow_ups }
    }

    fn bytes(&self) -> usize {
        let reason = self.reason.as_ref().map_or(0, String::len);
        self.note.len() + reason + self.follow_ups.iter().map(Push::bytes).sum::<usize>()
    }
}

/// The work of settling.
#[derive(Debug)]
pub(super) struct Settles(pub(super) Ringer);

impl Work for Settles {
    type Request = Settle;
    /// Whether the lease held the task.
    type Reply = bool;

    const NAME: &'static str = "settle";
    const WRITES: bool = true;

    /// A task's second settlement waits for the next statement, which finds it settled.
    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>> {
        let mut positions = HashSet::new();
        let mut bytes = 0;
        let fits = |Job { request, .. }: &&Job<Self>| {
            bytes += request.bytes();
            positions.insert(request.held.position) && bytes <= BATCH_BYTES_MAX
        };
        let count = queue.iter().take(BATCH_MAX).take_while(fits).count().max(1);
        queue.drain(..count.min(queue.len())).collect()
    }

    async fn run(&self, session: &Session, requests: &[&Settle]) -> Result<Vec<bool>, Error> {
        // Locks are taken in one order, whoever else settles.
        let mut sorted = requests.to_vec();
        sorted.sort_unstable_by(|a, b| {
            (a.held.lane_id, &a.held.id).cmp(&(b.held.lane_id, &b.held.id))
        });
        let is_done = |s: &&Settle| s.verdict == DONE && s.follow_ups.is_empty();
        let settled = if let (true, Some(first)) = (sorted.iter().all(is_done), sorted.first()) {
            let lease = |s: &&Settle| (s.held.lane_id, s.held.fence);
            if sorted.len() <= ONE_LEASE_MAX
                && sorted.iter().all(|settle| lease(settle) == lease(first))
            {
                all_of_one_done(session, lease(first), &sorted).await?
            } else {
                all_done(session, &sorted).await?
            }
        } else {
            self.settle(session, &sorted).await?
        };
        let settled: HashSet<i64> = settled.into_iter().flatten().collect();
        Ok(requests.iter().map(|request| settled.contains(&request.held.position)).collect())
    }
}

async fn all_done(session: &Session, sorted: &[&Settle]) -> Result<Option<Vec<i64>>, Error> {
    let statement = session.statement(include_str!("sql/settle_done.sql")).await?;
    let h: HeldColumns<'_> = sorted.iter().map(|settle| &settle.held).collect();
    let held: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&h.lane_id, &h.id, &h.position, &h.fence, &part(session)];
    Ok(session.client.query_one(&statement, &held).await?.get(0))
}

/// What one statement leased has one fence.
async fn all_of_one_done(
    session: &Session,
    (lane_id, fence): (i32, i64),
    sorted: &[&Settle],
) -> Result<Option<Vec<i64>>, Error> {
    let statement = session.statement(include_str!("sql/settle_lease.sql")).await?;
    let id: Vec<&str> = sorted.iter().map(|settle| &*settle.held.id).collect();
    let position: Vec<i64> = sorted.iter().map(|settle| settle.held.position).collect();
    let held: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&lane_id, &fence, &id, &position, &part(session)];
    Ok(session.client.query_one(&statement, &held).await?.get(0))
}

impl Settles {
    async fn settle(
        &self,
        session: &Session,
        sorted: &[&Settle],
    ) -> Result<Option<Vec<i64>>, Error> {
        let statement = session.statement(include_str!("sql/settle.sql")).await?;
        let h: HeldColumns<'_> = sorted.iter().map(|settle| &settle.held).collect();
        let verdict: Vec<i16> = sorted.iter().map(|s| s.verdict).collect();
        let ready_us: Vec<Option<i64>> = sorted.iter().map(|s| s.ready_us).collect();
        let visible_ms: Vec<i64> = sorted.iter().map(|s| s.visible_ms).collect();
        let note: Vec<&[u8]> = sorted.iter().map(|s| &*s.note).collect();
        let reason: Vec<Option<&[u8]>> =
            sorted.iter().map(|s| s.reason.as_deref().map(str::as_bytes)).collect();
        let followers = || sorted.iter().flat_map(|s| s.follow_ups.iter().map(move |f| (s, f)));
        let owner: Vec<i64> = followers().map(|(owner, _)| owner.held.position).collect();
        let f: Columns<'_> = followers().map(|(_, follower)| follower).collect();
        let row = session
            .client
            .query_one(
                &statement,
                &[
                    &h.lane_id,
                    &h.id,
                    &h.position,
                    &h.fence,
                    &verdict,
                    &ready_us,
                    &visible_ms,
                    &note,
                    &reason,
                    &owner,
                    &f.lane_id,
                    &f.id,
                    &f.payload,
                    &f.note,
                    &f.ready_us,
                    &f.visible_ms,
                    &f.pushed_ms,
                    &part(session),
                ],
            )
            .await?;
        let (lanes, positions): (Option<Vec<i32>>, Option<Vec<Option<i64>>>) =
            (row.get(1), row.get(2));
        let pushed = lanes.into_iter().flatten().zip(positions.into_iter().flatten());
        let again = sorted.iter().filter(|settle| settle.verdict == RETRY);
        let again = again.map(|settle| (settle.held.lane_id, None));
        self.0.ring(pushed.chain(again));
        Ok(row.get(0))
    }
}
