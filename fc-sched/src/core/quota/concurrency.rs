//! Requests of an account that run at once.

use super::{Exceeded, Quota};
use crate::sync::atomic::{AtomicU32, Ordering};

/// How many requests run, and may: exact at every interleaving (QUO-3, I15).
///
/// Any thread may take and give; there is no lock to wait for.
///
/// ```
/// use fc_sched::core::quota::Concurrency;
///
/// let concurrency = Concurrency::new(1);
/// concurrency.take()?;
/// let refused = concurrency.take().unwrap_err();
/// assert_eq!(refused.to_string(), "account quota concurrency_max: 1 more over 1 of 1");
/// concurrency.give();
/// concurrency.take()?;
/// # Ok::<(), fc_sched::core::quota::Exceeded>(())
/// ```
#[derive(Debug)]
// A cache line of its own: neighbours in memory are other accounts' counters.
#[repr(align(64))]
pub struct Concurrency {
    limit: AtomicU32,
    used: AtomicU32,
}

impl Concurrency {
    /// Nothing runs, and so many may.
    pub const fn new(limit: u32) -> Self {
        Self { limit: AtomicU32::new(limit), used: AtomicU32::new(0) }
    }

    /// One request more.
    ///
    /// # Errors
    ///
    /// As many run as may.
    pub fn take(&self) -> Result<(), Exceeded> {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |used: u32| (used < limit).then(|| used + 1);
        // Relaxed: the counter guards a number, not other memory.
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(used) => Err(Exceeded {
                quota: Quota::Concurrency,
                limit: limit.into(),
                used: used.into(),
                asked: 1,
                retry_after: None,
            }),
        }
    }

    /// One request less.
    pub fn give(&self) {
        let less = |used: u32| used.checked_sub(1);
        let given = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        debug_assert!(given.is_ok(), "more requests ended than began");
    }

    /// How many run.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Another limit from now on: what runs over a lowered one goes on, and nothing is added until
    /// it fits.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }
}
