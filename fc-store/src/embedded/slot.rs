//! The open file, or why there is none.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fc_core::{Error, ErrorKind, Result};
use parking_lot::RwLock;
use redb::{Builder, Database, ReadTransaction};

use super::disk::{Disk, Faults, Observed, is_full};
use super::table;

/// Opens the file.
pub(super) type Opener = Box<dyn Fn() -> Result<Arc<dyn Disk>, redb::Error> + Send + Sync>;

/// The open file, or why there is none.
pub(super) struct Slot {
    open: Opener,
    cache_bytes: usize,
    /// Readers hold it while they read: whoever replaces the file waits for them. Never across an
    /// await.
    state: RwLock<State>,
}

enum State {
    Open(Open),
    /// It did not open again.
    Failed(Error),
    /// A sync failed: it is not opened again.
    Stopped,
    Closed,
}

struct Open {
    database: Database,
    disk: Arc<dyn Disk>,
    faults: Arc<Faults>,
}

/// What became of the file after an error.
pub(super) enum Reopened {
    /// It is open, and what is in it was synced: up to this revision.
    Until(u64),
    /// It is not open.
    No,
}

impl Slot {
    /// Opens the file; with the last revision.
    pub(super) fn open(open: Opener, cache_bytes: usize) -> Result<(u64, Self)> {
        let (opened, last) = attempt(&open, cache_bytes).map_err(|(error, _)| error)?;
        let state = RwLock::new(State::Open(opened));
        Ok((last, Self { open, cache_bytes, state }))
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T> {
        self.with(|database| work(&table::begin(database)?)).map_err(|failed| match failed {
            NotDone::Refused(error) => error,
            NotDone::Failed(error) => said("reading", error),
        })
    }

    /// Works on the file.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, NotDone> {
        match &*self.state.read() {
            State::Open(open) => work(&open.database).map_err(NotDone::Failed),
            State::Failed(error) => Err(NotDone::Refused(error.duplicate())),
            State::Stopped => Err(NotDone::Refused(stopped())),
            State::Closed => Err(NotDone::Refused(closed())),
        }
    }

    /// Whether it is worth trying to open the file again.
    pub(super) fn has_failed(&self) -> bool {
        matches!(*self.state.read(), State::Failed(_))
    }

    /// The growth that found no room, if it still would find none.
    pub(super) fn wants(&self) -> Option<u64> {
        let state = self.state.read();
        let State::Open(open) = &*state else { return None };
        let wanted = open.faults.wanted.load(Ordering::Acquire);
        (wanted > 0 && open.disk.free().is_some_and(|free| free < wanted)).then_some(wanted)
    }

    /// Room was made inside the file: growth is to be tried again.
    pub(super) fn roomier(&self) {
        if let State::Open(open) = &*self.state.read() {
            open.faults.wanted.store(0, Ordering::Release);
        }
    }

    /// Opens the file anew, unless a sync has failed. Waits for readers.
    pub(super) fn reopen(&self) -> Reopened {
        let mut state = self.state.write();
        let wanted = match &*state {
            State::Stopped | State::Closed => return Reopened::No,
            State::Failed(_) => 0,
            State::Open(open) if open.faults.sync.load(Ordering::Acquire) => {
                *state = State::Stopped;
                return Reopened::No;
            }
            State::Open(open) => open.faults.wanted.load(Ordering::Acquire),
        };
        // The old one has the lock of the file.
        *state = State::Failed(Error::internal("the store is being opened again"));
        match attempt(&self.open, self.cache_bytes) {
            Ok((open, last)) => {
                open.faults.wanted.store(wanted, Ordering::Release);
                *state = State::Open(open);
                Reopened::Until(last)
            }
            Err((_, true)) => {
                *state = State::Stopped;
                Reopened::No
            }
            Err((error, false)) => {
                *state = State::Failed(error);
                Reopened::No
            }
        }
    }

    pub(super) fn close(&self) {
        *self.state.write() = State::Closed;
    }
}

/// Why something was not done.
pub(super) enum NotDone {
    /// It was not begun.
    Refused(Error),
    /// It has failed, and nothing more is to be expected of this opening of the file.
    Failed(redb::Error),
}

/// With `true` if a sync failed.
fn attempt(open: &Opener, cache_bytes: usize) -> Result<(Open, u64), (Error, bool)> {
    let opening = |error| (said("opening", error), false);
    let disk = open().map_err(opening)?;
    let faults = Arc::<Faults>::default();
    let observed = Observed { disk: disk.clone(), faults: faults.clone() };
    let failed = |error: redb::Error| (said("opening", error), faults.sync.load(Ordering::Acquire));
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    let database = builder.create_with_backend(observed).map_err(|error| failed(error.into()))?;
    match table::ready(&database).map_err(failed)? {
        Some(last) => Ok((Open { database, disk, faults }, last)),
        None => Err((Error::invalid("path", "a store of another form"), false)),
    }
}

/// A failure in our words.
pub(super) fn said(doing: &str, error: redb::Error) -> Error {
    let what = format!("{doing} the store: {error}");
    match &error {
        redb::Error::Io(io) if is_full(io) => no_room(what),
        redb::Error::DatabaseAlreadyOpen => Error::new(ErrorKind::Conflict, what),
        _ => Error::internal(what),
    }
    .with_source(error)
}

pub(super) fn no_room(what: String) -> Error {
    Error::new(ErrorKind::ResourceThrottled, what)
}

pub(super) fn stopped() -> Error {
    Error::internal("the store has stopped after a failed sync: look at its disk, then start again")
        .with_retry(fc_core::Retry::Never)
}

pub(super) fn closed() -> Error {
    Error::internal("the store is closed").with_retry(fc_core::Retry::Never)
}
