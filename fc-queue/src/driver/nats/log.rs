//! The stream as a log: what is written is behind what its writer had read, or is not written.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream};
use async_nats::{Client, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use fc_core::{Error, Result};

use super::broker::{Appended, Line, unread};
use super::code::Reader;
use super::fact::Batch;

/// The header that holds a batch.
const FACTS: &str = "Fc-Facts";
/// The header that holds what the writer had read.
const PREVIOUS: &str = "Nats-Expected-Last-Sequence";

/// A message of the log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    /// What it holds; `None`: it is none of ours.
    pub(super) written: Option<(u64, Batch)>,
    /// Its payloads, if they were read.
    pub(super) body: Option<Bytes>,
    /// What it takes in the log.
    pub(super) bytes: u64,
}

/// Where the log stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) bytes: u64,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) client: Client,
    line: Line,
    stream: Stream,
    subject: String,
    bell: String,
    knock: String,
}

impl Log {
    pub(super) fn new(client: Client, line: Line, stream: Stream) -> Self {
        let name = stream.cached_info().config.name.clone();
        let [subject, bell, knock] = ["log", "bell", "knock"].map(|last| format!("{name}.{last}"));
        Self { client, line, stream, subject, bell, knock }
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream.cached_info().config.name
    }

    /// Appends a message behind message `previous`, if that is the last one.
    pub(super) async fn append(&self, previous: u64, facts: &[u8], body: Bytes) -> Appended {
        let message = PublishMessage::build()
            .payload(body)
            .expected_last_sequence(previous)
            .header(FACTS, STANDARD_NO_PAD.encode(facts).as_str());
        self.line.publish(self.subject.clone(), message).await
    }

    /// Where the log ends now, or a moment later.
    pub(super) async fn ends(&self) -> Result<Ends> {
        let info = self.line.within("its state", self.stream.get_info()).await?;
        let state = info.map_err(|error| unread("its state", &error))?.state;
        let last = state.last_sequence;
        Ok(Ends { first: state.first_sequence.max(1), last, bytes: state.bytes })
    }

    /// Message `sequence`; `None` if it is there no more.
    pub(super) async fn get(&self, sequence: u64) -> Result<Option<Entry>> {
        let direct = self.line.within("a message", self.stream.direct_get(sequence)).await?;
        let message = match direct {
            Ok(message) => message,
            // A replica may not have it yet; the leader knows.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                let raw =
                    self.line.within("a message", self.stream.get_raw_message(sequence)).await?;
                match raw {
                    Ok(message) => message,
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                        return Ok(None);
                    }
                    Err(error) => return Err(unread("a message", &error)),
                }
            }
            Err(error) => return Err(unread("a message", &error)),
        };
        let written = self.written(sequence, &message.headers)?;
        let bytes = (message.payload.len() + message.headers.len()) as u64;
        Ok(Some(Entry { sequence, written, body: Some(message.payload), bytes }))
    }

    /// All messages up to `last`, without their payloads, one by one.
    pub(super) async fn replay(&self, last: u64, mut each: impl FnMut(Entry)) -> Result<()> {
        let read = self.line.replay(&self.stream, |message| {
            let sequence =
                message.info().map_err(|error| unread("a message", &*error))?.stream_sequence;
            let none = HeaderMap::new();
            let headers = message.headers.as_ref().unwrap_or(&none);
            let size = headers.get("Nats-Msg-Size").and_then(|size| size.as_str().parse().ok());
            let written = self.written(sequence, headers)?;
            let bytes = size.unwrap_or(0u64) + facts_bytes(headers);
            each(Entry { sequence, written, body: None, bytes });
            Ok(sequence < last)
        });
        read.await
    }

    /// Removes the messages before `needed`.
    pub(super) async fn cut(&self, needed: u64) -> Result<()> {
        let purge = self.stream.purge().sequence(needed).into_future();
        let purged = self.line.within("the removal of old messages", purge).await?;
        purged.map(drop).map_err(|error| unread("the removal of old messages", &error))
    }

    /// Tells the other processes what was written.
    pub(super) async fn ring(&self, sequence: u64, previous: u64, facts: &[u8]) {
        let mut bell = BytesMut::with_capacity(16 + facts.len());
        bell.put_u64_le(sequence);
        bell.put_u64_le(previous);
        bell.put_slice(facts);
        // Who misses it reads the log.
        let _ = self.client.publish(self.bell.clone(), bell.freeze()).await;
    }

    /// Reads what another process rang.
    pub(super) fn rung(bell: &[u8]) -> Result<Entry> {
        let mut input = Reader(bell);
        let (sequence, previous) = (input.number()?, input.number()?);
        let batch = Batch::decode(input.0)?;
        let payloads: u64 = batch.facts.iter().map(super::fact::Fact::payload_bytes).sum();
        let bytes = bell.len() as u64 + payloads;
        Ok(Entry { sequence, written: Some((previous, batch)), body: None, bytes })
    }

    /// Says that this process listens to what others write.
    pub(super) async fn greet(&self) {
        self.knock(Duration::ZERO).await;
    }

    /// Asks the other processes to pause for so long, since this one always comes too late.
    pub(super) async fn knock(&self, pause: Duration) {
        let micros = u32::try_from(pause.as_micros()).unwrap_or(u32::MAX);
        let knock = Bytes::copy_from_slice(&micros.to_le_bytes());
        let _ = self.client.publish(self.knock.clone(), knock).await;
    }

    pub(super) fn knocked(knock: &[u8]) -> Option<Duration> {
        let micros = Reader(knock).count().ok()?;
        Some(Duration::from_micros(u64::from(micros)))
    }

    pub(super) async fn bells(&self) -> Result<[async_nats::Subscriber; 2]> {
        let bells = self.client.subscribe(self.bell.clone()).await;
        let bells = bells.map_err(|error| unread("a subscription", &error))?;
        let knocks = self.client.subscribe(self.knock.clone()).await;
        Ok([bells, knocks.map_err(|error| unread("a subscription", &error))?])
    }

    fn written(&self, sequence: u64, headers: &HeaderMap) -> Result<Option<(u64, Batch)>> {
        let Some(facts) = headers.get(FACTS) else {
            return Ok(None);
        };
        let previous = headers.get(PREVIOUS).and_then(|text| text.as_str().parse().ok());
        let decoded = STANDARD_NO_PAD.decode(facts.as_str()).ok();
        let (Some(previous), Some(facts)) = (previous, decoded) else {
            let what = format!("message {sequence} of stream '{}' is damaged", self.stream());
            return Err(Error::internal(what));
        };
        Ok(Some((previous, Batch::decode(&facts)?)))
    }
}

fn facts_bytes(headers: &HeaderMap) -> u64 {
    headers.get(FACTS).map_or(0, |facts| facts.as_str().len() as u64)
}
