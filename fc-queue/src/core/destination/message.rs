//! A result on its way to a destination.

use bytes::Bytes;
use fc_core::{AccountId, Error, Result, TaskStatus, Timestamp};

/// Longest id of a message, and longest name of a source, bytes.
const NAME_BYTES_MAX: usize = 512;

/// A result on its way to a destination: the record, and what an envelope says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    account: AccountId,
    id: String,
    source: String,
    status: TaskStatus,
    at: Timestamp,
    record: Bytes,
}

impl Message {
    /// A message of `account`, whose `id` is the same however often it is sent: receivers know
    /// duplicates by it.
    /// `source` names the function, `status` says how the task ended, at `at`; `record` is JSON.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an id or a source that is empty, over 512 bytes or no printable ASCII
    /// without spaces, or a status that is not final.
    pub fn new(
        account: AccountId,
        id: String,
        source: String,
        status: TaskStatus,
        at: Timestamp,
        record: Bytes,
    ) -> Result<Self> {
        for (field, text) in [("message id", &id), ("message source", &source)] {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                let what = "must be printable ASCII without spaces, and not empty";
                return Err(Error::invalid(field, what));
            }
            if text.len() > NAME_BYTES_MAX {
                let value = text.len() as u64;
                return Err(Error::over_limit(field, "bytes", NAME_BYTES_MAX as u64, value));
            }
        }
        if !status.is_final() {
            let what = format_args!("'{}' is not final", status.as_str());
            return Err(Error::invalid("message status", what));
        }
        Ok(Self { account, id, source, status, at, record })
    }

    /// Whose function it is about.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// What receivers know duplicates by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The function's name in its cloud's form.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How the task ended.
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// When it ended.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The record: JSON.
    pub fn record(&self) -> &Bytes {
        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(id: &str, source: &str, status: TaskStatus) -> Result<Message> {
        let at = Timestamp::default();
        let account = AccountId::new("1").unwrap();
        Message::new(account, id.into(), source.into(), status, at, Bytes::from_static(b"{}"))
    }

    #[test]
    fn what_an_envelope_cannot_say_is_refused() {
        let long = "x".repeat(513);
        assert!(new(&long[1..], "s", TaskStatus::Failed).is_ok());
        for (id, source, status) in [
            ("", "s", TaskStatus::Failed),
            ("a b", "s", TaskStatus::Failed),
            ("a\n", "s", TaskStatus::Failed),
            ("i", "", TaskStatus::Failed),
            ("i", "\u{e9}", TaskStatus::Failed),
            (&long, "s", TaskStatus::Failed),
            ("i", &long, TaskStatus::Failed),
            ("i", "s", TaskStatus::Running),
        ] {
            assert!(new(id, source, status).is_err(), "{id:?} {source:?} {status:?}");
        }
    }
}
