//! Broken waits.

use std::time::Duration;

use fc_core::port::queue::Lane;
use fc_core::{Context, Deadline, Result};

use super::{BrokenQueue, QueueFault};

impl BrokenQueue {
    pub(super) async fn wait_brokenly(&self, cx: Context, lane: &Lane) -> Result<bool> {
        let (soft, begun) = (cx.deadline.soft, self.clock.wall());
        let at_once = cx.with_deadline(Deadline::at(self.clock.now()));
        if self.has(QueueFault::WaitNeedsAChange) && self.good.wait(at_once, lane).await? {
            self.clock.sleep_until(soft).await;
            return Ok(false);
        }
        let is_short = soft - self.clock.now() < Duration::from_secs(1);
        if self.has(QueueFault::WaitIsShort) && is_short {
            return self.good.wait(at_once, lane).await;
        }
        let counts = || {
            let seen = self.seen.lock();
            (seen.count(&seen.pushes, lane), seen.count(&seen.settlements, lane))
        };
        let before = counts();
        let found = self.good.wait(cx, lane).await?;
        let (after, now) = (counts(), self.clock.wall());
        let is_missed = match self.fault {
            QueueFault::PushDoesNotWake => after.0 > before.0,
            QueueFault::SettlementDoesNotWake => after.1 > before.1,
            QueueFault::DelayEndDoesNotWake => {
                let seen = self.seen.lock();
                let mut times = seen.times.iter().filter(|((of, _), _)| of == lane);
                times.any(|(_, at)| *at > begun && *at <= now)
            }
            QueueFault::LeaseEndDoesNotWake => {
                let seen = self.seen.lock();
                let mut held = seen.held.iter().filter(|((of, _), _)| of == lane);
                held.any(|(_, held)| held.until <= now)
            }
            _ => false,
        };
        if found && is_missed {
            self.clock.sleep_until(soft).await;
            return Ok(false);
        }
        Ok(found)
    }
}
