//! Broken pushes.

use std::time::Duration;

use fc_core::port::queue::{Cancelled, Lane, NewTask, Place, Pushed, TASK_ID_BYTES_MAX};
use fc_core::{Context, Result};

use super::{BrokenQueue, QueueFault};

impl BrokenQueue {
    pub(super) async fn push_brokenly(
        &self,
        cx: Context,
        lane: &Lane,
        mut task: NewTask,
    ) -> Result<Pushed> {
        self.mend_task(&mut task);
        let key = (lane.clone(), task.id.clone());
        let now = self.clock.wall();
        if self.has(QueueFault::LeasedIdIsForgotten)
            && self.stands(lane, &task.id, Place::Leased).await?
            || self.has(QueueFault::BuriedIdIsForgotten)
                && self.stands(lane, &task.id, Place::Buried).await?
        {
            return Ok(Pushed::New);
        }
        if self.has(QueueFault::IdIsKnownForEver) && self.seen.lock().done.contains(&key) {
            return Ok(Pushed::Known);
        }
        if self.has(QueueFault::IdsAreGlobal) {
            let mut seen = self.seen.lock();
            if seen.ids.entry(task.id.clone()).or_insert_with(|| lane.clone()) != lane {
                return Ok(Pushed::Known);
            }
        }
        let is_delayed = task.visible_at > now;
        if is_delayed {
            self.seen.lock().times.entry(key.clone()).or_insert(task.visible_at);
            task.visible_at = self.early(QueueFault::DelayIsShort, task.visible_at);
        }
        let mut looked_new = false;
        if self.has(QueueFault::PushIsNotAtomic) {
            looked_new = !self.is_known(lane, &task.id).await?;
            tokio::task::yield_now().await;
        }
        let pushed = self.good.push(cx, lane, task.clone()).await?;
        if pushed == Pushed::Known && self.has(QueueFault::KnownIdOverwrites) {
            return self.overwrite(cx, lane, task).await;
        }
        let mut seen = self.seen.lock();
        seen.lanes.insert(lane.clone());
        seen.last_push = Some(key);
        if !is_delayed {
            *seen.pushes.entry(lane.clone()).or_default() += 1;
        }
        Ok(if looked_new { Pushed::New } else { pushed })
    }

    /// Makes good what a good queue would refuse.
    fn mend_task(&self, task: &mut NewTask) {
        let declared = self.good.capabilities();
        if self.has(QueueFault::PayloadIsText) {
            task.payload = String::from_utf8_lossy(&task.payload).into_owned().into();
        }
        if self.has(QueueFault::LongIdIsCut) && task.id.len() <= TASK_ID_BYTES_MAX {
            task.id.truncate(255);
        }
        if self.has(QueueFault::BadIdIsMended) {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_:/".contains(c);
            task.id = task.id.replace(|c| !is_plain(c), "_");
            task.id.truncate(TASK_ID_BYTES_MAX);
            if task.id.is_empty() {
                task.id.push('_');
            }
        }
        if self.has(QueueFault::LargePayloadIsCut) {
            task.payload.truncate(declared.payload_bytes_max as usize);
        }
        if self.has(QueueFault::LargeNoteIsCut) {
            task.note.truncate(declared.note_bytes_max as usize);
        }
        if self.has(QueueFault::LongDelayIsCut) {
            let latest = self.after(declared.delay_max.saturating_sub(Duration::from_secs(1)));
            task.visible_at = task.visible_at.min(latest);
        }
    }

    async fn overwrite(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        let waiting = self.good.list(lane, Place::Waiting, None, usize::MAX).await?;
        let known = waiting.into_iter().find(|view| view.id == task.id);
        if known.is_some_and(|view| view.payload != task.payload)
            && self.good.cancel(cx, lane, &task.id).await? == Cancelled::Removed
        {
            self.good.push(cx, lane, task).await?;
        }
        Ok(Pushed::Known)
    }
}
