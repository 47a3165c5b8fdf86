//! What stands in a task's payload: a head in JSON, and the caller's bytes as they came.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use fc_core::{Error, Result, TaskStatus};
use serde::{Deserialize, Serialize};

/// First byte of a payload: the format that follows.
const FORMAT: u8 = 1;
const HEAD_LENGTH_BYTES: usize = 4;

/// A queued piece of work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// What it is.
    pub head: Head,
    /// The caller's payload, or the record that is delivered.
    pub body: Bytes,
}

/// What is known of a piece of work when it is queued. It does not change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Whose.
    pub account: String,
    /// The function that runs, or whose result is delivered.
    pub function: String,
    /// Which of its versions or aliases.
    pub qualifier: String,
    /// The caller's name for the task, or the request's id.
    pub task_id: String,
    /// The request that submitted it.
    pub request_id: String,
    /// When it was accepted, milliseconds since the Unix epoch.
    pub accepted_at: u64,
    /// Functions before it in its chain of destinations (I12).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// Whether the store has a record of the task.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_tracked: bool,
    /// What is to be done.
    pub job: Job,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Run the function.
    Invoke(InvokeJob),
    /// Deliver a result.
    Deliver {
        /// To where.
        destination: String,
        /// How the task ended.
        status: TaskStatus,
    },
}

/// How a function is run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct InvokeJob {
    /// Not before this time, milliseconds since the Unix epoch; 0: at once.
    #[serde(default, skip_serializing_if = "is_zero_u64")]
    pub not_before: u64,
    /// Not begun after so many milliseconds from acceptance.
    pub age_ms_max: u64,
    /// How often it is run again after a failure.
    pub retries_max: u32,
    /// Where a success goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// Where anything else goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// The caller's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<IpAddr>,
    /// The request's head, if it came through an HTTP trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpHead>,
}

/// The head of a request of an HTTP trigger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HttpHead {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Names and values; a byte of a value is a character of the same number.
    pub headers: Vec<(String, String)>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_zero_u64(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Envelope {
    /// The payload.
    ///
    /// # Errors
    ///
    /// `InternalServerError` for a head that JSON cannot hold.
    pub fn encode(&self) -> Result<Bytes> {
        let head = serde_json::to_vec(&self.head)
            .map_err(|error| Error::internal("a task cannot be written").with_source(error))?;
        let length = u32::try_from(head.len())
            .map_err(|_| Error::internal("the head of a task is over 4 GB"))?;
        let mut payload =
            BytesMut::with_capacity(1 + HEAD_LENGTH_BYTES + head.len() + self.body.len());
        payload.put_u8(FORMAT);
        payload.put_u32_le(length);
        payload.put_slice(&head);
        payload.put_slice(&self.body);
        Ok(payload.freeze())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that says what is wrong: it is not one of ours, or of a later version.
    pub fn decode(payload: &Bytes) -> Result<Self> {
        let broken = |what: &str| Error::invalid("task payload", what);
        let (&format, rest) = payload.split_first().ok_or_else(|| broken("is empty"))?;
        if format != FORMAT {
            return Err(broken(&format!("has format {format}, {FORMAT} was expected")));
        }
        let (length, rest) = rest
            .split_first_chunk::<HEAD_LENGTH_BYTES>()
            .ok_or_else(|| broken("ends in its length"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let head = rest.get(..length).ok_or_else(|| broken("ends in its head"))?;
        let head = serde_json::from_slice(head)
            .map_err(|error| broken(&format!("has a head that cannot be read: {error}")))?;
        Ok(Self { head, body: payload.slice(1 + HEAD_LENGTH_BYTES + length..) })
    }

    /// The queue's id of the task. Of one function, task and kind there is one.
    pub fn queue_id(&self) -> String {
        let Head { function, task_id, job, .. } = &self.head;
        match job {
            Job::Invoke(_) => invoke_id(function, task_id),
            Job::Deliver { .. } => format!("d/{function}/{task_id}"),
        }
    }
}

/// The queue's id of an invocation.
pub fn invoke_id(function: &str, task_id: &str) -> String {
    format!("i/{function}/{task_id}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope(body: Vec<u8>, job: Job) -> Envelope {
        let head = Head {
            account: "1234".into(),
            function: "f".into(),
            qualifier: "LATEST".into(),
            task_id: "t-1".into(),
            request_id: "1-00000000-00000000-000000000000".into(),
            accepted_at: 17,
            depth: 3,
            is_tracked: true,
            job,
        };
        Envelope { head, body: body.into() }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            body in prop::collection::vec(any::<u8>(), 0..200),
            not_before: u64,
            value in "[\u{0}-\u{ff}]{0,20}",
        ) {
            let headers = vec![("x-a".to_owned(), value)];
            let http = Some(HttpHead { method: "PUT".into(), uri: "/a?b".into(), headers });
            let job = InvokeJob { not_before, http, ..InvokeJob::default() };
            let envelope = envelope(body, Job::Invoke(job));
            prop_assert_eq!(Envelope::decode(&envelope.encode().unwrap()).unwrap(), envelope);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Envelope::decode(&bytes.into());
        }

        #[test]
        fn a_payload_that_was_cut_is_refused(cut in 0usize..40) {
            let job = Job::Deliver { destination: "callback:x".into(), status: TaskStatus::Failed };
            let payload = envelope(Vec::new(), job).encode().unwrap();
            prop_assert!(Envelope::decode(&payload.slice(..cut.min(payload.len() - 1))).is_err());
        }
    }
}
