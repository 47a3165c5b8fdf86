//! Queue and store as they really are, with what is planted into them, and what they see.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc::core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView, Verdict,
};
use fc::core::port::store::{ChangeStream, Record, Revision, StoreCapabilities, When};
use fc::core::{Clock, Instant, Queue, Store, Timestamp};
use fc::queue::core::envelope::Envelope;
use fc::queue::driver::MemoryQueue;
use fc::store::MemoryStore;
use fc::{Context, Error, Result};
use fc_testkit::SimClock;
use fc_testkit::history::{Ending, Submission, What};
use futures_util::FutureExt;
use parking_lot::Mutex;

use crate::log::{Draws, Log};
use crate::workload::{depth_of, destinations_of, ttl_ms_of};

/// What is wrong with queue or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    Nothing,
    /// A push is acknowledged and not kept.
    PushLost,
    /// A push is refused and kept.
    RefusedIsKept,
    /// A byte of the payload is another one.
    PayloadAltered,
    /// A task is given out again while it is held.
    LeasedTwice,
    /// A retry becomes visible after half its time.
    RetryEarly,
    /// A task that is done comes back.
    DoneComesBack,
    /// What follows a task is forgotten.
    FollowUpLost,
    /// A write is acknowledged and forgotten.
    WriteForgotten,
    /// A write that must not find anything replaces what is there.
    AbsentIgnored,
    /// A lease has no end.
    LeaseForEver,
}

impl Bug {
    pub(crate) const ALL: [Self; 10] = [
        Self::PushLost,
        Self::RefusedIsKept,
        Self::PayloadAltered,
        Self::LeasedTwice,
        Self::RetryEarly,
        Self::DoneComesBack,
        Self::FollowUpLost,
        Self::WriteForgotten,
        Self::AbsentIgnored,
        Self::LeaseForEver,
    ];
}

/// What is known of all tasks.
#[derive(Debug)]
pub(crate) struct Facts {
    bug: Bug,
    draws: Draws,
    log: Log,
    clock: SimClock,
    /// The newest lease, and until when it holds.
    held: HashMap<String, (u64, Instant)>,
    /// The newest fence.
    fences: HashMap<String, u64>,
    /// Tasks that were pushed, and how many of their pushes are over.
    pushed: HashMap<String, Known>,
    pub(crate) anomalies: Vec<String>,
    serial: u64,
}

#[derive(Debug)]
struct Known {
    is_tracked: bool,
    is_there: bool,
    end: Option<(u64, Ending)>,
}

pub(crate) type Shared = Arc<Mutex<Facts>>;

pub(crate) fn facts(bug: Bug, seed: u64, log: Log, clock: SimClock) -> Shared {
    Arc::new(Mutex::new(Facts {
        bug,
        draws: Draws(seed ^ 0xb06),
        log,
        clock,
        held: HashMap::new(),
        fences: HashMap::new(),
        pushed: HashMap::new(),
        anomalies: Vec::new(),
        serial: 0,
    }))
}

impl Facts {
    /// Whether the bug shows this time.
    fn shows(&mut self, bug: Bug) -> bool {
        self.bug == bug && self.draws.percent(25)
    }

    /// The newest lease of a task, `function/id`.
    pub(crate) fn fence(&self, task: &str) -> u64 {
        self.fences.get(task).copied().unwrap_or_default()
    }

    /// Whether a record is kept of a task, `function/id`.
    pub(crate) fn is_tracked(&self, task: &str) -> bool {
        self.pushed.get(task).is_some_and(|known| known.is_tracked)
    }

    /// The ends of what nobody records but the queue.
    pub(crate) fn ends(&self) -> Vec<(String, u64, Ending)> {
        let ends = self.pushed.iter().filter(|(_, known)| !known.is_tracked);
        let ends = ends.filter_map(|(task, known)| known.end.map(|end| (task, end)));
        let mut ends: Vec<_> = ends.map(|(task, (at, end))| (task.clone(), at, end)).collect();
        ends.sort_by(|a, b| a.0.cmp(&b.0));
        ends
    }

    fn pushed(&mut self, task: &NewTask, is_child: bool) {
        let Some(name) = task.id.strip_prefix("i/") else { return };
        let envelope = Envelope::decode(&task.payload).unwrap();
        if is_child && !self.pushed.contains_key(name) {
            let payload = payload_of(&envelope.body);
            let (id, function) = (format!("child/{name}"), envelope.head.function.clone());
            let parent = record_of(&envelope.body).map(|record| record.source);
            let submission = Submission {
                parent,
                ttl_ms: ttl_ms_of(&function),
                destinations: destinations_of(&function),
                function,
                ..Submission::new(id.clone(), name, payload)
            };
            self.log.record("queue", What::Submit(submission));
            self.log.record("queue", What::ack(id));
        } else if self.pushed.get(name).is_some_and(|known| known.end.is_some()) {
            // A push whose first outcome was not known, or that came late: one attempt more.
            self.serial += 1;
            let id = format!("again/{}", self.serial);
            let payload = payload_of(&envelope.body);
            self.log.record("queue", What::Submit(Submission::new(id.clone(), name, payload)));
            self.log.record("queue", What::Unknown { id });
        }
        let is_tracked = envelope.head.is_tracked;
        let known = Known { is_tracked, is_there: true, end: None };
        let known = self.pushed.entry(name.to_owned()).or_insert(known);
        known.is_there = true;
    }

