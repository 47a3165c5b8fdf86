//! Requests of an account that run at once.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{Exceeded, Quota};

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn quo_3_on_both_sides_of_the_limit() {
        let concurrency = Concurrency::new(100);
        assert_eq!((0..200).filter(|_| concurrency.take().is_ok()).count(), 100);
        concurrency.set_limit(99);
        concurrency.give();
        assert!(concurrency.take().is_err(), "99 of 99 run");
        concurrency.give();
        assert!(concurrency.take().is_ok());
        assert_eq!(concurrency.used(), 99);
    }

    /// I15: whoever comes at once, never one more than the limit.
    #[test]
    fn quo_3_is_exact_with_many_threads() {
        let concurrency = Arc::new(Concurrency::new(7));
        let peak = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (concurrency, peak) = (concurrency.clone(), peak.clone());
                std::thread::spawn(move || {
                    let mut granted = 0;
                    for _ in 0..20_000 {
                        let held = (0..3).filter(|_| concurrency.take().is_ok()).count();
                        peak.fetch_max(concurrency.used(), Ordering::Relaxed);
                        (0..held).for_each(|_| concurrency.give());
                        granted += held;
                    }
                    granted
                })
            })
            .collect();
        let granted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(granted > 0 && peak.load(Ordering::Relaxed) <= 7);
        assert_eq!(concurrency.used(), 0);
    }
}
