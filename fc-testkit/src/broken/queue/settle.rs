//! Broken settlements, extensions and cancellations.

use std::time::Duration;

use fc_core::port::queue::{Cancelled, Lane, LeaseToken, Place, Settlement, Verdict};
use fc_core::{Context, Error, ErrorKind, Result};

use super::seen::key;
use super::{BrokenQueue, QueueFault};

impl BrokenQueue {
    pub(super) async fn settle_brokenly(
        &self,
        cx: Context,
        lease: &LeaseToken,
        mut settlement: Settlement,
    ) -> Result<()> {
        let others = {
            let mut seen = self.seen.lock();
            seen.settling += 1;
            seen.settling - 1
        };
        if self.has(QueueFault::SettlementIsNotAtomic) {
            tokio::task::yield_now().await;
        }
        self.seen.lock().settling -= 1;
        if self.is_lost(lease, &settlement.verdict) {
            return Ok(());
        }
        if self.is_over(lease) {
            return Err(Error::new(ErrorKind::Conflict, "the lease has ended"));
        }
        self.mend_settlement(lease, &mut settlement);
        if self.has(QueueFault::KnownFollowUpIsRefused) {
            for follow_up in &settlement.follow_ups {
                if self.is_known(&follow_up.lane, &follow_up.task.id).await? {
                    return Err(Error::invalid("task id", "is known"));
                }
            }
        }
        let settled = self.good.settle(cx, lease, settlement.clone()).await;
        match &settled {
            Ok(()) => self.note(lease, &settlement),
            Err(error) => return self.excuse(cx, lease, settlement, error, others > 0).await,
        }
        settled
    }

    /// Says of a refused settlement that it was done, or does half of it.
    async fn excuse(
        &self,
        cx: Context,
        lease: &LeaseToken,
        settlement: Settlement,
        error: &Error,
        has_others: bool,
    ) -> Result<()> {
        let is_stale = error.kind() == ErrorKind::Conflict;
        if self.has(QueueFault::SettlementIsNotAtomic) && is_stale && has_others {
            return Ok(());
        }
        if self.has(QueueFault::SecondSettlementIsTaken) && is_stale {
            let seen = self.seen.lock();
            if seen.settled.contains(lease) && !seen.held.contains_key(&key(lease)) {
                return Ok(());
            }
        }
        if self.has(QueueFault::StaleTokenSettles)
            && is_stale
            && settlement.follow_ups.is_empty()
            && let Some(holders) = self.holders(lease)
        {
            self.good.settle(cx, &holders, settlement.clone()).await?;
            self.note(&holders, &settlement);
            return Ok(());
        }
        let is_invalid = error.kind() == ErrorKind::InvalidArgument;
        if self.has(QueueFault::FollowUpsAreNotCheckedFirst) && is_invalid
            || self.has(QueueFault::StaleSettlementPushes) && is_stale
        {
            for follow_up in settlement.follow_ups {
                // Until one is refused.
                if self.good.push(cx, &follow_up.lane, follow_up.task).await.is_err() {
                    break;
                }
            }
        }
        Err(error.duplicate())
    }

    /// The token of who holds the task now.
    fn holders(&self, stale: &LeaseToken) -> Option<LeaseToken> {
        let seen = self.seen.lock();
        let held = seen.held.get(&key(stale))?;
        (held.token.position == stale.position).then(|| held.token.clone())
    }

    fn is_lost(&self, lease: &LeaseToken, verdict: &Verdict) -> bool {
        let has_note = || {
            let seen = self.seen.lock();
            seen.held.get(&key(lease)).is_some_and(|held| !held.note.is_empty())
        };
        self.has(QueueFault::DoneIsLost) && *verdict == Verdict::Done && has_note()
    }

    fn is_over(&self, lease: &LeaseToken) -> bool {
        // A busy machine settles a little late what a case wants settled in time.
        let grace = Duration::from_millis(100);
        let ended = || {
            let seen = self.seen.lock();
            let now = self.clock.wall().as_unix_millis();
            let is_over = |until: u64| now > until + grace.as_millis() as u64;
            seen.held.get(&key(lease)).is_some_and(|held| is_over(held.until.as_unix_millis()))
        };
        self.has(QueueFault::ExpiredTokenIsStale) && ended()
    }