    fn leased(&mut self, leased: &[Leased], visibility: Duration) {
        let now = self.clock.now();
        for one in leased {
            let Some(name) = one.token.task.strip_prefix("i/") else { continue };
            let name = name.to_owned();
            if let Some((_, until)) = self.held.get(&name) {
                if *until <= now {
                    self.log.record("queue", What::LeaseExpired { task: name.clone() });
                } else {
                    self.anomalies.push(format!("{name} is leased twice at once"));
                }
            }
            self.held.insert(name.clone(), (one.token.fence, now + visibility));
            self.fences.insert(name, one.token.fence);
        }
    }

    fn settled(&mut self, token: &LeaseToken, settlement: &Settlement) {
        for follow_up in &settlement.follow_ups {
            if !follow_up.lane.as_str().contains(':') {
                self.pushed(&follow_up.task, true);
            }
        }
        let Some(name) = token.task.strip_prefix("i/") else { return };
        self.held.remove(name);
        let now = self.clock.now().as_nanos();
        let Some(known) = self.pushed.get_mut(name) else { return };
        let follow_up = settlement.follow_ups.first().map(|follow_up| &follow_up.task.payload);
        let end = match (&settlement.verdict, follow_up) {
            (Verdict::Retry { .. }, _) => return,
            (Verdict::Bury { reason, .. }, _) if reason.starts_with("Expired") => Ending::Expired,
            (Verdict::Bury { .. }, _) => Ending::Failed,
            (Verdict::Done, None) => Ending::Succeeded,
            (Verdict::Done, Some(payload)) => {
                let envelope = Envelope::decode(payload).unwrap();
                record_of(&envelope.body).map_or(Ending::Succeeded, |record| record.ending)
            }
        };
        known.end = Some((now, end));
        known.is_there = false;
        if let Verdict::Bury { .. } = settlement.verdict {
            self.log.record("queue", What::Dlq { task: name.to_owned() });
        }
    }
}

thread_local! {
    /// Tasks of this run's requests.
    pub(crate) static NAMES: RefCell<HashMap<String, String>> = RefCell::default();
}

/// What a destination's record says.
pub(crate) struct Told {
    /// `function/id` of the task that is over.
    pub(crate) source: String,
    pub(crate) ending: Ending,
}

pub(crate) fn record_of(body: &[u8]) -> Option<Told> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let context = json.get("requestContext")?;
    let ending = match context["condition"].as_str()? {
        "" => Ending::Succeeded,
        "Expired" => Ending::Expired,
        "Stopped" => Ending::Cancelled,
        _ => Ending::Failed,
    };
    let arn = context["functionArn"].as_str()?;
    let function = arn.split('/').nth(1)?;
    let request_id = context["requestId"].as_str()?;
    let source = match depth_of(function) {
        0 => NAMES.with_borrow(|names| names.get(request_id).cloned())?,
        depth => format!("{function}/{request_id}-{depth}"),
    };
    Some(Told { source, ending })
}

/// A payload; of a record only whose it is: what is not recorded as a task may be run twice after a
/// crash, and then end in two ways.
pub(crate) fn payload_of(body: &[u8]) -> String {
    match record_of(body) {
        Some(told) => told.source,
        None => String::from_utf8_lossy(body).into_owned(),
    }
}

/// The queue itself.
#[derive(Debug)]
pub(crate) struct TrueQueue {
    pub(crate) good: MemoryQueue,
    pub(crate) facts: Shared,
    pub(crate) clock: SimClock,
    last: Mutex<Option<Leased>>,
}

impl TrueQueue {
    pub(crate) fn new(clock: SimClock, facts: Shared) -> Self {
        let good = MemoryQueue::new(Arc::new(clock.clone()));
        Self { good, facts, clock, last: Mutex::default() }
    }
}

#[async_trait]
impl Queue for TrueQueue {
    fn capabilities(&self) -> QueueCapabilities {
        self.good.capabilities()
    }

