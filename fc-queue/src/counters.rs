//! What an engine has done, in numbers (I32).

use std::sync::atomic::{AtomicU64, Ordering};

/// What an engine has done since it was started.
///
/// The numbers are this engine's own: they begin at 0, are in memory, and end with the process; after a
/// crash nobody has them, and the next process counts what it does itself. A step is counted once the
/// queue has confirmed it to this engine, so one that was cut off by a crash, or whose answer came when
/// its lease was lost, is counted by nobody, and one whose outcome had to be inferred as it is inferred.
/// Each number only grows; a snapshot that is taken while the engine works may have one side of a step
/// and not yet the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct EngineCounters {
    /// How submissions were answered.
    pub submissions: SubmissionCounters,
    /// Tasks that were leased, deliveries included.
    pub leases: u64,
    /// Leases that ended against their holder's will: they could not be renewed in time, or somebody
    /// else held the task when it was to be settled. The task is run again.
    pub leases_lost: u64,
    /// How functions were run.
    pub attempts: AttemptCounters,
    /// Tasks that were put back to be tried again because of what came of an attempt, or because their
    /// store could not be written; deliveries not included.
    pub retries: u64,
    /// Tasks that were put back for no failure of theirs: their time had not come, or the engine was
    /// closing.
    pub given_back: u64,
    /// How tasks ended: each once, as it left the queue, whether it was run, too old, or stopped while
    /// it waited. A dead letter that an operator lets run again ends again. Whoever finds that a task is
    /// over by its record, as another process died behind that, counts it.
    pub ended: EndCounters,
    /// Tasks that were dropped because they have no record: their submission was refused, or is of a
    /// store that was lost.
    pub withdrawn: u64,
    /// Tasks and results that were made dead letters: failures that go nowhere, results that cannot be
    /// delivered, and what cannot be read.
    pub dead_letters: u64,
    /// How results were brought to where they go outside.
    pub deliveries: DeliveryCounters,
}

/// How submissions were answered: each once, when its caller was. A caller who leaves before that is
/// not counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SubmissionCounters {
    /// With 202.
    pub accepted: u64,
    /// There is a task of that name.
    pub duplicates: u64,
    /// The payload is over the limit for asynchronous invocations, or malformed.
    pub too_large: u64,
    /// Refused for now: the queue is full or takes no writes, the engine is closing, or the same name
    /// is being submitted.
    pub throttled: u64,
    /// Refused for another reason: no such function, a bad id or delay, a store that fails.
    pub refused: u64,
    /// Perhaps queued.
    pub unknown: u64,
}

/// How functions were run. What was begun has ended in one of the other ways, or runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AttemptCounters {
    /// The scheduler was asked.
    pub begun: u64,
    /// The function succeeded.
    pub succeeded: u64,
    /// The function failed.
    pub function_errors: u64,
    /// There was no capacity.
    pub throttled: u64,
    /// The platform failed.
    pub system_errors: u64,
    /// It can never run.
    pub invalid: u64,
    /// It was given up: stopped by its caller, let go by a shutdown, or its lease was lost.
    pub cut: u64,
}

/// How tasks ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct EndCounters {
    /// The function succeeded.
    pub succeeded: u64,
    /// The function failed and its retries are used up, or its holders died again and again.
    pub failed: u64,
    /// It became too old.
    pub expired: u64,
    /// It was stopped.
    pub stopped: u64,
    /// It could never run.
    pub invalid: u64,
}

/// How results were brought to where they go outside. Those that go to functions and lanes are
/// pushed with the end of their task, and are not counted here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DeliveryCounters {
    /// Taken by the destination.
    pub done: u64,
    /// Not taken, and put back to be tried again.
    pub retried: u64,
    /// Given up: the result is a dead letter. A result that could not even be queued counts here, too.
    pub dead: u64,
}

/// Something that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Count {
    Accepted,
    Duplicate,
    TooLarge,
    Throttled,
    Refused,
    Unknown,
    Leased,
    LeaseLost,
    AttemptBegun,
    AttemptSucceeded,
    AttemptFunctionError,
    AttemptThrottled,
    AttemptSystemError,
    AttemptInvalid,
    AttemptCut,
    Retried,
    GivenBack,
    EndSucceeded,
    EndFailed,
    EndExpired,
    EndStopped,
    EndInvalid,
    Withdrawn,
    DeadLetter,
    DeliveryDone,
    DeliveryRetried,
    DeliveryDead,
}

const COUNTS: usize = Count::DeliveryDead as usize + 1;

/// Numbers that all tasks of an engine add to.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; COUNTS]);

impl Counters {
    pub(crate) fn add(&self, count: Count) {
        // Numbers of their own: nothing is read by them.
        self.0[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> EngineCounters {
        let of = |count: Count| self.0[count as usize].load(Ordering::Relaxed);
        EngineCounters {
            submissions: SubmissionCounters {
                accepted: of(Count::Accepted),
                duplicates: of(Count::Duplicate),
                too_large: of(Count::TooLarge),
                throttled: of(Count::Throttled),
                refused: of(Count::Refused),
                unknown: of(Count::Unknown),
            },
            leases: of(Count::Leased),
            leases_lost: of(Count::LeaseLost),
            attempts: AttemptCounters {
                begun: of(Count::AttemptBegun),
                succeeded: of(Count::AttemptSucceeded),
                function_errors: of(Count::AttemptFunctionError),
                throttled: of(Count::AttemptThrottled),
                system_errors: of(Count::AttemptSystemError),
                invalid: of(Count::AttemptInvalid),
                cut: of(Count::AttemptCut),
            },
            retries: of(Count::Retried),
            given_back: of(Count::GivenBack),
            ended: EndCounters {
                succeeded: of(Count::EndSucceeded),
                failed: of(Count::EndFailed),
                expired: of(Count::EndExpired),
                stopped: of(Count::EndStopped),
                invalid: of(Count::EndInvalid),
            },
            withdrawn: of(Count::Withdrawn),
            dead_letters: of(Count::DeadLetter),
            deliveries: DeliveryCounters {
                done: of(Count::DeliveryDone),
                retried: of(Count::DeliveryRetried),
                dead: of(Count::DeliveryDead),
            },
        }
    }
}
