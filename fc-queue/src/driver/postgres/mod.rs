//! Queues in PostgreSQL.

mod bell;
mod extend;
mod front;
mod lanes;
mod lease;
mod link;
mod look;
mod operator;
mod push;
mod settle;
mod time;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, Queue,
    QueueCapabilities, Settlement, TaskView,
};
use fc_core::{Clock, Context, Result, Timestamp};

use crate::core::book::stale;
use bell::Bell;
use extend::{Extend, Extends};
use front::Fronts;
use lanes::Lanes;
use lease::{Lease, Leases, TASKS_MAX};
pub use link::PostgresConfig;
use link::{Connector, Group, Migrations, Pool, Session, migrate};
use look::Looks;
use push::{Push, Pushes};
use settle::{Held, Settle, Settles};
use time::ServerTime;

/// Operations in one statement, and bytes.
const BATCH_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

const MIGRATIONS: Migrations = Migrations {
    component: "queue",
    steps: &[include_str!("sql/1.sql"), include_str!("sql/2.sql")],
};

/// Queues in a PostgreSQL database, shared by all processes that use its schema.
///
/// - **Durable.** Every acknowledged operation, a lease too, was committed with
///   `synchronous_commit = on`. A server with `fsync` or `full_page_writes` off is refused, or declared
///   weak where the configuration accepts that.
/// - **Throughput.** What many callers ask at a time goes in one statement and one commit: while one is
///   on its way the next gathers. Nothing waits for a tick. One who asks alone speaks to the server in its
///   own poll; if it goes away, what it has sent is done by a task.
/// - **Time.** Delays and leases are counted by the server's clock: a caller's time is counted
///   from its own now, so that the machines' clocks need not agree. The times that a task tells are those of
///   the caller who gave them.
/// - **Waking.** `wait` is woken by `NOTIFY`, or by the next delay's end; one connection listens for all
///   lanes. A lost notification costs a second.
/// - **Depth** is counted as tasks come and go, in at most 32 parts of a lane; the oldest is found by
///   index.
/// - **Failures.** A session lost before anything was sent is replaced, or the operation is refused as
///   `ResourceThrottled`; lost afterwards, the outcome is `Unknown`.
///
/// Names of lanes stay when they are empty, some hundred bytes each.
///
/// # Requires
///
/// A tokio runtime with I/O and time; PostgreSQL 13 or newer; a role that may create the schema, or owns
/// it. It keeps eleven sessions if [`PostgresConfig::sessions`] is 2.
#[derive(Debug)]
pub struct PostgresQueue {
    capabilities: QueueCapabilities,
    clock: Arc<dyn Clock>,
    time: Arc<ServerTime>,
    pool: Pool,
    lanes: Lanes,
    bell: Bell,
    pushes: Group<Pushes>,
    leases: Group<Leases>,
    settles: Group<Settles>,
    extends: Group<Extends>,
    looks: Group<Looks>,
}

impl PostgresQueue {
    /// Connects, checks the server's settings, and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for settings of the server that are not safe, or TLS that cannot be had;
    /// `Unsupported` for a server that is too old or a schema that is too new; `ResourceThrottled` if the
    /// server cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn connect(config: PostgresConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let connector = Connector::new(config, clock.clone())?;
        let session = connector.open().await?;
        session.drive(migrate(&session, connector.schema(), &MIGRATIONS)).await?;
        let time = Arc::new(session.drive(server_time(&session, clock.clone())).await?);
        let capabilities = QueueCapabilities {
            durability: session.durability,
            ordered: true,
            atomic_settle: true,
            delay_max: Duration::from_secs(366 * 86_400),
            payload_bytes_max: 16 * 1024 * 1024,
            note_bytes_max: 256 * 1024,
        };
        let fronts = Fronts::new(clock.clone());
        let bell = Bell::start(connector.clone(), fronts.clone());
        Ok(Self {
            capabilities,
            pool: Pool::new(connector.clone()),
            lanes: Lanes::default(),
            pushes: Group::start(
                connector.clone(),
                Pushes { clock: clock.clone(), time: time.clone(), ringer: bell.ringer() },
            ),
            leases: Group::start(connector.clone(), Leases(fronts.clone())),
            settles: Group::start(connector.clone(), Settles(bell.ringer())),
            extends: Group::start(connector.clone(), Extends),
            looks: Group::start(connector, Looks(fronts)),
            bell,
            clock,
            time,
        })
    }

    /// A lease in the server's terms.
    async fn held(&self, lease: &LeaseToken) -> Result<Held> {
        let found = self.lanes.find(&self.pool, &lease.lane).await?;
        found.map(|lane_id| Held::new(lane_id, lease)).ok_or_else(|| stale(lease))
    }
}

