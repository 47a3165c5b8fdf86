//! Asynchronous invocations as their callers see them (`alibaba-fc.md` 3).

mod config;
mod record;

pub use config::{AsyncConfig, Destination, DestinationConfig, StoredAsyncConfig};
pub use record::{AsyncTask, TaskEvent, TaskQuery, TaskStatus};

use std::time::Duration;

/// Asks that an invocation be queued (`X-Fc-Invocation-Type: Async`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asynchronous {
    /// The caller's name for the task (`X-Fc-Async-Task-Id`); without one, the request's id.
    pub task_id: Option<String>,
    /// Not run before this long from now (`X-Fc-Async-Delay`).
    pub delay: Option<Duration>,
}
