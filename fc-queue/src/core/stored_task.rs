//! A task's record, and the steps that it may take (ASY-9).

use fc_core::port::queue::Lane;
use fc_core::{AsyncTask, Error, ErrorKind, Result, TaskEvent, TaskStatus, Timestamp, VersionId};
use serde::{Deserialize, Serialize};

use super::envelope::Head;

/// Events that are kept of a task: the first ones, and the last.
const EVENTS_MAX: usize = 100;

/// How a task ended: what its destination is told, kept so that a crash between the end and the
/// telling loses nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// The record's `condition`.
    pub condition: String,
    /// Attempts in all.
    pub attempts: u32,
    /// The last answer, if the function ran then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<EndingAnswer>,
}

/// What the function answered last; the bytes lie beside it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndingAnswer {
    /// How it failed, as `X-Fc-Error-Type` has it; `None`: it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Which version ran.
    pub version: VersionId,
    /// Bytes of the whole answer; what is kept may be less.
    pub bytes: u64,
    /// The lease in which it was given, under which its bytes are kept: a holder who lost the task
    /// overwrites nothing.
    pub fence: u64,
}

/// What the store keeps of a task; its payloads lie beside it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredTask {
    /// What callers see.
    pub task: AsyncTask,
    /// What was queued, but for the payload.
    pub head: Head,
    /// In which lane: once and for all, so that nobody queues it a second time in another.
    pub lane: String,
    /// Whether another submission of its name has queued it, and was told so: then the first one cannot
    /// take it back.
    #[serde(default)]
    pub is_vouched: bool,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

impl StoredTask {
    /// A task that was just accepted.
    pub fn new(head: Head, lane: &Lane, function_arn: String) -> Self {
        let task = AsyncTask {
            task_id: head.task_id.clone(),
            request_id: head.request_id.clone(),
            function_arn,
            qualifier: head.qualifier.clone(),
            status: TaskStatus::Enqueued,
            started_time: head.accepted_at,
            end_time: None,
            duration_ms: None,
            already_retried_times: 0,
            instance_id: None,
            task_payload: None,
            return_payload: None,
            task_error_message: None,
            destination_status: None,
            events: Vec::new(),
        };
        let accepted = Timestamp::from_unix_millis(head.accepted_at);
        let lane = lane.to_string();
        let mut stored = Self { task, head, lane, is_vouched: false, ending: None };
        stored.note(TaskStatus::Enqueued, accepted, String::new());
        stored
    }

    /// Takes a step; `false` if the task is over, or a stop was asked for and the step would not end
    /// it: then nothing is changed (I9).
    pub fn step(&mut self, status: TaskStatus, now: Timestamp, detail: String) -> bool {
        let is_open = !self.task.status.is_final();
        let is_allowed = match self.task.status {
            TaskStatus::Stopping => status.is_final(),
            _ => is_open,
        };
        if is_allowed {
            self.task.status = status;
            if status.is_final() {
                self.task.end_time = Some(now.as_unix_millis());
            }
            self.note(status, now, detail);
        }
        is_allowed
    }

    /// Begins anew: an operator lets the dead letter of a task run again (ASY-6).
    pub fn reopen(&mut self, now: Timestamp) {
        self.task.status = TaskStatus::Enqueued;
        self.task.end_time = None;
        self.ending = None;
        self.note(TaskStatus::Enqueued, now, r#"{"Redriven":true}"#.to_owned());
    }

    fn note(&mut self, status: TaskStatus, now: Timestamp, event_detail: String) {
        let events = &mut self.task.events;
        let event_id = events.last().map_or(1, |last| last.event_id + 1);
        if events.len() >= EVENTS_MAX {
            events.remove(EVENTS_MAX / 2);
        }
        events.push(TaskEvent { event_id, status, timestamp: now.as_unix_millis(), event_detail });
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if JSON cannot hold it.
    pub fn encode(&self) -> Result<bytes::Bytes> {
        let json = serde_json::to_vec(self);
        json.map(Into::into).map_err(|error| {
            Error::internal("a task's record cannot be written").with_source(error)
        })
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if it is no record of a task.
    pub fn decode(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json)
            .map_err(|error| Error::internal("a task's record cannot be read").with_source(error))
    }
}

/// The error of a task that is not there.
pub fn not_found(id: &str) -> Error {
    Error::new(ErrorKind::TaskNotFound, format!("asynchronous task '{id}' does not exist"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::envelope::{InvokeJob, Job};
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_millis(ms)
    }

    fn task() -> StoredTask {
        let head = Head {
            account: "1".into(),
            function: "f".into(),
            qualifier: "LATEST".into(),
            task_id: "t".into(),
            request_id: "r".into(),
            accepted_at: 1,
            depth: 0,
            is_tracked: true,
            job: Job::Invoke(InvokeJob::default()),
        };
        StoredTask::new(head, &Lane::new("1").unwrap(), "acs:fc:::functions/f".into())
    }

    proptest! {
        /// I9: whatever is tried, nothing comes behind an end, and a stop is not undone.
        #[test]
        fn i9_an_end_is_final(steps in prop::collection::vec(0usize..10, 1..30)) {
            let mut task = task();
            let mut ended: Option<StoredTask> = None;
            for (number, step) in steps.into_iter().enumerate() {
                let (before, status) = (task.task.status, TaskStatus::ALL[step]);
                let stepped = task.step(status, at(number as u64 + 2), String::new());
                if let Some(ended) = &ended {
                    prop_assert!(!stepped);
                    prop_assert_eq!(&task, ended);
                } else if before == TaskStatus::Stopping {
                    prop_assert_eq!(stepped, status.is_final());
                } else {
                    prop_assert!(stepped);
                }
                if ended.is_none() && task.task.status.is_final() {
                    prop_assert_eq!(task.task.end_time, Some(number as u64 + 2));
                    ended = Some(task.clone());
                }
            }
            let json = task.encode().unwrap();
            prop_assert_eq!(StoredTask::decode(&json).unwrap(), task);
        }
    }

    #[test]
    fn asy_9_events_are_bounded_and_keep_their_numbers() {
        let mut task = task();
        for n in 0..500 {
            assert!(task.step(TaskStatus::Retrying, at(n), String::new()));
        }
        let ids: Vec<u64> = task.task.events.iter().map(|event| event.event_id).collect();
        assert_eq!(ids.len(), EVENTS_MAX);
        assert_eq!((ids[0], ids[EVENTS_MAX - 1]), (1, 501));
    }
}