async fn server_time(session: &Session, clock: Arc<dyn Clock>) -> Result<ServerTime> {
    let ask = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let before = clock.now();
    let row = session.client.query_one(ask, &[]).await;
    let row = row.map_err(|error| link::failed("connect", error, false))?;
    let after = clock.now();
    Ok(ServerTime::new(clock, before, after, row.get(0)))
}

/// The part of a lane's counts that a session adds to. Sessions that begin together have numbers in a
/// row, so those of one process seldom share one.
fn part(session: &Session) -> i32 {
    const PARTS: i32 = 32;
    session.backend.rem_euclid(PARTS)
}

#[async_trait]
impl Queue for PostgresQueue {
    fn capabilities(&self) -> QueueCapabilities {
        self.capabilities
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        let now = self.clock.wall();
        task.check(&self.capabilities, now)?;
        let number = self.lanes.number(&self.pool, lane).await?;
        self.pushes.ask(cx, Push::new(number, task, now, &self.time)).await
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        let number = self.lanes.number(&self.pool, lane).await?;
        self.bell.wait(cx, number, &self.looks).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let number = self.lanes.find(&self.pool, lane).await?;
        let Some(lane_id) = number.filter(|_| max > 0) else {
            return Ok(Vec::new());
        };
        let max = max.min(TASKS_MAX);
        self.leases.ask(cx, Lease { lane: lane.clone(), lane_id, max, visibility }).await
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        let held = self.held(lease).await?;
        let extended = self.extends.ask(cx, Extend { held, visibility }).await?;
        if extended { Ok(()) } else { Err(stale(lease)) }
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        let now = self.clock.wall();
        self.capabilities.check_settlement(&settlement, now)?;
        let held = self.held(lease).await?;
        let mut follow_ups = Vec::with_capacity(settlement.follow_ups.len());
        for follow_up in settlement.follow_ups {
            let number = self.lanes.number(&self.pool, &follow_up.lane).await?;
            follow_ups.push(Push::new(number, follow_up.task, now, &self.time));
        }
        let settle = Settle::new(held, settlement.verdict, follow_ups, now, &self.time);
        if self.settles.ask(cx, settle).await? { Ok(()) } else { Err(stale(lease)) }
    }

    async fn cancel(&self, _: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        match self.lanes.find(&self.pool, lane).await? {
            Some(number) => operator::cancel(&self.pool, number, id).await,
            None => Ok(Cancelled::Absent),
        }
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        match self.lanes.find(&self.pool, lane).await? {
            Some(number) => operator::depth(&self.pool, number).await,
            None => Ok(LaneDepth::default()),
        }
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        operator::lanes(&self.pool, after, max).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        match self.lanes.find(&self.pool, lane).await? {
            Some(number) => operator::list(&self.pool, number, place, after, max).await,
            None => Ok(Vec::new()),
        }
    }

    async fn redrive(
        &self,
        _: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.capabilities.check_note(&note)?;
        let Some(number) = self.lanes.find(&self.pool, lane).await? else {
            return Ok(0);
        };
        let ready_us = self.time.of(at);
        let told = operator::redrive(&self.pool, number, id, ready_us, at, &note).await;
        self.bell.ringer().ring([(number, None)]);
        told
    }

    async fn purge(&self, _: Context, lane: &Lane, place: Place) -> Result<u64> {
        operator::check_purge(place)?;
        match self.lanes.find(&self.pool, lane).await? {
            Some(number) => operator::purge(&self.pool, number, place).await,
            None => Ok(0),
        }
    }
}
