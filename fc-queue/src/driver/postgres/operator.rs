//! What an operator asks, one at a time: depth, lists, cancellation, redrive, purge.

use bytes::Bytes;
use fc_core::port::queue::{Cancelled, Lane, LaneDepth, Place, TaskView};
use fc_core::{Error, ErrorKind, Result, Timestamp};
use tokio_postgres::Row;

use super::link::{Pool, Session};
use super::{part, time};

/// Tasks that one transaction of a redrive or a purge changes.
const STEP: i64 = 5_000;

/// The tasks of a place, index by index: a parameter would hide which one serves.
const fn parts(place: Place) -> &'static [&'static str] {
    match place {
        Place::Waiting => &["place = 0 AND NOT late", "place = 0 AND late"],
        Place::Leased => &["place = 1"],
        Place::Buried => &["place = 2"],
    }
}

/// Lets tasks wait again whose leases have ended. Each ended lease is paid for once.
async fn reclaim(session: &Session, lane_id: i32) -> Result<(), tokio_postgres::Error> {
    let statement = session.statement(include_str!("sql/reclaim.sql")).await?;
    loop {
        let row = session.client.query_one(&statement, &[&lane_id, &STEP, &part(session)]).await?;
        if row.get::<_, i64>(0) < STEP {
            return Ok(());
        }
    }
}

pub(super) async fn depth(pool: &Pool, lane_id: i32) -> Result<LaneDepth> {
    // What it changes, time has changed already.
    pool.run("depth", false, |session| async move {
        reclaim(&session, lane_id).await?;
        let statement = session.statement(include_str!("sql/depth.sql")).await?;
        let row = session.client.query_one(&statement, &[&lane_id]).await?;
        let count = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        Ok(LaneDepth {
            waiting: count(0),
            leased: count(1),
            buried: count(2),
            oldest: row.get::<_, Option<i64>>(3).map(time::from_sql),
        })
    })
    .await
}

pub(super) async fn lanes(pool: &Pool, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
    // Every name is behind the empty one.
    let (after, max) = (after.map_or("", Lane::as_str), limit(max));
    let rows: Vec<Row> = pool
        .run("lanes", false, |session| async move {
            let statement = session.statement(include_str!("sql/lanes.sql")).await?;
            session.client.query(&statement, &[&after, &max]).await
        })
        .await?;
    rows.iter().map(|row| Lane::new(row.get(0))).collect()
}

pub(super) async fn list(
    pool: &Pool,
    lane_id: i32,
    place: Place,
    after: Option<u64>,
    max: usize,
) -> Result<Vec<TaskView>> {
    let list = |is_meant: &&str| include_str!("sql/list.sql").replace("{is_meant}", is_meant);
    let listed: Vec<String> = parts(place).iter().map(list).collect();
    let listed = listed.join(" UNION ALL ");
    let sql = &*format!("SELECT * FROM ({listed}) t ORDER BY position LIMIT $3");
    let (after, max) = (after.map_or(0, position), limit(max));
    let rows: Vec<Row> = pool
        .run("list", false, |session| async move {
            reclaim(&session, lane_id).await?;
            let statement = session.statement(sql).await?;
            session.client.query(&statement, &[&lane_id, &after, &max]).await
        })
        .await?;
    Ok(rows.iter().map(view).collect())
}

fn view(row: &Row) -> TaskView {
    let reason: Option<&[u8]> = row.get(7);
    TaskView {
        position: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
        id: row.get(1),
        payload: Bytes::copy_from_slice(row.get(2)),
        note: Bytes::copy_from_slice(row.get(3)),
        pushed_at: time::from_sql(row.get(4)),
        visible_at: time::from_sql(row.get(5)),
        leases: u32::try_from(row.get::<_, i32>(6)).unwrap_or_default(),
        reason: reason.map(|reason| String::from_utf8_lossy(reason).into_owned()),
    }
}

