//! One session with the server, and how it is made.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

use fc_core::port::store::Durability;
use fc_core::{Clock, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, NoTls, Notification, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::failed;
use super::{PostgresConfig, tls};

/// The oldest server that has all we ask for.
const VERSION_MIN: i32 = 130_000;

/// Notifications that wait for their reader; whoever misses one looks again within its own bound.
const NOTIFICATIONS_MAX: usize = 1_024;

/// What others told on the channels that a session listens to. It ends with the session.
pub(crate) type Notifications = mpsc::Receiver<Notification>;

/// Makes sessions.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(super) config: PostgresConfig,
    pub(crate) clock: Arc<dyn Clock>,
    tls: Option<Tls>,
}

struct Tls(MakeRustlsConnect);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rustls")
    }
}

impl Connector {
    pub(crate) fn new(mut config: PostgresConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let wants_tls = config.server.get_ssl_mode() == SslMode::Require;
        let tls = if wants_tls { Some(Tls(tls::connector(&config.roots_pem)?)) } else { None };
        if !wants_tls {
            config.server.ssl_mode(SslMode::Disable);
        }
        Ok(Arc::new(Self { config, clock, tls }))
    }

    pub(crate) fn schema(&self) -> &str {
        &self.config.schema
    }

    /// A session with our settings, on a server that keeps what it acknowledges. Whoever uses it drives
    /// it.
    pub(crate) async fn open(&self) -> Result<Session> {
        let limit = self.clock.now() + self.config.operation_max;
        let opened = self.clock.with_deadline(limit, Box::pin(self.connect())).await;
        opened.unwrap_or_else(|_| Err(unreachable("no answer in time")))
    }

    /// A session that a task drives, and what the server tells it.
    pub(crate) async fn open_to_listen(&self) -> Result<(Session, Notifications)> {
        let mut session = self.open().await?;
        let (teller, notifications) = mpsc::channel(NOTIFICATIONS_MAX);
        session.have_driven(teller);
        Ok((session, notifications))
    }

    async fn connect(&self) -> Result<Session> {
        let server = &self.config.server;
        let (client, wire): (_, Wire) = match &self.tls {
            Some(Tls(tls)) => {
                let (client, mut connection) =
                    server.connect(tls.clone()).await.map_err(not_connected)?;
                (client, Box::new(move |cx| connection.poll_message(cx)))
            }
            None => {
                let (client, mut connection) =
                    server.connect(NoTls).await.map_err(not_connected)?;
                (client, Box::new(move |cx| connection.poll_message(cx)))
            }
        };
        let mut session = Session {
            client,
            driver: Driver::User(Mutex::new(Some(wire))),
            statements: Mutex::default(),
            durability: Durability::ProcessMemory,
            backend: 0,
        };
        let settings = settings(&self.config);
        session.drive(session.client.batch_execute(&settings)).await.map_err(not_connected)?;
        session.check(&self.config).await?;
        tracing::debug!(backend = session.backend, "a session with PostgreSQL begins");
        Ok(session)
    }
}

/// What carries a session's requests and answers while it is polled.
type Wire = Box<
    dyn FnMut(&mut task::Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>>
        + Send,
>;

/// Carries what there is to carry; ready once the session has ended.
fn carry(
    wire: &mut Wire,
    cx: &mut task::Context<'_>,
    teller: Option<&mpsc::Sender<Notification>>,
) -> Poll<()> {
    loop {
        match wire(cx) {
            Poll::Pending => return Poll::Pending,
            // One that finds no place is made up for by the reader's own looking.
            Poll::Ready(Some(Ok(AsyncMessage::Notification(told)))) => {
                teller.map(|teller| teller.try_send(told));
            }
            Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                tracing::debug!(code = notice.code().code(), "PostgreSQL: {}", notice.message());
            }
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "a session with PostgreSQL has ended");
                return Poll::Ready(());
            }
            Poll::Ready(None) => return Poll::Ready(()),
        }
    }
}

fn carry_all(wire: &Mutex<Option<Wire>>, cx: &mut task::Context<'_>) {
    let mut wire = wire.lock();
    let is_ended = wire.as_mut().is_some_and(|wire| carry(wire, cx, None).is_ready());
    if is_ended {
        // Who waits for an answer is told by this.
        *wire = None;
    }
}