    fn mend_settlement(&self, lease: &LeaseToken, settlement: &mut Settlement) {
        let most = self.good.capabilities().note_bytes_max as usize;
        if self.has(QueueFault::FourthFollowUpIsLost) {
            settlement.follow_ups.truncate(3);
        }
        match &mut settlement.verdict {
            Verdict::Done => {}
            Verdict::Retry { at, note } => {
                *at = self.early(QueueFault::RetryIsEarly, *at);
                if self.has(QueueFault::SettledNoteIsCut) {
                    note.truncate(most);
                }
                if self.has(QueueFault::RetryKeepsTheNote) {
                    let seen = self.seen.lock();
                    let old = seen.held.get(&key(lease)).map(|held| held.note.clone());
                    if let Some(old) = old.filter(|old| !old.is_empty()) {
                        *note = old;
                    }
                }
            }
            Verdict::Bury { reason, note } => {
                if self.has(QueueFault::SettledNoteIsCut) {
                    note.truncate(most);
                    reason.truncate(most);
                }
            }
        }
    }

    /// Remembers a settlement.
    fn note(&self, lease: &LeaseToken, settlement: &Settlement) {
        let mut seen = self.seen.lock();
        seen.held.remove(&key(lease));
        seen.settled_just_now.insert(lease.clone());
        match settlement.verdict {
            Verdict::Done => _ = seen.done.insert(key(lease)),
            Verdict::Retry { .. } => {
                *seen.settlements.entry(lease.lane.clone()).or_default() += 1;
            }
            Verdict::Bury { .. } => {}
        }
        for follow_up in &settlement.follow_ups {
            seen.lanes.insert(follow_up.lane.clone());
            *seen.settlements.entry(follow_up.lane.clone()).or_default() += 1;
        }
    }

    pub(super) async fn extend_brokenly(
        &self,
        cx: Context,
        lease: &LeaseToken,
        mut visibility: Duration,
    ) -> Result<()> {
        let (now, mut lease) = (self.clock.wall(), lease.clone());
        let until = self.seen.lock().held.get(&key(&lease)).map(|held| held.until);
        if self.has(QueueFault::ExtendNeverLengthens)
            && let Some(until) = until.filter(|until| *until > now)
        {
            let left = until.as_unix_millis() - now.as_unix_millis();
            visibility = visibility.min(Duration::from_millis(left));
        }
        let mut extended = self.good.extend(cx, &lease, visibility).await;
        if self.has(QueueFault::StaleTokenExtends)
            && extended.is_err()
            && let Some(holders) = self.holders(&lease)
        {
            extended = self.good.extend(cx, &holders, visibility).await;
            lease = holders;
        }
        let end = self.after(visibility);
        if extended.is_ok()
            && let Some(held) = self.seen.lock().held.get_mut(&key(&lease))
        {
            held.until = end;
        }
        extended
    }

    pub(super) async fn cancel_brokenly(
        &self,
        cx: Context,
        lane: &Lane,
        id: &str,
    ) -> Result<Cancelled> {
        let key = (lane.clone(), id.to_owned());
        if self.has(QueueFault::CancelLeavesLetters) && self.stands(lane, id, Place::Buried).await?
        {
            return Ok(Cancelled::Removed);
        }
        let leases = self.seen.lock().leases;
        if self.has(QueueFault::CancelIsNotAtomic) {
            tokio::task::yield_now().await;
        }
        let cancelled = self.good.cancel(cx, lane, id).await?;
        match cancelled {
            Cancelled::Removed => _ = self.seen.lock().held.remove(&key),
            Cancelled::Absent if self.has(QueueFault::CancelAlwaysRemoves) => {
                return Ok(Cancelled::Removed);
            }
            Cancelled::Held if self.has(QueueFault::CancelTakesWhatIsHeld) => {
                let holders = self.seen.lock().held.remove(&key);
                if let Some(holders) = holders {
                    self.good.settle(cx, &holders.token, Verdict::Done.into()).await?;
                }
                return Ok(Cancelled::Removed);
            }
            Cancelled::Held
                if self.has(QueueFault::CancelIsNotAtomic) && self.seen.lock().leases > leases =>
            {
                return Ok(Cancelled::Removed);
            }
            _ => {}
        }
        Ok(cancelled)
    }
}
