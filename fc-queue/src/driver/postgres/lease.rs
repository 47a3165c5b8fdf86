//! Leases of many lanes in one statement.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{Lane, LeaseToken, Leased};
use tokio_postgres::{Error, Row};

use super::front::{Fronts, Scan};
use super::link::{Job, Session, Work};
use super::{BATCH_MAX, part, time};

/// Tasks wanted from one lane.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) lane: Lane,
    pub(super) lane_id: i32,
    pub(super) max: usize,
    pub(super) visibility: Duration,
}

/// Tasks that one statement leases, over all callers: more than one asks for are not given.
pub(super) const TASKS_MAX: usize = 1_024;

/// The work of leasing.
#[derive(Debug)]
pub(super) struct Leases(pub(super) Arc<Fronts>);

impl Work for Leases {
    type Request = Lease;
    type Reply = Vec<Leased>;

    const NAME: &'static str = "lease";
    const WRITES: bool = true;
    const IS_SHORT: bool = false;

    /// Those of one lane go together if they want it for the same time: the statement has one line for
    /// a lane, since it would give the same task to two.
    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>> {
        let mut lanes = HashMap::new();
        let mut tasks = 0;
        let mut count = 0;
        for Job { request, .. } in queue.iter().take(BATCH_MAX) {
            let visibility = *lanes.entry(request.lane_id).or_insert(request.visibility);
            tasks = usize::saturating_add(tasks, request.max);
            if visibility != request.visibility || (count > 0 && tasks > TASKS_MAX) {
                break;
            }
            count += 1;
        }
        queue.drain(..count).collect()
    }

    async fn run(&self, session: &Session, requests: &[&Lease]) -> Result<Vec<Self::Reply>, Error> {
        let statement = session.statement(include_str!("sql/lease.sql")).await?;
        let mut wanted: HashMap<i32, (i64, i64)> = HashMap::new();
        for request in requests {
            let visibility = time::micros(request.visibility);
            let lane = wanted.entry(request.lane_id).or_insert((0, visibility));
            lane.0 = lane.0.saturating_add(i64::try_from(request.max).unwrap_or(i64::MAX));
        }
        let mut lanes: Vec<i32> = wanted.keys().copied().collect();
        lanes.sort_unstable();
        let most: Vec<i64> = lanes.iter().map(|lane| wanted[lane].0).collect();
        let held: Vec<i64> = lanes.iter().map(|lane| wanted[lane].1).collect();
        let scans: Vec<Scan> = lanes.iter().map(|lane| self.0.begin(*lane)).collect();
        let first: Vec<i64> = scans.iter().map(|scan| scan.from).collect();
        let rows = session
            .client
            .query(&statement, &[&lanes, &most, &held, &part(session), &first])
            .await?;
        let mut of_lane: HashMap<i32, VecDeque<Row>> = HashMap::new();
        for row in rows {
            of_lane.entry(row.get(0)).or_default().push_back(row);
        }
        for ((lane, most), scan) in lanes.iter().zip(most).zip(scans) {
            end(scan, of_lane.entry(*lane).or_default(), most);
        }
        let answer = |request: &&Lease| {
            let rows = of_lane.entry(request.lane_id).or_default();
            let count = request.max.min(rows.len());
            rows.drain(..count).map(|row| leased(&request.lane, &row)).collect()
        };
        Ok(requests.iter().map(answer).collect())
    }
}

/// Tells up to where no fresh task is left, unless others than fresh ones took the places of some: those
/// were kept from other leases, and nobody knows which.
fn end(scan: Scan, rows: &VecDeque<Row>, most: i64) {
    let fresh: Vec<i64> = rows.iter().filter(|row| row.get(9)).map(|row| row.get(2)).collect();
    if fresh.len() == rows.len() || (rows.len() as i64) < most {
        scan.took(fresh.into_iter().max());
    }
}

fn leased(lane: &Lane, row: &Row) -> Leased {
    let unsigned = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    let bytes = |column| Bytes::copy_from_slice(row.get(column));
    let leases: i32 = row.get(6);
    Leased {
        token: LeaseToken {
            lane: lane.clone(),
            task: row.get(1),
            position: unsigned(2),
            fence: unsigned(3),
        },
        payload: bytes(4),
        note: bytes(5),
        leases_before: u32::try_from(leases.saturating_sub(1)).unwrap_or_default(),
        pushed_at: time::from_sql(row.get(7)),
        visible_at: time::from_sql(row.get(8)),
    }
}
