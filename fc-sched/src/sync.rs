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

/// An empty table, which grows at once, while its writers wait: papaya grows bit by bit unless told
/// otherwise, and a look-up then goes through the full tables of old, 85 slots in each. Among 100 000
/// keys that nobody adds to any more it took 630 ns, and takes 24 ns this way (`benches/sched.rs`,
/// warm).
pub(crate) fn table<K, V>() -> HashMap<K, V> {
    let hasher = foldhash::fast::RandomState::default();
    papaya::HashMap::builder().hasher(hasher).resize_mode(papaya::ResizeMode::Blocking).build()
}

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
