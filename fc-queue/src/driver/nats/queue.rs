//! The queue: checks, asks its writer, and reads the payloads of what it was given.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc_core::{Clock, Context, Error, ErrorKind, Instant, Queue, Result, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::core::book::{Entry, Visible};

use super::config::NatsQueueConfig;
use super::connect::{Connected, connect};
use super::follower::follow;
use super::ledger::Spot;
use super::plan::{Answer, Op, Portion, Taken};
use super::seat::Seat;
use super::shared::Shared;
use super::writer::{Ask, Fate, Writer};

/// Operations that wait for the writer; more wait at the door.
const ASKED_MAX: usize = 1024;

/// Tasks that one call leases: they fit into a message, however long the lane's name.
const LEASED_MAX: usize = 200;

/// What a look at the server may take beyond a deadline.
const LOOKED_WITHIN: Duration = Duration::from_secs(1);

/// Tasks on NATS JetStream, shared by all processes that name the same stream.
///
/// See the [module](super) for how it works, what it asks of the server and what of the machines'
/// clocks. A task's index is in the memory of each process (some 500 bytes), its payload is not.
pub struct NatsQueue {
    shared: Arc<Shared>,
    capabilities: QueueCapabilities,
    asks: mpsc::Sender<Ask>,
    seat: Arc<Seat<Writer>>,
    answer_within: Duration,
    follower: JoinHandle<()>,
}

impl NatsQueue {
    /// Connects, makes the stream if it is not there, and reads what it holds.
    ///
    /// Must be called within a tokio runtime, whose tasks then serve the queue until it is dropped.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for the config; `Unsupported` for a server or a stream that cannot keep the
    /// queue's promises; `ResourceThrottled` if the server does not answer.
    pub async fn connect(config: NatsQueueConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let Connected { shared, capabilities, bells } = Box::pin(connect(&config, clock)).await?;
        let (asks, asked) = mpsc::channel(ASKED_MAX);
        let seat = Seat::new(Writer::new(shared.clone(), asked), Handle::current());
        let follower = tokio::spawn(follow(shared.clone(), bells));
        let answer_within = config.answer_within;
        Ok(Self { shared, capabilities, asks, seat, answer_within, follower })
    }

