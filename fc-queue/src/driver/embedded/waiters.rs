//! Who waits for a task of a lane.

use std::collections::HashMap;
use std::sync::Arc;

use fc_core::port::queue::Lane;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Those who wait, by lane.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<Lane, (usize, Arc<Notify>)>>);

/// One who waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiter<'w> {
    waiters: &'w Waiters,
    lane: &'w Lane,
    pub(super) notify: Arc<Notify>,
}

impl Waiters {
    pub(super) fn join<'w>(&'w self, lane: &'w Lane) -> Waiter<'w> {
        let mut lanes = self.0.lock();
        let (count, notify) = lanes.entry(lane.clone()).or_default();
        *count += 1;
        Waiter { waiters: self, lane, notify: notify.clone() }
    }

    /// Lets all who wait for this lane look again.
    pub(super) fn notify(&self, lane: &Lane) {
        let notify = self.0.lock().get(lane).map(|(_, notify)| notify.clone());
        if let Some(notify) = notify {
            notify.notify_waiters();
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut lanes = self.waiters.0.lock();
        if let Some((count, _)) = lanes.get_mut(self.lane) {
            *count -= 1;
            if *count == 0 {
                lanes.remove(self.lane);
            }
        }
    }
}
