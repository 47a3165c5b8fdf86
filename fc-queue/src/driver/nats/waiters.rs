//! Who waits for a task of a lane.

use std::collections::HashMap;
use std::sync::Arc;

use fc_core::port::queue::Lane;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who waits, by lane.
#[derive(Debug, Default)]
pub(super) struct Waiters(Arc<Mutex<Waiting>>);

type Waiting = HashMap<Lane, Arc<Notify>>;

/// One who waits. The last of a lane takes its place away.
#[derive(Debug)]
pub(super) struct Waiter {
    waiting: Arc<Mutex<Waiting>>,
    lane: Lane,
    pub(super) woken: Arc<Notify>,
}

impl Waiters {
    pub(super) fn join(&self, lane: &Lane) -> Waiter {
        let woken = self.0.lock().entry(lane.clone()).or_default().clone();
        Waiter { waiting: self.0.clone(), lane: lane.clone(), woken }
    }

    /// Something may have become visible in these lanes.
    pub(super) fn wake(&self, lanes: &[Lane]) {
        let waiting = self.0.lock();
        lanes.iter().filter_map(|lane| waiting.get(lane)).for_each(|woken| woken.notify_waiters());
    }

    pub(super) fn wake_all(&self) {
        self.0.lock().values().for_each(|woken| woken.notify_waiters());
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        // This one's, and the map's.
        if Arc::strong_count(&self.woken) <= 2 {
            waiting.remove(&self.lane);
        }
    }
}
