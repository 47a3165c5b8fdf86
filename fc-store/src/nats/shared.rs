//! What a store and its follower share: the mirror, and how it is brought up to the stream's end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use fc_core::{Error, ErrorKind, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::watch::{Watched, Watchers};

use super::link::{Link, Which, Written};
use super::mirror::{Mirror, Waste};

/// Messages that are read at the same time.
pub(super) const READS: usize = 32;

/// Own writes that wait for those before them; more are read again.
const EARLY_MAX: usize = 256;

/// What is removed of the stream before anything else is looked at.
const WASTE_AT_ONCE: usize = 64;

pub(super) struct Shared {
    pub(super) link: Link,
    pub(super) mirror: Mutex<Mirror>,
    /// Own writes behind the mirror's end.
    early: Mutex<BTreeMap<u64, Written>>,
    /// The stream has this message, or a later one.
    goal: AtomicU64,
    /// The goal is behind the mirror's end.
    pub(super) behind: Notify,
    /// Changes with each message that is read.
    moved: watch::Sender<u64>,
    answer_within: Duration,
}

impl Watched for Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Watchers) -> T) -> T {
        work(&mut self.mirror.lock().watchers)
    }
}

impl Shared {
    pub(super) fn new(link: Link, mirror: Mirror, answer_within: Duration) -> Self {
        Self {
            link,
            mirror: Mutex::new(mirror),
            early: Mutex::default(),
            goal: AtomicU64::new(0),
            behind: Notify::new(),
            moved: watch::Sender::new(0),
            answer_within,
        }
    }

    /// Reads the stream from its beginning.
    pub(super) async fn begin(&self, mut mirror: Mirror) -> Result<()> {
        let (first, last) = self.link.ends().await?;
        if last >= first {
            self.link.replay(last, |written| mirror.recall(written)).await?;
        }
        mirror.begin(last);
        *self.mirror.lock() = mirror;
        self.goal.fetch_max(last, Ordering::AcqRel);
        Ok(())
    }

    /// Somebody wrote message `sequence`.
    pub(super) fn heard(&self, sequence: u64) {
        self.goal.fetch_max(sequence, Ordering::AcqRel);
        self.behind.notify_one();
    }

    /// This process wrote a message.
    pub(super) fn wrote(&self, written: Written) {
        let sequence = written.sequence;
        {
            let mut early = self.early.lock();
            if early.len() < EARLY_MAX {
                early.insert(sequence, written);
            }
        }
        self.goal.fetch_max(sequence, Ordering::AcqRel);
        if !self.read_early() {
            self.behind.notify_one();
        }
    }

    /// Reads own writes that are next; `true` if that is all there is.
    fn read_early(&self) -> bool {
        let mut wakers: Vec<Waker> = Vec::new();
        let is_all = {
            let mut mirror = self.mirror.lock();
            let mut early = self.early.lock();
            while let Some(entry) = early.first_entry() {
                if *entry.key() > mirror.applied() + 1 {
                    break;
                }
                let written = entry.remove();
                if written.sequence == mirror.applied() + 1 {
                    wakers.extend(mirror.read(written, true));
                }
            }
            mirror.applied() >= self.goal.load(Ordering::Acquire)
        };
        self.woken(wakers);
        is_all
    }

    fn woken(&self, wakers: Vec<Waker>) {
        // Without a lock: a waker may run its task here, and that may read the store.
        wakers.into_iter().for_each(Waker::wake);
        self.moved.send_modify(|count| *count += 1);
    }

    /// Reads on to the stream's end as it was heard of; `looks` asks the server for it first.
    pub(super) async fn catch_up(&self, looks: bool) -> Result<()> {
        if looks {
            let (_, last) = self.link.ends().await?;
            self.goal.fetch_max(last, Ordering::AcqRel);
        }
        while !self.read_early() {
            let (from, goal) =
                (self.mirror.lock().applied() + 1, self.goal.load(Ordering::Acquire));
            let to = goal.min(from + 1024);
            let each = stream::iter(from..=to).map(|at| self.link.read(Which::At(at)));
            let mut each = std::pin::pin!(each.buffered(READS));
            let mut sequence = from;
            while let Some(written) = each.try_next().await? {
                let wakers = {
                    let mut mirror = self.mirror.lock();
                    match written {
                        _ if sequence != mirror.applied() + 1 => Vec::new(),
                        Some(written) => {
                            let is_own = self.link.is_own(written.write);
                            mirror.read(written, is_own)
                        }
                        None => mirror.skip(),
                    }
                };
                self.woken(wakers);
                sequence += 1;
            }
        }
        Ok(())
    }

    /// Waits until the mirror is at the stream's end as it is now.
    pub(super) async fn reach_end(&self) -> Result<()> {
        let (_, last) = self.link.ends().await?;
        let mut moved = self.moved.subscribe();
        let clock = self.link.clock();
        let until = clock.now() + self.answer_within;
        while self.mirror.lock().applied() < last {
            self.heard(last);
            if !matches!(clock.with_deadline(until, moved.changed()).await, Ok(Ok(()))) {
                let within = self.answer_within;
                let what = format!("NATS: the stream is not read to its end within {within:?}");
                return Err(Error::new(ErrorKind::ResourceThrottled, what));
            }
        }
        Ok(())
    }

    /// Removes what the stream needs no more.
    pub(super) async fn clean(&self) -> Result<()> {
        for _ in 0..WASTE_AT_ONCE {
            let now = self.link.clock().now();
            let Some(waste) = self.mirror.lock().next_waste(now) else {
                return Ok(());
            };
            match &waste {
                Waste::Replaced(sequence) => self.link.erase(*sequence).await?,
                Waste::Deleted { key, deletion } => self.link.purge(key, *deletion).await?,
                Waste::Grave { deletion, .. } => self.link.erase(*deletion).await?,
            }
            self.mirror.lock().removed(waste, now);
        }
        // There may be more.
        self.behind.notify_one();
        Ok(())
    }
}
