//! How often what fails.

use std::time::Duration;

/// How often what fails: each number is of 1000 calls. The first five exclude each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultPlan {
    /// What decides.
    pub seed: u64,
    /// An error before anything is done.
    pub refused: u32,
    /// Done, and the answer is lost: `Unknown`.
    pub unanswered: u32,
    /// Not done, and that is not known: `Unknown`.
    pub vanished: u32,
    /// `Unknown`, and done before one of the next calls; only what a later call makes harmless.
    pub late: u32,
    /// Done twice; only what is idempotent.
    pub doubled: u32,
    /// A pause before it is done, another before the answer.
    pub delayed: u32,
    /// The longest pause.
    pub delay_max: Duration,
}

impl FaultPlan {
    /// Nothing fails.
    pub const fn none(seed: u64) -> Self {
        Self {
            seed,
            refused: 0,
            unanswered: 0,
            vanished: 0,
            late: 0,
            doubled: 0,
            delayed: 0,
            delay_max: Duration::ZERO,
        }
    }

    /// What a good client notices and gets over: delays of at most `delay_max`, and doubles.
    pub const fn slow(seed: u64, delay_max: Duration) -> Self {
        Self { doubled: 200, delayed: 300, delay_max, ..Self::none(seed) }
    }

    /// A fifth of all calls fails in some way.
    pub const fn rough(seed: u64, delay_max: Duration) -> Self {
        let slow = Self::slow(seed, delay_max);
        Self { refused: 60, unanswered: 60, vanished: 40, late: 40, doubled: 100, ..slow }
    }
}

/// How often what has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultCounts {
    /// Calls, whatever became of them.
    pub calls: u64,
    /// Calls that had an error before anything was done.
    pub refused: u64,
    /// Calls that were done, and whose answer was lost.
    pub unanswered: u64,
    /// Calls that were not done, and had no answer.
    pub vanished: u64,
    /// Calls that had no answer, and were done later.
    pub late: u64,
    /// Calls that were done twice.
    pub doubled: u64,
    /// Pauses.
    pub delayed: u64,
}

impl FaultCounts {
    /// Outcomes that were not known to who called.
    pub const fn unknown(&self) -> u64 {
        self.unanswered + self.vanished + self.late
    }
}
