//! What becomes of one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fc_core::{Clock, Error, ErrorKind, Result};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{FaultCounts, FaultPlan};

/// What may be done with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nature {
    /// It changes nothing, and so its outcome is never unknown.
    Read,
    /// It changes something, and twice is not the same as once.
    Write,
    /// Twice is the same as once.
    Idempotent,
}

/// How a call ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Done,
    Doubled,
    /// With an error that promises that nothing was done.
    Refused(ErrorKind),
    Unanswered,
    Vanished,
    /// Before the call after so many.
    Late(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fate {
    pub(super) before: Duration,
    pub(super) end: End,
    pub(super) after: Duration,
}

/// Gives each call its fate.
#[derive(Debug)]
pub(super) struct Fates {
    plan: FaultPlan,
    clock: Arc<dyn Clock>,
    is_on: AtomicBool,
    counts: Mutex<FaultCounts>,
}

impl Fates {
    pub(super) fn new(plan: FaultPlan, clock: Arc<dyn Clock>) -> Self {
        let (is_on, counts) = (AtomicBool::new(true), Mutex::default());
        Self { plan, clock, is_on, counts }
    }

    pub(super) fn turn(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::SeqCst);
    }

    pub(super) fn counts(&self) -> FaultCounts {
        *self.counts.lock()
    }

    /// The fate of the next call.
    pub(super) fn next(&self, nature: Nature, can_be_late: bool) -> Fate {
        let mut counts = self.counts.lock();
        counts.calls += 1;
        let mut draws = Draws(mix(self.plan.seed ^ mix(counts.calls)));
        if !self.is_on.load(Ordering::SeqCst) {
            return Fate { before: Duration::ZERO, end: End::Done, after: Duration::ZERO };
        }
        let mut pause = || {
            let is_delayed = draws.below(1000) < u64::from(self.plan.delayed);
            let most = u64::try_from(self.plan.delay_max.as_nanos()).unwrap_or(u64::MAX);
            if is_delayed && most > 0 {
                counts.delayed += 1;
                Duration::from_nanos(1 + draws.below(most))
            } else {
                Duration::ZERO
            }
        };
        let (before, after) = (pause(), pause());
        let end = self.end(&mut draws, nature, can_be_late);
        match end {
            End::Done => {}
            End::Doubled => counts.doubled += 1,
            End::Refused(_) => counts.refused += 1,
            End::Unanswered => counts.unanswered += 1,
            End::Vanished => counts.vanished += 1,
            End::Late(_) => counts.late += 1,
        }
        Fate { before, end, after }
    }

    fn end(&self, draws: &mut Draws, nature: Nature, can_be_late: bool) -> End {
        let plan = &self.plan;
        let mut left = draws.below(1000);
        let mut falls = |share: u32, may_be: bool| {
            let is_it = left < u64::from(share);
            left = left.wrapping_sub(u64::from(share));
            is_it.then_some(may_be)
        };
        let is_write = nature != Nature::Read;
        let kinds = [ErrorKind::ResourceThrottled, ErrorKind::InternalServerError];
        let refused = End::Refused(kinds[draws.below(2) as usize]);
        let ends = [
            (plan.refused, true, refused),
            (plan.unanswered, is_write, End::Unanswered),
            (plan.vanished, is_write, End::Vanished),
            (plan.late, can_be_late, End::Late(1 + draws.below(8) as u8)),
            (plan.doubled, nature == Nature::Idempotent, End::Doubled),
        ];
        for (share, may_be, end) in ends {
            match falls(share, may_be) {
                None => {}
                Some(true) => return end,
                Some(false) => return End::Done,
            }
        }
        End::Done
    }

    pub(super) async fn pause(&self, span: Duration) {
        if !span.is_zero() {
            self.clock.sleep_until(self.clock.now() + span).await;
        }
    }

    /// Does a call, as its fate has it. [`End::Late`] is not done here.
    pub(super) async fn run<'c, T>(
        &self,
        fate: Fate,
        call: impl Fn() -> BoxFuture<'c, Result<T>>,
    ) -> Result<T> {
        self.pause(fate.before).await;
        let answer = match fate.end {
            End::Refused(kind) => Err(Error::new(kind, "a planned fault: nothing was done")),
            End::Vanished | End::Late(_) => Err(unknown()),
            End::Unanswered => {
                _ = call().await;
                Err(unknown())
            }
            End::Done => call().await,
            End::Doubled => {
                let answer = call().await;
                // Whatever it says: the first answer counts.
                _ = call().await;
                answer
            }
        };
        self.pause(fate.after).await;
        answer
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::Unknown, "a planned fault: the answer was lost")
}

/// Numbers by a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % limit.max(1)
    }
}

fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use fc_core::Timestamp;

    use super::*;
    use crate::SimClock;

    fn fates(plan: FaultPlan) -> Fates {
        Fates::new(plan, Arc::new(SimClock::new(Timestamp::default())))
    }

    fn drawn(fates: &Fates, nature: Nature, can_be_late: bool) -> Vec<Fate> {
        (0..20_000).map(|_| fates.next(nature, can_be_late)).collect()
    }

    #[test]
    fn one_seed_is_one_sequence_and_another_is_another() {
        let of = |seed| {
            let plan = FaultPlan::rough(seed, Duration::from_millis(5));
            drawn(&fates(plan), Nature::Idempotent, true)
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn each_fault_is_as_frequent_as_planned() {
        let plan = FaultPlan::rough(7, Duration::from_millis(5));
        let fates = fates(plan);
        drawn(&fates, Nature::Idempotent, true);
        let counts = fates.counts();
        // Twenty times the share of 1000, a fifth more or less.
        let is_near = |is: u64, share: u32| {
            let must = u64::from(share) * 20;
            is.abs_diff(must) < must / 5
        };
        assert!(is_near(counts.refused, plan.refused), "{counts:?}");
        assert!(is_near(counts.unanswered, plan.unanswered), "{counts:?}");
        assert!(is_near(counts.vanished, plan.vanished), "{counts:?}");
        assert!(is_near(counts.late, plan.late), "{counts:?}");
        assert!(is_near(counts.doubled, plan.doubled), "{counts:?}");
        assert!(is_near(counts.delayed, plan.delayed * 2), "{counts:?}");
    }

    #[test]
    fn a_read_is_never_unknown_and_what_is_off_never_fails() {
        let fates = fates(FaultPlan::rough(7, Duration::from_millis(5)));
        let ends = |fates: &Fates| {
            drawn(fates, Nature::Read, false).into_iter().map(|f| f.end).collect::<Vec<_>>()
        };
        assert!(ends(&fates).iter().all(|end| matches!(end, End::Done | End::Refused(_))));
        assert_eq!(fates.counts().unknown() + fates.counts().doubled, 0);
        fates.turn(false);
        assert!(ends(&fates).iter().all(|end| *end == End::Done));
    }
}
