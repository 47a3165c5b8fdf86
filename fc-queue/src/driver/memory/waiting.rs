//! Who waits for a lane: nobody who waits costs anything, no change is missed.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fc_core::Timestamp;
use fc_core::port::queue::Lane;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::state::State;
use crate::core::book::Visible;

/// The lanes for which somebody waits.
#[derive(Default)]
pub(super) struct Waiting(HashMap<Lane, Waiters>);

#[derive(Default)]
struct Waiters {
    count: usize,
    notify: Arc<Notify>,
}

impl Waiting {
    /// Wakes later, without the lock, all who wait for the lane now.
    pub(super) fn wake(&self, lane: &Lane, wakers: &mut Wakers) {
        if let Some(waiters) = self.0.get(lane) {
            wakers.0.push(waiters.notify.clone());
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.values().map(|waiters| waiters.count).sum()
    }

    fn join(&mut self, lane: &Lane) -> OwnedNotified {
        let waiters = self.0.entry(lane.clone()).or_default();
        waiters.count += 1;
        waiters.notify.clone().notified_owned()
    }

    fn leave(&mut self, lane: &Lane) {
        if let Some(waiters) = self.0.get_mut(lane) {
            waiters.count -= 1;
            if waiters.count == 0 {
                self.0.remove(lane);
            }
        }
    }
}

/// Who is to be woken once the lock is released.
#[derive(Default)]
pub(super) struct Wakers(Vec<Arc<Notify>>);

impl Wakers {
    pub(super) fn wake(self) {
        self.0.iter().for_each(|notify| notify.notify_waiters());
    }
}

/// What somebody who waits for a lane is told.
pub(super) enum Turn {
    /// A task can be leased.
    Now,
    /// Look again at this time, if there is one, or when the lane changed.
    Later(Option<Timestamp>, Changed),
}

impl Turn {
    /// Looks at the lane and waits for its changes, under one lock: none is missed in between.
    pub(super) fn take(state: &Arc<Mutex<State>>, lane: &Lane, now: Timestamp) -> Self {
        let mut locked = state.lock();
        let next = match locked.book.visible(lane.as_str(), now) {
            Visible::Now => return Self::Now,
            Visible::At(at) => Some(at),
            Visible::Never => None,
        };
        let notified = Box::pin(locked.waiting.join(lane));
        drop(locked);
        Self::Later(next, Changed { notified, state: state.clone(), lane: lane.clone() })
    }
}

/// Ready when the lane changed since it was looked at.
pub(super) struct Changed {
    notified: Pin<Box<OwnedNotified>>,
    state: Arc<Mutex<State>>,
    lane: Lane,
}

impl Future for Changed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.notified.as_mut().poll(cx)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        self.state.lock().waiting.leave(&self.lane);
    }
}
