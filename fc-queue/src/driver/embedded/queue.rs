//! The port.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, Queue,
    QueueCapabilities, Settlement, TaskView,
};
use fc_core::{Context, Error, ErrorKind, Result, Timestamp};
use tokio::sync::oneshot;

use super::EmbeddedQueue;
use super::command::{Answer, Command, Op, Which};
use super::read::Wanted;
use super::state::{Location, State};
use crate::core::book::{Apart, Lent, Visible};

/// Bytes of payloads that one lease or one list gives, unless one alone has more.
const ANSWER_BYTES: u64 = 16 * 1024 * 1024;
/// Largest settlement with all that it pushes, bytes.
const SETTLEMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A payload: in memory, or to be read.
type Source = Result<Bytes, Wanted>;

impl EmbeddedQueue {
    /// Lets the writer do `op`, and waits until it is durable.
    async fn write(&self, cx: Context, op: Op) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.put(Command { op, reply })?;
        let lost = |what: &'static str| Error::new(ErrorKind::Unknown, what);
        match self.shared.clock.clock().with_deadline(cx.deadline.soft, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(lost("the queue's writer is gone")),
            Err(_) => Err(lost("the deadline came before the write was durable")),
        }
    }

    /// Lets the writer move all tasks of a lane that are there now, a part at a time.
    async fn move_all(&self, cx: Context, op: impl Fn(Which) -> Op) -> Result<u64> {
        let up_to = self.shared.state.lock().book.next_position() - 1;
        let (mut moved, mut after) = (0, None);
        loop {
            let answer = self.write(cx, op(Which::Behind { after, up_to })).await;
            let Answer::Moved { count, next } = answer.map_err(|error| halfway(error, moved))?
            else {
                return Err(answered_else());
            };
            moved += count;
            match next {
                Some(next) if next < up_to => after = Some(next),
                _ => return Ok(moved),
            }
        }
    }

    fn source(state: &State, position: u64, location: Location) -> Result<Source> {
        if let Some(payload) = state.cache.get(position) {
            return Ok(Ok(payload.clone()));
        }
        let segment = state.segments.get(&location.segment);
        let gone = || Error::internal(format!("segment {} is gone", location.segment));
        Ok(Err(Wanted { file: segment.ok_or_else(gone)?.file.clone(), location }))
    }

    /// The payloads, in the order of their sources.
    async fn payloads(&self, sources: Vec<Source>) -> Vec<Result<Bytes>> {
        let mut wanted = Vec::new();
        let mut payloads = Vec::with_capacity(sources.len());
        for (index, source) in sources.into_iter().enumerate() {
            match source {
                Ok(payload) => payloads.push(Ok(payload)),
                Err(it) => {
                    payloads.push(Ok(Bytes::new()));
                    wanted.push((index, it));
                }
            }
        }
        if !wanted.is_empty() {
            let (indices, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
            for (index, payload) in indices.into_iter().zip(self.reader.read(wanted).await) {
                payloads[index] = payload;
            }
        }
        payloads
    }

    /// Leases tasks, and notes how often they were.
    fn take(
        &self,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<(Lent<Location>, Source)>> {
        let mut lent = Vec::new();
        {
            let mut state = self.shared.state.lock();
            let now = self.shared.clock.now();
            let until = self.shared.clock.after(visibility);
            let mut bytes = 0;
            while lent.len() < max && bytes < ANSWER_BYTES {
                let Some(one) = state.book.lease(lane, 1, until, now).pop() else {
                    break;
                };
                bytes += u64::from(one.entry.payload.len);
                let source = Self::source(&state, one.token.position, one.entry.payload)?;
                lent.push((one, source));
            }
        }
        if !lent.is_empty() {
            let counts: Vec<_> =
                lent.iter().map(|(one, _)| (one.token.position, one.entry.leases)).collect();
            let mut leases = self.shared.leases.lock();
            leases.note(lane.as_str(), &counts);
            let is_long = leases.bytes() > self.segment_bytes;
            drop(leases);
            if is_long {
                // Nobody waits for it; if it is refused, the next lease asks again.
                let (reply, _) = oneshot::channel();
                let _ = self.shared.inbox.put(Command { op: Op::Turn, reply });
            }
        }
        Ok(lent)
    }
}

/// An error after some were moved is one whose outcome is not known.
fn halfway(error: Error, moved: u64) -> Error {
    if moved == 0 { error } else { Error::new(ErrorKind::Unknown, error.message().to_owned()) }
}

fn answered_else() -> Error {
    Error::internal("the queue's writer answered another question")
}

#[async_trait]
impl Queue for EmbeddedQueue {
    fn capabilities(&self) -> QueueCapabilities {
        self.shared.capabilities
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        task.check(&self.shared.capabilities, self.shared.clock.now())?;
        // Whatever is in the book is durable.
        if self.shared.state.lock().book.contains(lane.as_str(), &task.id) {
            return Ok(Pushed::Known);
        }
        match self.write(cx, Op::Push { lane: lane.clone(), task }).await? {
            Answer::Pushed(pushed) => Ok(pushed),
            _ => Err(answered_else()),
        }
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        let shared = &*self.shared;
        let waiter = shared.waiters.join(lane);
        loop {
            let mut notified = std::pin::pin!(waiter.notify.notified());
            // From here on no notice is missed.
            notified.as_mut().enable();
            let visible = shared.state.lock().book.visible(lane.as_str(), shared.clock.now());
            let soft = cx.deadline.soft;
            let until = match visible {
                Visible::Now => return Ok(true),
                Visible::At(at) => shared.clock.instant(at).min(soft),
                Visible::Never => soft,
            };
            let clock = shared.clock.clock();
            if until <= clock.now() && until == soft {
                return Ok(false);
            }
            let _either = clock.with_deadline(until, notified).await;
        }
    }

    async fn lease(
        &self,
        _cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let (lent, sources): (Vec<_>, Vec<_>) =
            self.take(lane, max, visibility)?.into_iter().unzip();
        let mut leased = Vec::with_capacity(lent.len());
        let mut unread = None;
        for (Lent { token, entry }, payload) in lent.into_iter().zip(self.payloads(sources).await) {
            match payload {
                Ok(payload) => leased.push(Leased {
                    token,
                    payload,
                    note: Bytes::from(entry.note),
                    leases_before: entry.leases.saturating_sub(1),
                    pushed_at: entry.pushed_at,
                    visible_at: entry.visible_at,
                }),
                // It stays leased, so that it does not stand in the others' way at once.
                Err(error) => {
                    tracing::error!(%lane, task = token.task, %error, "a task cannot be read");
                    unread = Some(error);
                }
            }
        }
        match unread {
            Some(error) if leased.is_empty() => Err(error),
            _ => Ok(leased),
        }
    }

    async fn extend(&self, _cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        let mut state = self.shared.state.lock();
        let until = self.shared.clock.after(visibility);
        state.book.held(lease)?;
        // While a settlement is being written, the lease is kept for the case that it fails.
        if let Some(apart) = state.apart.get_mut(&lease.position) {
            *apart = Apart::Held(until);
            return Ok(());
        }
        state.book.extend(lease, until)
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        let now = self.shared.clock.now();
        self.shared.capabilities.check_settlement(&settlement, now)?;
        let op = Op::Settle { lease: lease.clone(), settlement };
        if op.bytes() > SETTLEMENT_BYTES_MAX {
            let bytes = op.bytes();
            return Err(Error::over_limit("settlement", "bytes", SETTLEMENT_BYTES_MAX, bytes));
        }
        self.write(cx, op).await.map(drop)
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        match self.write(cx, Op::Cancel { lane: lane.clone(), id: id.to_owned() }).await? {
            Answer::Cancelled(cancelled) => Ok(cancelled),
            _ => Err(answered_else()),
        }
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        let now = self.shared.clock.now();
        Ok(self.shared.state.lock().book.depth(lane.as_str(), now))
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        Ok(self.shared.state.lock().book.lanes(after.map(Lane::as_str), max))
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        let (entries, sources) = {
            let mut state = self.shared.state.lock();
            let now = self.shared.clock.now();
            let mut entries = state.book.list(lane.as_str(), place, after, max, now);
            let mut bytes = 0;
            let fits = entries.iter().take_while(|(_, entry)| {
                let fits = bytes < ANSWER_BYTES;
                bytes += u64::from(entry.payload.len);
                fits
            });
            let count = fits.count();
            entries.truncate(count);
            let sources: Result<Vec<_>> = entries
                .iter()
                .map(|(position, entry)| Self::source(&state, *position, entry.payload))
                .collect();
            (entries, sources?)
        };
        let payloads = self.payloads(sources).await;
        let views = entries.into_iter().zip(payloads).map(|((position, entry), payload)| {
            Ok(TaskView {
                position,
                id: entry.id.into(),
                payload: payload?,
                note: Bytes::from(entry.note),
                pushed_at: entry.pushed_at,
                visible_at: entry.visible_at,
                leases: entry.leases,
                reason: entry.reason.map(String::from),
            })
        });
        views.collect()
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.shared.capabilities.check_note(&note)?;
        let op = |which| Op::Redrive { lane: lane.clone(), which, at, note: note.clone() };
        let Some(id) = id else {
            return self.move_all(cx, op).await;
        };
        match self.write(cx, op(Which::Id(id.to_owned()))).await? {
            Answer::Moved { count, .. } => Ok(count),
            _ => Err(answered_else()),
        }
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        if place == Place::Leased {
            return Err(Error::invalid("place", "leased tasks cannot be purged"));
        }
        self.move_all(cx, |which| Op::Purge { lane: lane.clone(), place, which }).await
    }
}
