//! The changes of all processes, in their order, for the watchers of this one.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use fc_core::Result;
use fc_core::port::store::{Change, Record, Revision};
use futures_util::future::select;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_postgres::Row;

use super::link::{Connector, Notifications, Session, failed};
use super::{CHANGES_MAX, revision, text};
use crate::watch::{Watched, Watchers};

/// How long to trust that a change is told of: a notification may be lost with its session.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Changes that are read at a time.
const PAGE: i64 = 256;

/// What changes are kept in this process for those who have not read them yet, bytes.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads changes as they come, as long as there is the store or somebody who watches.
#[derive(Debug)]
pub(super) struct Follower {
    followed: Arc<Followed>,
    is_told: Arc<Notify>,
}

/// The last changes, and who follows them.
pub(super) struct Followed {
    watchers: Mutex<Watchers>,
}

impl Followed {
    pub(super) fn add(
        &self,
        prefix: &str,
        since: Option<Revision>,
        written: Revision,
    ) -> Result<u64> {
        self.watchers.lock().add(prefix, since, written)
    }
}

impl std::fmt::Debug for Followed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Followed")
            .field("last", &self.watchers.lock().last())
            .finish_non_exhaustive()
    }
}

impl Watched for Followed {
    fn with<T>(&self, work: impl FnOnce(&mut Watchers) -> T) -> T {
        work(&mut self.watchers.lock())
    }
}

impl Follower {
    /// Begins with the changes that the database still has.
    pub(super) async fn start(
        connector: Arc<Connector>,
        session: &Session,
        channel: String,
    ) -> Result<Self> {
        let oldest = "SELECT coalesce((SELECT min(revision) - 1 FROM change), revision) FROM head";
        let row = session.client.query_one(oldest, &[]).await;
        let row = row.map_err(|error| failed("watch", error, false))?;
        let watchers = Mutex::new(Watchers::behind(revision(row.get(0))));
        let (followed, is_told) = (Arc::new(Followed { watchers }), Arc::new(Notify::new()));
        read(session, &followed).await?;
        let weak = Arc::downgrade(&followed);
        tokio::spawn(follow(connector, weak, is_told.clone(), channel));
        Ok(Self { followed, is_told })
    }

    pub(super) fn watched(&self) -> Arc<Followed> {
        self.followed.clone()
    }

    /// Looks for changes now.
    pub(super) fn look(&self) {
        self.is_told.notify_one();
    }
}

/// Reads whenever something is told, and each second, through one session after the other.
async fn follow(
    connector: Arc<Connector>,
    followed: Weak<Followed>,
    is_told: Arc<Notify>,
    channel: String,
) {
    let clock = connector.clock.clone();
    let mut pause = PAUSE_MIN;
    while followed.strong_count() > 0 {
        let error = match listen(&connector, &channel).await {
            Ok((session, mut told)) => loop {
                let Some(watched) = followed.upgrade() else {
                    return;
                };
                if let Err(error) = read(&session, &watched).await {
                    break error;
                }
                drop(watched);
                pause = PAUSE_MIN;
                {
                    let (change, wish) = (pin!(told.recv()), pin!(is_told.notified()));
                    let either = select(change, wish);
                    // Nothing was told: look nevertheless.
                    let _ = clock.with_deadline(clock.now() + LOOK_AGAIN, either).await;
                }
                // One look is for all of them.
                while told.try_recv().is_ok() {}
            },
            Err(error) => error,
        };
        tracing::debug!(%error, "watchers are not told of changes");
        clock.sleep_until(clock.now() + pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn listen(connector: &Connector, channel: &str) -> Result<(Session, Notifications)> {
    let (session, told) = connector.open_to_listen().await?;
    let heard = session.client.batch_execute(&format!("LISTEN \"{channel}\"")).await;
    heard.map_err(|error| failed("listen", error, false))?;
    Ok((session, told))
}

/// Hands all new changes to the watchers.
async fn read(session: &Session, followed: &Followed) -> Result<()> {
    loop {
        let last = followed.watchers.lock().last();
        let rows = page(session, last).await.map_err(|error| failed("watch", error, false))?;
        let count = rows.len();
        let mut woken = Vec::new();
        for row in &rows {
            let at = revision(row.get(0));
            let change = change(row, at)?;
            let mut watchers = followed.watchers.lock();
            if at.0 != watchers.last().0 + 1 {
                // Older ones are gone already: whoever has not read them must start over.
                woken.extend(watchers.skip_to(Revision(at.0 - 1)));
            }
            woken.extend(watchers.tell(change, CHANGES_MAX as usize, KEPT_BYTES_MAX));
        }
        // Without the lock: a waker may run its task here.
        woken.into_iter().for_each(std::task::Waker::wake);
        if (count as i64) < PAGE {
            return Ok(());
        }
    }
}

async fn page(session: &Session, last: Revision) -> Result<Vec<Row>, tokio_postgres::Error> {
    let page =
        "SELECT revision, key, value FROM change WHERE revision > $1 ORDER BY revision LIMIT $2";
    let statement = session.statement(page).await?;
    let last = i64::try_from(last.0).unwrap_or(i64::MAX);
    session.client.query(&statement, &[&last, &PAGE]).await
}

fn change(row: &Row, revision: Revision) -> Result<Change> {
    let key = text(row.get(1))?;
    Ok(match row.get::<_, Option<&[u8]>>(2) {
        Some(value) => Change::Put(Record { key, value: Bytes::copy_from_slice(value), revision }),
        None => Change::Deleted { key, revision },
    })
}
