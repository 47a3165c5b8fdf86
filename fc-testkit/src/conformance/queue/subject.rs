//! What the cases take.

use std::fmt;
use std::sync::Arc;

use fc_core::{Clock, Queue};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

/// Ends a queue as a crash would, and opens what is left of it. It is given the last reference that
/// the suite has.
pub type Reopen = Box<dyn Fn(Arc<dyn Queue>) -> BoxFuture<'static, Arc<dyn Queue>> + Send + Sync>;

/// A queue, its clock, and how it is opened again.
pub struct Subject {
    /// `None` while it is opened again.
    queue: Mutex<Option<Arc<dyn Queue>>>,
    clock: Arc<dyn Clock>,
    reopen: Option<Reopen>,
}

impl Subject {
    /// A queue that was given this clock.
    pub fn new(queue: Arc<dyn Queue>, clock: Arc<dyn Clock>) -> Self {
        Self { queue: Mutex::new(Some(queue)), clock, reopen: None }
    }

    /// The same, with what a restart is for it, which what was acknowledged must survive: the rules
    /// about that are tried out, too. A queue that declares more than
    /// [`ProcessMemory`](fc_core::port::store::Durability::ProcessMemory) ought to have this.
    #[must_use]
    pub fn reopened_by(mut self, reopen: Reopen) -> Self {
        self.reopen = Some(reopen);
        self
    }

    pub(super) fn queue(&self) -> Arc<dyn Queue> {
        // No case uses the queue while the same case opens it again.
        self.queue.lock().clone().expect("the queue is being opened again")
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn can_reopen(&self) -> bool {
        self.reopen.is_some()
    }

    /// Opens the queue again, if that can be done. Nobody else may have it.
    pub(super) async fn reopen(&self) {
        let queue = self.queue.lock().take();
        if let (Some(reopen), Some(queue)) = (&self.reopen, queue) {
            let opened = reopen(queue).await;
            *self.queue.lock() = Some(opened);
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("queue", &*self.queue.lock())
            .field("clock", &self.clock)
            .field("can_reopen", &self.can_reopen())
            .finish()
    }
}