pub(super) async fn cancel(pool: &Pool, lane_id: i32, id: &str) -> Result<Cancelled> {
    pool.run("cancel", true, |session| async move {
        let statement = session.statement(include_str!("sql/cancel.sql")).await?;
        let row = session.client.query_one(&statement, &[&lane_id, &id, &part(&session)]).await?;
        Ok(match (row.get(0), row.get(1)) {
            (true, _) => Cancelled::Removed,
            (false, true) => Cancelled::Held,
            (false, false) => Cancelled::Absent,
        })
    })
    .await
}

pub(super) async fn redrive(
    pool: &Pool,
    lane_id: i32,
    id: Option<&str>,
    ready_us: Option<i64>,
    at: Timestamp,
    note: &Bytes,
) -> Result<u64> {
    let (first, last) = match id {
        None => (0, newest(pool).await?),
        Some(id) => match position_of(pool, lane_id, id).await? {
            Some(position) => (position - 1, position),
            None => return Ok(0),
        },
    };
    let (visible_ms, note) = (time::to_sql(at), &**note);
    in_steps("redrive", 0, first, |behind| {
        pool.run("redrive", true, move |session| async move {
            let statement = session.statement(include_str!("sql/redrive.sql")).await?;
            let part = part(&session);
            session
                .client
                .query_one(
                    &statement,
                    &[&lane_id, &behind, &last, &STEP, &part, &note, &visible_ms, &ready_us],
                )
                .await
        })
    })
    .await
}

/// Refuses to purge what somebody holds.
pub(super) fn check_purge(place: Place) -> Result<()> {
    match place {
        Place::Leased => Err(Error::invalid("place", "leased tasks cannot be purged")),
        Place::Waiting | Place::Buried => Ok(()),
    }
}

pub(super) async fn purge(pool: &Pool, lane_id: i32, place: Place) -> Result<u64> {
    let last = newest(pool).await?;
    let ended = pool.run("purge", false, |session| async move { reclaim(&session, lane_id).await });
    ended.await?;
    let mut sum = 0;
    for is_meant in parts(place) {
        let sql = &*include_str!("sql/purge.sql").replace("{is_meant}", is_meant);
        let step = |behind| {
            pool.run("purge", true, move |session| async move {
                let statement = session.statement(sql).await?;
                let part = part(&session);
                session
                    .client
                    .query_one(&statement, &[&lane_id, &behind, &last, &STEP, &part])
                    .await
            })
        };
        sum = in_steps("purge", sum, 0, step).await?;
    }
    Ok(sum)
}

/// Goes on behind the last position while there is more. What fails after the first step has done some.
/// `sum`: tasks that were done before.
async fn in_steps<F>(
    what: &str,
    mut sum: u64,
    mut behind: i64,
    mut step: impl FnMut(i64) -> F,
) -> Result<u64>
where
    F: Future<Output = Result<Row>>,
{
    loop {
        let row = match step(behind).await {
            Ok(row) => row,
            Err(error) if sum == 0 => return Err(error),
            Err(error) => {
                let what = format!("{what}: {sum} tasks are done, then: {}", error.message());
                return Err(Error::new(ErrorKind::Unknown, what).with_source(error));
            }
        };
        let count: i64 = row.get(0);
        sum += u64::try_from(count).unwrap_or_default();
        match row.get(1) {
            Some(last) if count == STEP => behind = last,
            _ => return Ok(sum),
        }
    }
}

/// The last position that was given: what is pushed later is not meant.
async fn newest(pool: &Pool) -> Result<i64> {
    pool.run("newest", false, |session| async move {
        let statement = session.statement("SELECT last_value FROM position").await?;
        Ok(session.client.query_one(&statement, &[]).await?.get(0))
    })
    .await
}

async fn position_of(pool: &Pool, lane_id: i32, id: &str) -> Result<Option<i64>> {
    pool.run("redrive", false, |session| async move {
        let find = "SELECT position FROM task WHERE lane_id = $1 AND id = $2";
        let statement = session.statement(find).await?;
        let row = session.client.query_opt(&statement, &[&lane_id, &id]).await?;
        Ok(row.map(|row| row.get(0)))
    })
    .await
}

fn position(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}

fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
