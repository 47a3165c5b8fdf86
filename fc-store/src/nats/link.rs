//! The stream: a subject for each key, a message for each write.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::jetstream;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream};
use async_nats::{Client, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fc_core::{Clock, Error, Result};

use super::broker::{Appended, Line, unread};

/// Names a write, so that its writer knows it again.
const WRITE: &str = "Fc-Write";
/// There if the write is a deletion.
const DELETED: &str = "Fc-Deleted";

/// A write, as it is in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub(super) sequence: u64,
    pub(super) key: String,
    /// The value, if it was read; empty for a deletion.
    pub(super) value: Bytes,
    pub(super) is_deletion: bool,
    pub(super) write: Option<Write>,
}

/// The writer, and its number for the write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Write(pub(super) u64, u64);

/// Which message is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'k> {
    At(u64),
    LastOf(&'k str),
    /// The first of a key, at a sequence or behind.
    NextOf(&'k str, u64),
}

#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    line: Line,
    stream: Stream,
    name: String,
    /// Whether any answer is the leader's.
    is_alone: bool,
    writer: u64,
    writes: AtomicU64,
}

impl Link {
    pub(super) fn new(client: Client, line: Line, stream: Stream, writer: u64) -> Self {
        let config = &stream.cached_info().config;
        let (name, is_alone) = (config.name.clone(), config.num_replicas == 1);
        let writes = AtomicU64::new(0);
        Self { client, line, stream, name, is_alone, writer, writes }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.line.clock
    }

    pub(super) fn next_write(&self) -> Write {
        Write(self.writer, self.writes.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn is_own(&self, write: Option<Write>) -> bool {
        write.is_some_and(|write| write.0 == self.writer)
    }

    /// Writes a value, or a deletion, if the key's last write is `expected`; if that is given.
    pub(super) async fn append(
        &self,
        key: &str,
        value: Option<Bytes>,
        expected: Option<u64>,
        write: Write,
    ) -> Appended {
        let mut message =
            PublishMessage::build().header(WRITE, format!("{}-{}", write.0, write.1).as_str());
        if let Some(expected) = expected {
            message = message.expected_last_subject_sequence(expected);
        }
        message = match value {
            Some(value) => message.payload(value),
            None => message.header(DELETED, "1"),
        };
        self.line.publish(self.subject(key), message).await
    }

    /// The first sequence of the stream, and the last, now or a moment later.
    pub(super) async fn ends(&self) -> Result<(u64, u64)> {
        let info = self.line.within("its state", self.stream.get_info()).await?;
        let state = info.map_err(|error| unread("its state", &error))?.state;
        Ok((state.first_sequence.max(1), state.last_sequence))
    }

    /// A message; `None` if there is none.
    pub(super) async fn read(&self, which: Which<'_>) -> Result<Option<Written>> {
        if self.is_alone || matches!(which, Which::At(_)) {
            let get = self.stream.direct_get_builder();
            let get = match which {
                Which::At(sequence) => get.sequence(sequence),
                Which::LastOf(key) => get.last_by_subject(self.subject(key)),
                Which::NextOf(key, from) => get.sequence(from).next_by_subject(self.subject(key)),
            };
            match self.line.within("a record", get.send()).await? {
                Ok(message) => return self.written(message).map(Some),
                // A replica may not have it yet; the leader knows.
                Err(error) if error.kind() == DirectGetErrorKind::NotFound && !self.is_alone => {}
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(unread("a record", &error)),
            }
        }
        let get = self.stream.raw_message_builder();
        let get = match which {
            Which::At(sequence) => get.sequence(sequence),
            Which::LastOf(key) => get.last_by_subject(self.subject(key)),
            Which::NextOf(key, from) => get.sequence(from).next_by_subject(self.subject(key)),
        };
        match self.line.within("a record", get.send()).await? {
            Ok(message) => self.written(message).map(Some),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unread("a record", &error)),
        }
    }

    /// All messages up to `last`, without their values, one by one.
    pub(super) async fn replay(&self, last: u64, mut each: impl FnMut(Written)) -> Result<()> {
        let read = self.line.replay(&self.stream, |message| {
            let info = message.info().map_err(|error| unread("a message", &*error))?;
            let (sequence, pending) = (info.stream_sequence, info.pending);
            let headers = message.headers.clone().unwrap_or_default();
            each(self.parse(sequence, &message.subject, &headers, Bytes::new())?);
            Ok(sequence < last && pending > 0)
        });
        read.await
    }

    /// Erases an old write; nothing if it is gone.
    pub(super) async fn erase(&self, sequence: u64) -> Result<()> {
        use jetstream::stream::DeleteMessageErrorKind as Kind;
        let erased = self.line.within("an old write", self.stream.delete_message(sequence)).await?;
        match erased {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                // It has no such message: that is an answer.
                Kind::JetStream(_) => Ok(()),
                _ => Err(unread("an old write", &error)),
            },
        }
    }

    /// Removes a key's writes before `sequence`.
    pub(super) async fn purge(&self, key: &str, sequence: u64) -> Result<()> {
        let purge = self.stream.purge().filter(self.subject(key)).sequence(sequence);
        let purged = self.line.within("old writes", purge.into_future()).await?;
        purged.map(drop).map_err(|error| unread("old writes", &error))
    }

    /// Tells the other processes that something was written.
    pub(super) async fn ring(&self, sequence: u64) {
        let bell = Bytes::copy_from_slice(&sequence.to_le_bytes());
        // Who misses it looks at the stream's end now and then.
        let _ = self.client.publish(format!("{}.bell", self.name), bell).await;
    }

    pub(super) fn rung(bell: &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(bell.try_into().ok()?))
    }

    pub(super) async fn bells(&self) -> Result<async_nats::Subscriber> {
        let bells = self.client.subscribe(format!("{}.bell", self.name)).await;
        bells.map_err(|error| unread("a subscription", &error))
    }

    /// Any text is a token, the empty one too.
    fn subject(&self, key: &str) -> String {
        let mut subject = format!("{}.r.k", self.name);
        URL_SAFE_NO_PAD.encode_string(key, &mut subject);
        subject
    }

    fn written(&self, message: StreamMessage) -> Result<Written> {
        self.parse(message.sequence, &message.subject, &message.headers, message.payload)
    }

    fn parse(
        &self,
        sequence: u64,
        subject: &str,
        headers: &HeaderMap,
        value: Bytes,
    ) -> Result<Written> {
        let token = subject.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix(".r.k"));
        let key = token.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
        let key = key.and_then(|key| String::from_utf8(key).ok()).ok_or_else(|| {
            let what =
                format!("message {sequence} of stream '{}' has a foreign subject", self.name);
            Error::internal(what)
        })?;
        let write = headers.get(WRITE).and_then(|write| {
            let (writer, number) = write.as_str().split_once('-')?;
            Some(Write(writer.parse().ok()?, number.parse().ok()?))
        });
        let is_deletion = headers.get(DELETED).is_some();
        Ok(Written { sequence, key, value, is_deletion, write })
    }
}
