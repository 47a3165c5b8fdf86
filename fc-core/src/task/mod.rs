//! Asynchronous invocations as their callers see them (`alibaba-fc.md` 3).

mod config;
mod record;

pub use config::{AsyncConfig, Destination, DestinationConfig, StoredAsyncConfig};
pub use record::{AsyncTask, TaskEvent, TaskQuery, TaskStatus};

use std::time::Duration;

use crate::{Error, Result};

/// Asks that an invocation be queued (`X-Fc-Invocation-Type: Async`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asynchronous {
    /// The caller's name for the task (`X-Fc-Async-Task-Id`); without one, the request's id.
    pub task_id: Option<String>,
    /// Not run before this long from now (`X-Fc-Async-Delay`).
    pub delay: Option<Duration>,
}

/// Longest id that a caller may give a task, characters (`alibaba-fc.md` 2.3).
const TASK_ID_CHARS_MAX: usize = 128;

impl Asynchronous {
    /// Proves an id that a caller gives a task: `^[A-Za-z_][A-Za-z0-9_-]{0,127}$` (`alibaba-fc.md` 2.3).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names `field`.
    pub fn check_task_id<'i>(field: &str, id: &'i [u8]) -> Result<&'i str> {
        if id.len() > TASK_ID_CHARS_MAX {
            let (limit, length) = (TASK_ID_CHARS_MAX as u64, id.len() as u64);
            return Err(Error::over_limit(field, "characters", limit, length));
        }
        let starts = id.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_');
        let is_plain = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        match std::str::from_utf8(id) {
            Ok(id) if starts && id.as_bytes().iter().all(is_plain) => Ok(id),
            _ => Err(Error::invalid(
                field,
                format_args!(
                    "must be letters, digits, '_' or '-', and start with a letter or '_'; is '{}'",
                    id[..id.len().min(SHOWN_BYTES)].escape_ascii()
                ),
            )),
        }
    }
}

/// Enough of an id to recognise it by.
const SHOWN_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_4_names_of_tasks() {
        let check = |id: &str| Asynchronous::check_task_id("task id", id.as_bytes()).map(drop);
        for good in ["a", "_", "A-1_b", &"x".repeat(128)] {
            check(good).unwrap();
        }
        for bad in ["", "1a", "-a", "a b", "a/b", "é", &"x".repeat(129)] {
            assert_eq!(check(bad).unwrap_err().code(), "InvalidArgument", "{bad}");
        }
    }
}
