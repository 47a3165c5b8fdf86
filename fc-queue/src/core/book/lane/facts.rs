//! What a driver does to a lane that reads facts from a log instead of asking the lane.

use fc_core::Timestamp;
use fc_core::port::queue::Place;

use super::{Entry, LaneBook};

/// Where a task stands, and the last lease that was not settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where.
    pub place: Place,
    /// The last lease that was not settled; 0: none.
    pub fence: u64,
    /// Until when it holds the task, or did.
    pub until: Timestamp,
}

impl<P: Clone> LaneBook<P> {
    pub(in super::super) fn standing(&self, position: u64) -> Option<Standing> {
        let entry = self.tasks.get(&position)?;
        let (place, until) = match entry.held_until() {
            Some(until) => (Place::Leased, until),
            None if self.buried.contains(&position) => (Place::Buried, Timestamp::default()),
            None => (Place::Waiting, Timestamp::default()),
        };
        Some(Standing { place, fence: entry.fence(), until })
    }

    pub(in super::super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (u64, &Entry<P>)> {
        let visible = self.due.range(..=(now, u64::MAX));
        visible.filter_map(|(_, at)| self.tasks.get(at).map(|entry| (*at, &**entry)))
    }

    pub(in super::super) fn lend(&mut self, position: u64, fence: u64, until: Timestamp) {
        self.unplace(position);
        if let Some(entry) = self.tasks.get_mut(&position) {
            entry.set_lease(fence, Some(until));
            entry.leases = entry.leases.saturating_add(1);
            self.leased.insert((until, position));
        }
    }

    pub(in super::super) fn restore(
        &mut self,
        position: u64,
        standing: Standing,
        leases: u32,
        reason: Option<Box<str>>,
    ) {
        self.unplace(position);
        let Some(entry) = self.tasks.get_mut(&position) else {
            return;
        };
        entry.set_lease(standing.fence, None);
        entry.leases = leases;
        entry.reason = reason;
        match standing.place {
            Place::Leased => {
                entry.set_held_until(Some(standing.until));
                self.leased.insert((standing.until, position));
            }
            Place::Buried => _ = self.buried.insert(position),
            Place::Waiting => {
                self.due.insert((entry.visible_at, position));
                self.waiting.insert(position);
            }
        }
    }
}
