//! What happened.

use serde::{Deserialize, Serialize};

/// One line of a history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Monotonic time, ns. All events of a history must lie on one axis: that of a simulation, or of
    /// one machine ([`BootClock`](super::BootClock)).
    pub at: u64,
    /// Wall-clock time, ms since the Unix epoch: for people. It may jump.
    #[serde(default)]
    pub wall: u64,
    /// Who wrote it down: for a platform's events, the replica that drains or dies.
    #[serde(default)]
    pub host: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

impl Event {
    /// An event without a wall-clock time, of the host with the empty name.
    pub fn new(at: u64, what: What) -> Self {
        Self { at, wall: 0, host: String::new(), what }
    }
}

/// What happened. Clients write submissions and their answers; witness functions attempts; the platform
/// the rest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A client is about to ask for an invocation.
    Submit(Submission),
    /// It was told 202.
    Ack {
        /// Of the submission.
        id: String,
        /// What the platform calls the task; two acknowledgements of one task must have the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handle: Option<String>,
    },
    /// It was refused.
    Nack {
        /// Of the submission.
        id: String,
        /// The HTTP status. 4xx and 503 say that nothing was done; others leave it open.
        code: u16,
    },
    /// It was told nothing, or nothing that it could read.
    Unknown {
        /// Of the submission.
        id: String,
    },
    /// The function was entered.
    AttemptBegin {
        /// Which task it is told.
        task: String,
        /// Which attempt it is told, from 1.
        n: u32,
        /// Which instance it is.
        instance: String,
        /// The lease's token: grows with each lease of the task.
        fence: u64,
        /// Of the payload it is given.
        payload: String,
    },
    /// The function was left.
    AttemptEnd {
        /// As at the beginning.
        task: String,
        /// As at the beginning.
        fence: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The platform has recorded how the task ended.
    Terminal {
        /// Which.
        task: String,
        /// How.
        kind: Ending,
        /// Of the result that was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// A destination was sent the task's record.
    Dest {
        /// Which task's.
        task: String,
        /// Which of the two.
        branch: Branch,
        /// Whether it took it.
        ok: bool,
        /// Of the result in the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// The task was set aside as a dead letter.
    Dlq {
        /// Which.
        task: String,
    },
    /// Somebody asked for the task's end.
    StopRequested {
        /// Which.
        task: String,
    },
    /// The lease of the task was found expired.
    LeaseExpired {
        /// Which.
        task: String,
    },
    /// The host's process was killed.
    CrashBegin,
    /// It is there again.
    CrashEnd,
    /// The host was told to finish and go.
    DrainBegin {
        /// How long what runs may go on, ms.
        deadline_ms: u64,
    },
    /// It has gone.
    DrainEnd,
    /// A fault is being injected.
    FaultBegin {
        /// Which.
        kind: String,
    },
    /// No more.
    FaultEnd {
        /// Which.
        kind: String,
    },
}

impl What {
    /// An acknowledgement without a handle.
    pub fn ack(id: impl Into<String>) -> Self {
        Self::Ack { id: id.into(), handle: None }
    }

    /// The task it is about, if it names one.
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Submit(submission) => Some(&submission.task),
            Self::AttemptBegin { task, .. }
            | Self::AttemptEnd { task, .. }
            | Self::Terminal { task, .. }
            | Self::Dest { task, .. }
            | Self::Dlq { task }
            | Self::StopRequested { task }
            | Self::LeaseExpired { task } => Some(task),
            _ => None,
        }
    }
}

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Submission {
    /// Of the request: unique in the history.
    pub id: String,
    /// Of the task: what the caller calls it, or what the platform will.
    pub task: String,
    /// Which function.
    #[serde(default)]
    pub function: String,
    /// A hash of the payload: any, as long as all use the same.
    pub payload: String,
    /// Not before so long from acceptance, ms.
    #[serde(default)]
    pub delay_ms: u64,
    /// Not after so long from acceptance, ms; without it the judge's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// The task whose destination this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Where results are to go.
    #[serde(default)]
    pub destinations: Destinations,
}

impl Submission {
    /// Without delay or destination.
    pub fn new(id: impl Into<String>, task: impl Into<String>, payload: impl Into<String>) -> Self {
        Self { id: id.into(), task: task.into(), payload: payload.into(), ..Self::default() }
    }
}

/// Where results are to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Destinations {
    /// A destination for successes is configured.
    pub success: bool,
    /// One for failures is.
    pub failure: bool,
    /// What cannot be done becomes a dead letter.
    pub dlq: bool,
}

/// What came of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The function succeeded.
    Success,
    /// The function failed.
    FunctionError,
    /// It was not run for want of capacity.
    Throttled,
    /// The platform failed.
    SystemError,
    /// Nobody knows.
    Unknown,
    /// It was stopped.
    Stopped,
}

impl Outcome {
    /// Whether it is tried again for it.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::FunctionError | Self::Throttled | Self::SystemError)
    }
}

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The function succeeded.
    Succeeded,
    /// It failed, and the attempts are used up.
    Failed,
    /// It became too old.
    Expired,
    /// It was stopped.
    Cancelled,
}

impl Ending {
    /// Which destination is to know.
    pub const fn branch(self) -> Branch {
        match self {
            Self::Succeeded => Branch::Success,
            Self::Failed | Self::Expired | Self::Cancelled => Branch::Failure,
        }
    }
}

/// One of a task's two destinations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// For successes.
    Success,
    /// For all other ends.
    Failure,
}