    async fn push(&self, cx: Context, lane: &Lane, mut task: NewTask) -> Result<Pushed> {
        if self.facts.lock().shows(Bug::PushLost) {
            return Ok(Pushed::New);
        }
        if self.facts.lock().shows(Bug::PayloadAltered) {
            let mut payload = task.payload.to_vec();
            // The last byte is the caller's.
            *payload.last_mut().unwrap() ^= 1;
            task.payload = payload.into();
        }
        let pushed = self.good.push(cx, lane, task.clone()).await?;
        if pushed == Pushed::New {
            let is_child = record_of(&Envelope::decode(&task.payload).unwrap().body).is_some();
            self.facts.lock().pushed(&task, is_child);
        }
        if self.facts.lock().shows(Bug::RefusedIsKept) {
            let what = "planted: the queue is full";
            return Err(Error::new(fc::core::ErrorKind::ResourceExhausted, what));
        }
        Ok(pushed)
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        self.good.wait(cx, lane).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let visibility = match self.facts.lock().shows(Bug::LeaseForEver) {
            true => Duration::from_secs(86_400 * 365),
            false => visibility,
        };
        let mut leased = self.good.lease(cx, lane, max, visibility).await?;
        self.facts.lock().leased(&leased, visibility);
        if self.facts.lock().shows(Bug::LeasedTwice)
            && leased.len() < max
            && let Some(again) = self.last.lock().take()
        {
            leased.push(again);
        }
        if let Some(last) = leased.last() {
            *self.last.lock() = Some(last.clone());
        }
        Ok(leased)
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        self.good.extend(cx, lease, visibility).await?;
        let until = self.clock.now() + visibility;
        if let Some(name) = lease.task.strip_prefix("i/")
            && let Some(held) = self.facts.lock().held.get_mut(name)
        {
            held.1 = until;
        }
        Ok(())
    }

    async fn settle(
        &self,
        cx: Context,
        lease: &LeaseToken,
        mut settlement: Settlement,
    ) -> Result<()> {
        let now = self.clock.wall();
        if self.facts.lock().shows(Bug::FollowUpLost) {
            settlement.follow_ups.clear();
        }
        if let Verdict::Retry { at, .. } = &mut settlement.verdict
            && self.facts.lock().shows(Bug::RetryEarly)
        {
            let ms = (now.as_unix_millis() + at.as_unix_millis()) / 2;
            *at = Timestamp::from_unix_millis(ms);
        }
        if settlement.verdict == Verdict::Done && self.facts.lock().shows(Bug::DoneComesBack) {
            settlement.verdict = Verdict::Retry { at: now, note: Bytes::new() };
        }
        self.good.settle(cx, lease, settlement.clone()).await?;
        self.facts.lock().settled(lease, &settlement);
        Ok(())
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        let cancelled = self.good.cancel(cx, lane, id).await?;
        if cancelled == Cancelled::Removed
            && let Some(name) = id.strip_prefix("i/")
        {
            let mut facts = self.facts.lock();
            let now = facts.clock.now().as_nanos();
            facts.held.remove(name);
            if let Some(known) = facts.pushed.get_mut(name) {
                known.is_there = false;
                known.end = Some((now, Ending::Cancelled));
            }
        }
        Ok(cancelled)
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.good.depth(lane).await
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        self.good.lanes(after, max).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        self.good.list(lane, place, after, max).await
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.good.redrive(cx, lane, id, at, note).await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.good.purge(cx, lane, place).await
    }
}

/// The store itself.
#[derive(Debug)]
pub(crate) struct TrueStore {
    pub(crate) good: MemoryStore,
    pub(crate) facts: Shared,
}

impl TrueStore {
    /// How a task, `function/id`, has ended by its record.
    pub(crate) fn ending(&self, task: &str) -> Option<Ending> {
        let key = format!("task/{}/{task}", crate::world::account());
        let record = self.good.get(&key).now_or_never().unwrap().unwrap();
        record.and_then(|record| ending_of(&record.value))
    }

    /// Writes down that a record says for the first time that a task is over.
    fn put_record(&self, key: &str, value: &[u8], before: Option<&Record>) {
        let Some(name) = key.strip_prefix("task/") else { return };
        let Some((_, name)) = name.split_once('/') else { return };
        let is = ending_of(value);
        let was = before.and_then(|record| ending_of(&record.value));
        if let (Some(kind), None) = (is, was) {
            let log = self.facts.lock().log.clone();
            log.record("store", What::Terminal { task: name.to_owned(), kind, result: None });
        }
    }
}

pub(crate) fn ending_of(record: &[u8]) -> Option<Ending> {
    let json: serde_json::Value = serde_json::from_slice(record).unwrap();
    match json["task"]["status"].as_str()? {
        "Succeeded" => Some(Ending::Succeeded),
        "Failed" | "Invalid" => Some(Ending::Failed),
        "Stopped" => Some(Ending::Cancelled),
        "Expired" => Some(Ending::Expired),
        _ => None,
    }
}

#[async_trait]
impl Store for TrueStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.good.capabilities()
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.good.get(key).await
    }

    async fn put(&self, key: &str, value: Bytes, mut when: When) -> Result<Revision> {
        let before = self.good.get(key).await?;
        if self.facts.lock().shows(Bug::WriteForgotten) {
            return Ok(before.map_or(Revision(1), |record| record.revision));
        }
        if when == When::Absent && self.facts.lock().shows(Bug::AbsentIgnored) {
            when = When::Always;
        }
        let revision = self.good.put(key, value.clone(), when).await?;
        self.put_record(key, &value, before.as_ref());
        Ok(revision)
    }

    async fn delete(&self, key: &str, when: When) -> Result<bool> {
        self.good.delete(key, when).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Record>> {
        self.good.list(prefix, after, max).await
    }

    async fn watch(&self, prefix: &str, since: Option<Revision>) -> Result<ChangeStream> {
        self.good.watch(prefix, since).await
    }
}