/// A session's settings. Plans do not depend on statistics: each of our statements goes by an index,
/// also when the server has not yet seen that a table has grown.
fn settings(config: &PostgresConfig) -> String {
    format!(
        "SET search_path TO \"{}\", pg_catalog; SET synchronous_commit = on; \
         SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; \
         SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off; \
         SET TIME ZONE 'UTC'; SET default_transaction_isolation = 'read committed'; \
         SET statement_timeout = {timeout}; SET lock_timeout = {timeout}; \
         SET idle_in_transaction_session_timeout = {timeout}",
        config.schema,
        timeout = config.operation_max.as_millis(),
    )
}

/// A session; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    driver: Driver,
    statements: Mutex<HashMap<Box<str>, Statement>>,
    /// What a commit of this session survives.
    pub(crate) durability: Durability,
    /// The server's process of this session.
    pub(crate) backend: i32,
}

/// Who polls the wire.
enum Driver {
    /// Whoever uses the session, in its own poll: no other task has to be woken to send a request, nor
    /// to hand on the answer. Empty once the session has ended.
    User(Mutex<Option<Wire>>),
    Task(JoinHandle<()>),
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User(_) => "user",
            Self::Task(_) => "task",
        })
    }
}

impl Session {
    /// The statement, prepared once in a session.
    pub(crate) async fn statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(known) = self.statements.lock().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.lock().insert(sql.into(), statement.clone());
        Ok(statement)
    }

    /// Does `work`, which waits for nothing but what it asks the server through this session.
    pub(crate) async fn drive<F: Future>(&self, work: F) -> F::Output {
        let Driver::User(wire) = &self.driver else {
            return work.await;
        };
        let mut work = pin!(work);
        poll_fn(|cx| {
            // Its answers come through the wire below, in this poll: to be woken for them would run this
            // task once more. A request does wake it, if the wire was polled before.
            let mut quiet = task::Context::from_waker(Waker::noop());
            let asked = work.as_mut().poll(&mut quiet);
            if asked.is_ready() {
                return asked;
            }
            carry_all(wire, cx);
            work.as_mut().poll(&mut quiet)
        })
        .await
    }

    fn have_driven(&mut self, teller: mpsc::Sender<Notification>) {
        if let Driver::User(wire) = &mut self.driver
            && let Some(mut wire) = wire.get_mut().take()
        {
            let drive = poll_fn(move |cx| carry(&mut wire, cx, Some(&teller)));
            self.driver = Driver::Task(tokio::spawn(drive));
        }
    }

    /// Whether the session has ended, as far as the server has told by now.
    pub(crate) fn is_closed(&self) -> bool {
        if let Driver::User(wire) = &self.driver {
            // Nor is anybody woken by the next request, before it is driven.
            carry_all(wire, &mut task::Context::from_waker(Waker::noop()));
        }
        self.client.is_closed()
    }

    async fn check(&mut self, config: &PostgresConfig) -> Result<()> {
        let asked = "SELECT current_setting('fsync'), current_setting('full_page_writes'), \
                     current_setting('synchronous_commit'), pg_is_in_recovery(), \
                     current_setting('server_version_num')::int, pg_backend_pid()";
        let row = self.drive(self.client.query_one(asked, &[])).await.map_err(not_connected)?;
        let version: i32 = row.get(4);
        if version < VERSION_MIN {
            let what =
                format!("version {version} is too old, {VERSION_MIN} is the oldest that serves");
            return Err(Error::new(ErrorKind::Unsupported, format!("PostgreSQL: {what}")));
        }
        if row.get(3) {
            return Err(unreachable("the server is a standby and takes no writes"));
        }
        let names = ["fsync", "full_page_writes", "synchronous_commit"];
        let is_off = |(index, _): &(usize, &&str)| row.get::<_, &str>(*index) != "on";
        let weak: Vec<&str> = names.iter().enumerate().filter(is_off).map(|(_, n)| *n).collect();
        self.backend = row.get(5);
        self.durability = match (weak.is_empty(), config.weak_accepted) {
            (true, _) => Durability::Fsync,
            (false, true) => {
                tracing::warn!(off = ?weak, "PostgreSQL may lose what it acknowledges");
                Durability::ProcessMemory
            }
            (false, false) => {
                let what = format!("{weak:?} must be on, or what was acknowledged may be lost");
                return Err(Error::invalid("PostgreSQL settings", what));
            }
        };
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Driver::Task(task) = &self.driver {
            task.abort();
        }
    }
}

fn not_connected(error: tokio_postgres::Error) -> Error {
    failed("connect", error, false)
}

fn unreachable(why: &str) -> Error {
    Error::new(ErrorKind::ResourceThrottled, format!("PostgreSQL cannot be used: {why}"))
}
