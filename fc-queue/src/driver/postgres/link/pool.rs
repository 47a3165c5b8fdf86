//! Sessions for operations that come one by one.

use std::future::Future;
use std::sync::Arc;

use fc_core::{Error, Result};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::failure::{failed, is_conflict, not_sent};
use super::session::{Connector, Session};

/// How often a transaction that lost to another one is tried.
pub(super) const CONFLICT_TRIES: u32 = 5;

/// A few sessions, made when they are needed.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    idle: Mutex<Vec<Arc<Session>>>,
    places: Semaphore,
}

impl Pool {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        let places = Semaphore::new(connector.config.sessions);
        Self { connector, idle: Mutex::default(), places }
    }

    /// Runs `work` in a session of its own. It is tried again if it lost to another transaction, and, if
    /// it only reads, once more if the session was lost.
    pub(crate) async fn run<T, F>(
        &self,
        what: &str,
        writes: bool,
        work: impl Fn(Arc<Session>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>> + Send,
    {
        let closed = |_| not_sent(what, "the pool is closed");
        let _place = self.places.acquire().await.map_err(closed)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let session = self.session().await?;
            match self.bounded(session.drive(work(session.clone()))).await {
                Some(Ok(value)) => {
                    self.idle.lock().push(session);
                    return Ok(value);
                }
                Some(Err(error)) => {
                    if !session.is_closed() {
                        self.idle.lock().push(session);
                        if !is_conflict(&error) || tries >= CONFLICT_TRIES {
                            return Err(failed(what, error, writes));
                        }
                    } else if writes || tries >= 2 {
                        return Err(failed(what, error, writes));
                    }
                }
                None => return Err(late(what, writes)),
            }
        }
    }

    async fn session(&self) -> Result<Arc<Session>> {
        loop {
            let idle = self.idle.lock().pop();
            match idle {
                Some(session) if session.is_closed() => {}
                Some(session) => return Ok(session),
                None => return Ok(Arc::new(self.connector.open().await?)),
            }
        }
    }

    async fn bounded<F: Future>(&self, work: F) -> Option<F::Output> {
        let limit = self.connector.clock.now() + self.connector.config.operation_max;
        self.connector.clock.with_deadline(limit, work).await.ok()
    }
}

/// The server has not answered in time.
pub(super) fn late(what: &str, writes: bool) -> Error {
    use fc_core::ErrorKind::{ResourceThrottled, Unknown};
    let kind = if writes { Unknown } else { ResourceThrottled };
    Error::new(kind, format!("{what}: PostgreSQL has not answered in time"))
}
