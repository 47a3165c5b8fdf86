//! What the tasks of a queue share: the ledger, and how it is brought up to the log's end.

use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::Lane;
use fc_core::{Error, Instant, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::anchored::AnchoredClock;

use super::bodies::Bodies;
use super::ledger::{Ledger, Read, Spot};
use super::log::{Entry, Log};
use super::plan::Room;
use super::waiters::Waiters;

/// Messages that are read at the same time.
const READS: usize = 32;

/// How long a log that ends before what was read of it is believed to be a replica's that lags.
const SHRUNK_FOR: Duration = Duration::from_millis(500);

/// How long a process is believed to listen that is heard of no more: some of its greetings.
const COMPANY_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) clock: AnchoredClock,
    pub(super) writer: u64,
    pub(super) room: Room,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) bodies: Bodies,
    pub(super) waiters: Waiters,
    /// Changes with each message that is read.
    pub(super) moved: watch::Sender<u64>,
    /// Somebody needs the ledger at the log's end.
    pub(super) behind: Notify,
    /// Until when others are given their turn.
    pub(super) yielding: Mutex<Option<Instant>>,
    /// When another process was last heard of.
    heard: Mutex<Option<Instant>>,
    /// Since when the log has seemed to be shorter than what was read of it.
    shrunk: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(
        log: Log,
        clock: AnchoredClock,
        writer: u64,
        room: Room,
        cache_bytes_max: usize,
    ) -> Self {
        Self {
            log,
            clock,
            writer,
            room,
            ledger: Mutex::new(Ledger::new(0, writer)),
            bodies: Bodies::new(cache_bytes_max),
            waiters: Waiters::default(),
            moved: watch::Sender::new(0),
            behind: Notify::new(),
            yielding: Mutex::new(None),
            heard: Mutex::new(None),
            shrunk: Mutex::new(None),
        }
    }

    /// Another process is there.
    pub(super) fn hears(&self) {
        *self.heard.lock() = Some(self.clock.clock().now());
    }

    /// Whether another process may listen. One that has just come looks at the log itself.
    pub(super) fn has_company(&self) -> bool {
        let heard = *self.heard.lock();
        heard.is_some_and(|heard| self.clock.clock().now() - heard < COMPANY_FOR)
    }

    /// Reads a message into the ledger; `false` if others come before it.
    pub(super) fn read(&self, entry: &Entry) -> bool {
        let read = {
            let mut ledger = self.ledger.lock();
            read(&mut ledger, entry)
        };
        match read {
            Read::Next(lanes) => {
                self.moved.send_modify(|count| *count += 1);
                self.waiters.wake(&lanes);
                true
            }
            Read::Old => true,
            Read::Gap => false,
        }
    }

    /// Reads what the log has and the ledger has not.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let applied = self.ledger.lock().applied();
        let ends = self.log.ends().await?;
        if ends.last < applied {
            return self.shorter(applied, ends.last).await;
        }
        *self.shrunk.lock() = None;
        {
            let mut ledger = self.ledger.lock();
            ledger.first = ledger.first.max(ends.first);
            ledger.bytes = ends.bytes;
        }
        if ends.last == applied {
            return Ok(());
        }
        if ends.first > applied + 1 {
            return self.rebuild().await;
        }
        let missing = stream::iter(applied + 1..=ends.last).map(|sequence| self.log.get(sequence));
        let mut missing = std::pin::pin!(missing.buffered(READS));
        while let Some(entry) = missing.try_next().await? {
            let Some(entry) = entry else {
                return self.rebuild().await;
            };
            if let Some(body) = &entry.body {
                self.bodies.keep(entry.sequence, body.clone());
            }
            if !self.read(&entry) {
                return self.rebuild().await;
            }
        }
        Ok(())
    }

    /// Waits until the ledger has message `last`, or for a second.
    pub(super) async fn reach(&self, last: u64) {
        let mut moved = self.moved.subscribe();
        let clock = self.clock.clock();
        let until = clock.now() + Duration::from_secs(1);
        while self.ledger.lock().applied() < last {
            self.behind.notify_one();
            if !matches!(clock.with_deadline(until, moved.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// The log is shorter than what was read of it: a server lost what it had acknowledged, or
    /// somebody removed the stream.
    async fn shorter(&self, applied: u64, last: u64) -> Result<()> {
        let now = self.clock.clock().now();
        let since = *self.shrunk.lock().get_or_insert(now);
        if now - since < SHRUNK_FOR {
            return Err(Error::internal("NATS: the stream ends before what was read of it"));
        }
        tracing::error!(
            stream = self.log.stream(),
            read = applied,
            last,
            "the stream ends before what was acknowledged: the server lost messages; going on with \
             what it has"
        );
        *self.shrunk.lock() = None;
        self.rebuild().await
    }

    /// Reads the log from its beginning.
    pub(super) async fn rebuild(&self) -> Result<()> {
        let ends = self.log.ends().await?;
        let mut ledger = Ledger::new(ends.first - 1, self.writer);
        let mut gap = None;
        if ends.last >= ends.first {
            let each = |entry: Entry| {
                if ledger.applied() + 1 < entry.sequence && gap.is_none() && ledger.live() == 0 {
                    // The beginning was removed while it was read.
                    ledger = Ledger::new(entry.sequence - 1, self.writer);
                }
                if read(&mut ledger, &entry) == Read::Gap {
                    gap.get_or_insert(entry.sequence);
                }
            };
            self.log.replay(ends.last, each).await?;
        }
        if let Some(sequence) = gap {
            let stream = self.log.stream();
            let what = format!("stream '{stream}' has no message before {sequence}: read it again");
            return Err(Error::internal(what));
        }
        ledger.bytes = ends.bytes;
        self.bodies.clear();
        *self.ledger.lock() = ledger;
        self.moved.send_modify(|count| *count += 1);
        self.waiters.wake_all();
        Ok(())
    }

    /// The payloads of these tasks, in their order.
    pub(super) async fn payloads(&self, lane: &Lane, tasks: &[(u64, Spot)]) -> Result<Vec<Bytes>> {
        let each = stream::iter(tasks.to_vec());
        let each = each.map(|(position, spot)| self.payload(lane, position, spot));
        each.buffered(READS).try_collect().await
    }

    async fn payload(&self, lane: &Lane, position: u64, mut spot: Spot) -> Result<Bytes> {
        /// A task may be carried on while it is read.
        const TRIES: u32 = 4;
        for _ in 0..TRIES {
            if spot.bytes == 0 {
                return Ok(Bytes::new());
            }
            let body = match self.bodies.get(spot.sequence) {
                Some(body) => Some(body),
                None => {
                    let entry = self.log.get(spot.sequence).await?;
                    entry.and_then(|entry| entry.body).inspect(|body| {
                        self.bodies.keep(spot.sequence, body.clone());
                    })
                }
            };
            let range = spot.offset as usize..(spot.offset + spot.bytes) as usize;
            if let Some(body) = body.filter(|body| range.end <= body.len()) {
                return Ok(body.slice(range));
            }
            match self.ledger.lock().book.stands(lane.as_str(), position) {
                Some((entry, _)) if entry.payload != spot => spot = entry.payload,
                _ => self.behind.notify_one(),
            }
            let ends = self.log.ends().await?;
            self.reach(ends.last).await;
        }
        Err(Error::internal(format!("the payload of task {position} in lane '{lane}' is gone")))
    }
}

fn read(ledger: &mut Ledger, entry: &Entry) -> Read {
    match &entry.written {
        Some((previous, batch)) => ledger.read(entry.sequence, *previous, entry.bytes, batch),
        None => {
            tracing::error!(
                sequence = entry.sequence,
                "a message of the queue's stream is no batch"
            );
            ledger.skip(entry.sequence);
            Read::Next(Vec::new())
        }
    }
}
