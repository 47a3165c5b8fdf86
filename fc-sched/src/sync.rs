//! What the shell's tasks share state with, and wait with.
//!
//! Named in one place, because `tests/schedules` compiles the shell a second time, with a module of
//! this name whose every operation is a scheduling point of shuttle's.

pub(crate) use parking_lot::Mutex;
pub(crate) use tokio::select;
pub(crate) use tokio::sync::{Notify, OnceCell, oneshot};
pub(crate) use tokio::task::AbortHandle;
pub(crate) use tokio_util::sync::CancellationToken;
pub(crate) use tokio_util::task::TaskTracker;

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
}

/// Keys are the platform's own: no caller can make them collide.
pub(crate) type HashMap<K, V> = papaya::HashMap<K, V, foldhash::fast::RandomState>;

/// A bug that `tests/schedules` plants, to show that it finds such.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Planted {
    /// A pool that is made while the platform shuts down stays open.
    OpensPoolLate,
    /// An instance that becomes ready on a node that was just lost goes on.
    KeepsLost,
}

/// Whether this bug is planted: never here.
pub(crate) const fn planted(_: Planted) -> bool {
    false
}
