//! Broken looks at lanes, and broken repairs.

use bytes::Bytes;
use fc_core::port::queue::{Lane, LaneDepth, Place, TaskView};
use fc_core::{Context, Result, Timestamp};

use super::{BrokenQueue, QueueFault};

impl BrokenQueue {
    pub(super) async fn depth_brokenly(&self, lane: &Lane) -> Result<LaneDepth> {
        let mut depth = self.good.depth(lane).await?;
        if self.has(QueueFault::DepthCountsOnePage) {
            depth.waiting = depth.waiting.min(10);
        }
        if self.has(QueueFault::OldestIsTheNewest) {
            let waiting = self.good.list(lane, Place::Waiting, None, usize::MAX).await?;
            depth.oldest = waiting.last().map(|view| view.pushed_at);
        }
        if self.has(QueueFault::ExpiredCountsAsLeased) {
            let (seen, now) = (self.seen.lock(), self.clock.wall());
            let held = seen.held.iter().filter(|((of, _), held)| of == lane && held.until <= now);
            let expired = (held.count() as u64).min(depth.waiting);
            depth.waiting -= expired;
            depth.leased += expired;
        }
        Ok(depth)
    }

    pub(super) async fn lanes_brokenly(
        &self,
        after: Option<&Lane>,
        max: usize,
    ) -> Result<Vec<Lane>> {
        let mut lanes = self.good.lanes(after, max).await?;
        if self.has(QueueFault::LanesBeginAtAfter)
            && let Some(after) = after
            && self.good.depth(after).await? != LaneDepth::default()
        {
            lanes.insert(0, after.clone());
            lanes.truncate(max);
        }
        if self.has(QueueFault::EmptyLanesAreListed) {
            let seen = self.seen.lock();
            lanes.extend(seen.lanes.iter().filter(|lane| Some(*lane) > after).cloned());
            lanes.sort();
            lanes.dedup();
            lanes.truncate(max);
        }
        Ok(lanes)
    }

    pub(super) async fn list_brokenly(
        &self,
        lane: &Lane,
        place: Place,
        mut after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        if self.has(QueueFault::ListBeginsAtAfter) {
            after = after.map(|after| after.saturating_sub(1));
        }
        let mut views = self.good.list(lane, place, after, max).await?;
        if self.has(QueueFault::LeasedAreListedAsBuried) && place == Place::Buried {
            views.extend(self.good.list(lane, Place::Leased, after, max).await?);
            views.sort_by_key(|view| view.position);
            views.truncate(max);
        }
        if self.has(QueueFault::ListIsByTime) {
            views.sort_by_key(|view| view.visible_at);
        }
        if self.has(QueueFault::ReasonIsLost) {
            views.iter_mut().for_each(|view| view.reason = None);
        }
        Ok(views)
    }

    pub(super) async fn redrive_brokenly(
        &self,
        cx: Context,
        lane: &Lane,
        mut id: Option<&str>,
        at: Timestamp,
        mut note: Bytes,
    ) -> Result<u64> {
        let at = self.early(QueueFault::RedriveIsEarly, at);
        if self.has(QueueFault::RedrivenNoteIsCut) {
            note.truncate(self.good.capabilities().note_bytes_max as usize);
        }
        if self.has(QueueFault::RedriveOfOneIsOfAll)
            && let Some(one) = id
            && self.stands(lane, one, Place::Buried).await?
        {
            id = None;
        }
        *self.seen.lock().settlements.entry(lane.clone()).or_default() += 1;
        if self.has(QueueFault::RedriveOfAllMissesOne) && id.is_none() {
            let letters = self.good.list(lane, Place::Buried, None, usize::MAX).await?;
            let mut count = 0;
            for letter in letters.iter().rev().skip(1) {
                count += self.good.redrive(cx, lane, Some(&letter.id), at, note.clone()).await?;
            }
            return Ok(count);
        }
        self.good.redrive(cx, lane, id, at, note).await
    }

    pub(super) async fn purge_brokenly(
        &self,
        cx: Context,
        lane: &Lane,
        place: Place,
    ) -> Result<u64> {
        if self.has(QueueFault::PurgeOfLeasedIsNothing) && place == Place::Leased {
            return Ok(0);
        }
        let purged = self.good.purge(cx, lane, place).await?;
        if self.has(QueueFault::PurgeTakesLetters) && place == Place::Waiting {
            self.good.purge(cx, lane, Place::Buried).await?;
        }
        if self.has(QueueFault::PurgedLettersAreNotCounted) && place == Place::Buried {
            return Ok(0);
        }
        Ok(purged)
    }
}
