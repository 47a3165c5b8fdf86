//! What callers, the writer and the reader share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fc_core::port::queue::QueueCapabilities;
use parking_lot::Mutex;

use super::command::Inbox;
use super::leases::LeaseLog;
use super::state::State;
use super::waiters::Waiters;
use crate::anchored::AnchoredClock;

/// What callers, the writer and the reader share.
#[derive(Debug)]
pub(super) struct Shared {
    pub capabilities: QueueCapabilities,
    pub clock: AnchoredClock,
    pub state: Mutex<State>,
    pub inbox: Inbox,
    pub waiters: Waiters,
    pub leases: Mutex<LeaseLog>,
    /// Frames that were written and synced.
    pub frames: AtomicU64,
}

/// The writer's end: whoever still waits then is told that the outcome is not known.
#[derive(Debug)]
pub(super) struct Last(pub Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.inbox.abandon();
    }
}
