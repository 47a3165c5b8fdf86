//! What a driver tells a book that reads facts from a log, whoever decided them.

use fc_core::Timestamp;
use fc_core::port::queue::{Lane, NewTask};

use super::{Book, Entry, Standing};

impl<P: Clone> Book<P> {
    /// The task at a position, and where it stands.
    pub fn stands(&self, lane: &str, position: u64) -> Option<(&Entry<P>, Standing)> {
        let lane = self.lanes.get(lane)?;
        Some((lane.entry(position)?, lane.standing(position)?))
    }

    /// The tasks that are visible at `now`, in the order in which they are leased.
    pub fn due(&mut self, lane: &str, now: Timestamp) -> impl Iterator<Item = (u64, &Entry<P>)> {
        let lane = self.lanes.get_mut(lane).map(|lane| {
            lane.reclaim(now);
            &*lane
        });
        lane.into_iter().flat_map(move |lane| lane.due(now))
    }

    /// Somebody leased the task at a position.
    pub fn lend(&mut self, lane: &str, position: u64, fence: u64, until: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.lend(position, fence, until);
        }
    }

    /// Somebody's lease of the task at a position lasts until `until`.
    pub fn prolong(&mut self, lane: &str, position: u64, until: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.extend(position, until);
        }
    }

    /// A task as it stands, whatever was known of it.
    pub fn restore(
        &mut self,
        lane: &Lane,
        position: u64,
        task: NewTask,
        payload: P,
        pushed_at: Timestamp,
        (standing, leases, reason): (Standing, u32, Option<Box<str>>),
    ) {
        self.remove(lane, position);
        self.push_at(position, lane, task, payload, pushed_at);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.restore(position, standing, leases, reason);
        }
    }
}