    async fn ask(&self, deadline: Instant, op: Op) -> Result<(Answer, u64)> {
        let clock = self.shared.clock.clock();
        let until = deadline.min(clock.now() + self.answer_within);
        let (reply, replied) = oneshot::channel();
        let fate = Arc::new(Fate::default());
        let ask = Ask { op, reply, fate: fate.clone() };
        let asked = async {
            if self.asks.send(ask).await.is_err() {
                return Err(closed());
            }
            self.seat.attend(replied).await.map_err(|_| closed())
        };
        match clock.with_deadline(until, asked).await {
            Ok(Ok((answer, sequence))) => Ok((answer?, sequence)),
            Ok(Err(closed)) if fate.give_up() => Err(closed),
            Err(_) if fate.give_up() => {
                let what = "NATS: the server takes no writes now, or answers too late";
                Err(Error::new(ErrorKind::ResourceThrottled, what))
            }
            Ok(Err(_)) | Err(_) => {
                let what = "NATS: the server's answer did not come: it may have been done";
                Err(Error::new(ErrorKind::Unknown, what))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Reads the payloads of what will likely be leased, so that nothing is held meanwhile.
    async fn read_ahead(&self, lane: &Lane, max: usize) -> Result<()> {
        let now = self.now();
        let due: Vec<(u64, Spot)> = {
            let mut ledger = self.shared.ledger.lock();
            let due = ledger.book.due(lane.as_str(), now).take(max);
            let missing = due.map(|(position, entry)| (position, entry.payload));
            missing.filter(|(_, spot)| !self.shared.bodies.has(spot.sequence)).collect()
        };
        if !due.is_empty() {
            self.shared.payloads(lane, &due).await?;
        }
        Ok(())
    }

    /// Goes through a lane's tasks, as many at a time as fit into a message.
    async fn each(&self, cx: Context, op: impl Fn(Option<u64>) -> Op) -> Result<u64> {
        let mut changed = 0;
        let mut behind = None;
        loop {
            let (answer, _) = match self.ask(cx.deadline.soft, op(behind)).await {
                // Some are changed already.
                Err(error) if changed > 0 => {
                    return Err(Error::new(ErrorKind::Unknown, error.message().to_owned()));
                }
                asked => asked?,
            };
            let Answer::Changed(portion) = answer else {
                return Err(other());
            };
            let Portion { count, behind: next } = portion;
            changed += count;
            match next {
                Some(_) => behind = next,
                None => return Ok(changed),
            }
        }
    }
}

#[async_trait]
impl Queue for NatsQueue {
    fn capabilities(&self) -> QueueCapabilities {
        self.capabilities
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        task.check(&self.capabilities, self.now())?;
        match self.ask(cx.deadline.soft, Op::Push(lane.clone(), task)).await?.0 {
            Answer::Pushed(pushed) => Ok(pushed),
            _ => Err(other()),
        }
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        let waiter = self.shared.waiters.join(lane);
        let clock = self.shared.clock.clock();
        let mut is_fresh = false;
        loop {
            let mut woken = std::pin::pin!(waiter.woken.notified());
            // Before it is looked, so that nothing is missed in between.
            woken.as_mut().enable();
            let now = self.now();
            let visible = self.shared.ledger.lock().book.visible(lane.as_str(), now);
            let next = match visible {
                // What was just read of it is as true as anything.
                Visible::Now if is_fresh => return Ok(true),
                Visible::Now => {
                    let soon = clock.now() + LOOKED_WITHIN;
                    let op = Op::Visible(lane.clone());
                    match self.ask(cx.deadline.soft.max(soon), op).await?.0 {
                        Answer::Visible(true) => return Ok(true),
                        // It is read now.
                        _ => continue,
                    }
                }
                Visible::At(at) => self.shared.clock.instant(at),
                Visible::Never => Instant::MAX,
            };
            if clock.now() >= cx.deadline.soft {
                return Ok(false);
            }
            // Whichever comes first, it is looked again.
            is_fresh = clock.with_deadline(next.min(cx.deadline.soft), woken).await.is_ok();
        }
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        let max = max.min(LEASED_MAX);
        if max == 0 {
            return Ok(Vec::new());
        }
        self.read_ahead(lane, max).await?;
        let op = Op::Lease(lane.clone(), max, visibility);
        let (answer, fence) = self.ask(cx.deadline.soft, op).await?;
        let Answer::Leased(taken) = answer else {
            return Err(other());
        };
        let spots: Vec<(u64, Spot)> =
            taken.iter().map(|taken| (taken.position, taken.entry.payload)).collect();
        let payloads = self.shared.payloads(lane, &spots).await.map_err(|error| {
            // They are held until their visibility ends.
            Error::new(ErrorKind::Unknown, error.message().to_owned())
        })?;
        Ok(taken
            .into_iter()
            .zip(payloads)
            .map(|(taken, payload)| leased(lane, taken, fence, payload))
            .collect())
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        let op = Op::Extend(lease.clone(), visibility);
        self.ask(cx.deadline.soft, op).await.map(drop)
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        self.capabilities.check_settlement(&settlement, self.now())?;
        let op = Op::Settle(lease.clone(), settlement);
        self.ask(cx.deadline.soft, op).await.map(drop)
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        let op = Op::Cancel(lane.clone(), id.to_owned());
        match self.ask(cx.deadline.soft, op).await?.0 {
            Answer::Cancelled(cancelled) => Ok(cancelled),
            _ => Err(other()),
        }
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        match self.ask(Instant::MAX, Op::Depth(lane.clone())).await?.0 {
            Answer::Depth(depth) => Ok(depth),
            _ => Err(other()),
        }
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        match self.ask(Instant::MAX, Op::Lanes(after.cloned(), max)).await?.0 {
            Answer::Lanes(lanes) => Ok(lanes),
            _ => Err(other()),
        }
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        let op = Op::List(lane.clone(), place, after, max);
        let (answer, _) = self.ask(Instant::MAX, op).await?;
        let Answer::List(listed) = answer else {
            return Err(other());
        };
        let spots: Vec<(u64, Spot)> =
            listed.iter().map(|(position, entry)| (*position, entry.payload)).collect();
        let payloads = self.shared.payloads(lane, &spots).await?;
        let views = listed.into_iter().zip(payloads);
        Ok(views.map(|((position, entry), payload)| view(position, entry, payload)).collect())
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.capabilities.check_note(&note)?;
        let id = id.map(str::to_owned);
        self.each(cx, |behind| Op::Redrive(lane.clone(), id.clone(), behind, at, note.clone()))
            .await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.each(cx, |behind| Op::Purge(lane.clone(), place, behind)).await
    }
}

impl Drop for NatsQueue {
    fn drop(&mut self) {
        self.follower.abort();
        self.seat.close();
    }
}

impl fmt::Debug for NatsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.shared.ledger.lock();
        f.debug_struct("NatsQueue")
            .field("stream", &self.shared.log.stream())
            .field("tasks", &ledger.live())
            .field("read", &ledger.applied())
            .finish_non_exhaustive()
    }
}

fn leased(lane: &Lane, taken: Taken, fence: u64, payload: Bytes) -> Leased {
    let Taken { position, entry } = taken;
    let token = LeaseToken { lane: lane.clone(), task: entry.id.to_string(), position, fence };
    Leased {
        token,
        payload,
        note: Bytes::from(entry.note),
        leases_before: entry.leases,
        pushed_at: entry.pushed_at,
        visible_at: entry.visible_at,
    }
}

fn view(position: u64, entry: Entry<Spot>, payload: Bytes) -> TaskView {
    TaskView {
        position,
        id: entry.id.into(),
        payload,
        note: Bytes::from(entry.note),
        pushed_at: entry.pushed_at,
        visible_at: entry.visible_at,
        leases: entry.leases,
        reason: entry.reason.map(String::from),
    }
}

fn closed() -> Error {
    Error::internal("NATS: the queue's runtime is gone")
}

fn other() -> Error {
    Error::internal("NATS: the writer answered another question")
}
