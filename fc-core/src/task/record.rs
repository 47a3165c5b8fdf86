//! What is kept of a task (`alibaba-fc.md` 3.6).

use serde::{Deserialize, Serialize};

use crate::{Qualifier, Timestamp};

/// Where a task stands (ASY-9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TaskStatus {
    /// Stored, waiting.
    Enqueued,
    /// Taken from the queue, not started.
    Dequeued,
    /// Executing.
    Running,
    /// Failed, will run again.
    Retrying,
    /// A stop was asked for, still running.
    Stopping,
    /// Stopped.
    Stopped,
    /// The function succeeded.
    Succeeded,
    /// The function failed, and the attempts are used up.
    Failed,
    /// It cannot run: the function was deleted, for one.
    Invalid,
    /// Older than its maximum age.
    Expired,
}

impl TaskStatus {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Enqueued,
        Self::Dequeued,
        Self::Running,
        Self::Retrying,
        Self::Stopping,
        Self::Stopped,
        Self::Succeeded,
        Self::Failed,
        Self::Invalid,
        Self::Expired,
    ];

    /// Whether nothing comes behind it.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Stopped | Self::Succeeded | Self::Failed | Self::Invalid | Self::Expired
        )
    }

    /// The wire's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "Enqueued",
            Self::Dequeued => "Dequeued",
            Self::Running => "Running",
            Self::Retrying => "Retrying",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Invalid => "Invalid",
            Self::Expired => "Expired",
        }
    }
}

/// One change of a task's status.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEvent {
    /// Counts from 1.
    pub event_id: u64,
    /// What it became.
    pub status: TaskStatus,
    /// When, milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// A JSON text that says more, such as `{"Error":"UnhandledInvocationError"}`; or empty.
    pub event_detail: String,
}

/// What is kept of a task.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncTask {
    /// The caller's name, or the request's id.
    pub task_id: String,
    /// The request that submitted it.
    pub request_id: String,
    /// Which function, as `acs:fc:{region}:{account}:functions/{name}`.
    pub function_arn: String,
    /// Of which of its versions or aliases.
    pub qualifier: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// When it was accepted, milliseconds since the Unix epoch.
    pub started_time: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<u64>,
    /// How long its last attempt ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Attempts behind the first.
    pub already_retried_times: u32,
    /// The instance of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// What the caller sent; shown where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_payload: Option<String>,
    /// What the function answered, at most 1 MB of it; shown where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_payload: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_error_message: Option<String>,
    /// What became of the destination: `Succeeded` or `Failed`, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_status: Option<String>,
    /// Every change of its status.
    pub events: Vec<TaskEvent>,
}

/// Which tasks a list gives, and how many (`alibaba-fc.md` 3.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskQuery {
    /// Only those whose id starts with this.
    pub prefix: String,
    /// Only those that were asked of this version or alias.
    pub qualifier: Option<Qualifier>,
    /// Only those of this status.
    pub status: Option<TaskStatus>,
    /// Only those accepted at this time or later.
    pub started_from: Option<Timestamp>,
    /// Only those accepted at this time or earlier.
    pub started_to: Option<Timestamp>,
    /// Newest first.
    pub descending: bool,
    /// With what was sent and answered.
    pub include_payload: bool,
    /// At most so many, 1 to 100.
    pub limit: u32,
    /// Where the last page ended: its `nextToken`.
    pub next_token: Option<String>,
}

impl Default for TaskQuery {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            qualifier: None,
            status: None,
            started_from: None,
            started_to: None,
            descending: true,
            include_payload: false,
            limit: 20,
            next_token: None,
        }
    }
}
