//! Writes what was asked for: one message at a time, with all that came in meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::Lane;
use fc_core::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use super::broker::Appended;
use super::fact::Batch;
use super::ledger::Ledger;
use super::log::Entry;
use super::plan::{Answer, Op, Outcome, Plan};
use super::seat::Work;
use super::shared::Shared;

/// Operations that wait for the next message, beside those in the channel.
const PENDING_MAX: usize = 4096;

/// How often others are let go before a message is written.
const GATHERED_MAX: usize = 4;

/// Pauses between tries to write a message whose outcome is not known.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// An operation, and who waits for it.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) op: Op,
    pub(super) reply: oneshot::Sender<Replied>,
    pub(super) fate: Arc<Fate>,
}

/// What came of it, and the message that made it true.
pub(super) type Replied = (Result<Answer>, u64);

/// Whether an operation may be done already.
#[derive(Debug, Default)]
pub(super) struct Fate(AtomicU8);

const WAITS: u8 = 0;
const TAKEN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Fate {
    /// Nobody waits any more: `true` if nothing was or will be done.
    pub(super) fn give_up(&self) -> bool {
        let given_up =
            self.0.compare_exchange(WAITS, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
        given_up.is_ok()
    }

    fn take(&self) -> bool {
        let taken = self.0.compare_exchange(WAITS, TAKEN, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok()
    }

    fn put_back(&self) {
        self.0.store(WAITS, Ordering::Release);
    }
}

/// A plan, and who waits for it.
struct Round {
    previous: u64,
    number: u64,
    plan: Plan,
    asked: Vec<(Ask, Result<Answer>)>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    asks: mpsc::Receiver<Ask>,
    pending: VecDeque<Ask>,
    number: u64,
    /// Who was answered by the last message.
    answered: usize,
    /// Messages in a row that others came before.
    losses: u32,
    is_cutting: Arc<std::sync::atomic::AtomicBool>,
}

impl Work for Writer {
    fn is_asked(&self) -> bool {
        !self.pending.is_empty() || !self.asks.is_empty()
    }

    /// Writes a message.
    async fn turn(mut self) -> Self {
        self.draw();
        self.give_turn().await;
        let carried = self.to_carry().await;
        let round = self.plan(&carried);
        self.answered = 0;
        self.perform(round).await;
        self.cut();
        self
    }

    /// Takes what is asked already. Whoever was just answered may be about to ask again, and would
    /// have to wait for a whole message: they are let go first, as long as more comes.
    async fn gather(&mut self) {
        self.draw();
        if self.answered + self.pending.len() < 2 {
            return;
        }
        for _ in 0..GATHERED_MAX {
            let before = self.pending.len();
            tokio::task::yield_now().await;
            self.draw();
            if before > 0 && self.pending.len() == before {
                return;
            }
        }
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, asks: mpsc::Receiver<Ask>) -> Self {
        Self {
            shared,
            asks,
            pending: VecDeque::new(),
            number: 0,
            answered: 0,
            losses: 0,
            is_cutting: Arc::default(),
        }
    }

    fn draw(&mut self) {
        while self.pending.len() < PENDING_MAX
            && let Ok(ask) = self.asks.try_recv()
        {
            self.pending.push_back(ask);
        }
    }

    /// Lets another process write first, if it asked for that.
    async fn give_turn(&self) {
        let Some(until) = self.shared.yielding.lock().take() else {
            return;
        };
        let mut moved = self.shared.moved.subscribe();
        let clock = self.shared.clock.clock();
        let _ = clock.with_deadline(until, moved.changed()).await;
    }

    fn plan(&mut self, carried: &[(u64, Lane, Bytes)]) -> Round {
        self.number += 1;
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut plan = Plan::new(shared.room, shared.writer, self.number, now);
        let mut asked = Vec::new();
        let mut later = VecDeque::new();
        let mut ledger = shared.ledger.lock();
        for ask in self.pending.drain(..) {
            if !ask.fate.take() {
                continue;
            }
            match plan.take(&mut ledger, &ask.op, |span| shared.clock.after(span)) {
                Outcome::Answer(answer) => asked.push((ask, answer)),
                Outcome::Later => {
                    ask.fate.put_back();
                    later.push_back(ask);
                }
            }
        }
        for (position, lane, body) in carried {
            if !plan.carry(&ledger, lane, *position, body) {
                break;
            }
        }
        let previous = ledger.applied();
        drop(ledger);
        self.pending = later;
        Round { previous, number: self.number, plan, asked }
    }

    async fn perform(&mut self, round: Round) {
        let Round { previous, number, plan, asked } = round;
        if plan.is_empty() {
            return self.confirm(previous, asked).await;
        }
        let (facts, encoded, body) = plan.finish();
        let begun = self.shared.clock.clock().now();
        match self.append(previous, number, &encoded, &body).await {
            Ok(Some(sequence)) => {
                self.losses = 0;
                self.shared.bodies.keep(sequence, body.clone());
                let at = self.shared.clock.now();
                let batch = Batch { writer: self.shared.writer, number, at, facts };
                // The time of the batch is the one that was written.
                let batch = Batch { at: written_at(&encoded).unwrap_or(at), ..batch };
                let bytes = (encoded.len() + body.len()) as u64;
                let written = Some((previous, batch));
                self.shared.read(&Entry { sequence, written, body: None, bytes });
                self.reply(asked, sequence);
                if self.shared.has_company() {
                    self.shared.log.ring(sequence, previous, &encoded).await;
                }
            }
            Ok(None) => {
                self.put_back(asked);
                self.losses += 1;
                if self.losses >= 2 {
                    let took = self.shared.clock.clock().now() - begun;
                    self.shared.log.knock(took * 2 + Duration::from_millis(1)).await;
                }
            }
            Err(full) => {
                self.answered = asked.len();
                for (ask, answer) in asked {
                    // What changes nothing was decided at a state that may be gone: again.
                    let answer = answer.and_then(|_| Err(full.duplicate()));
                    let _ = ask.reply.send((answer, 0));
                }
            }
        }
    }

    /// Answers what changes nothing, if the log still ends where it was read to.
    async fn confirm(&mut self, previous: u64, asked: Vec<(Ask, Result<Answer>)>) {
        if asked.is_empty() {
            return;
        }
        match self.shared.log.ends().await {
            Ok(ends) if ends.last == previous => self.reply(asked, previous),
            Ok(ends) => {
                self.put_back(asked);
                if ends.last > previous {
                    self.shared.reach(ends.last).await;
                } else {
                    self.shared.behind.notify_one();
                    self.pause(PAUSE_MIN).await;
                }
            }
            Err(_) => {
                self.put_back(asked);
                self.pause(PAUSE_MIN).await;
            }
        }
    }

    /// Writes a message until it is known what became of it: its sequence, or `None` if others came
    /// before it.
    async fn append(
        &self,
        previous: u64,
        number: u64,
        facts: &[u8],
        body: &Bytes,
    ) -> Result<Option<u64>> {
        let mut pause = PAUSE_MIN;
        let mut is_first = true;
        loop {
            let full = match self.shared.log.append(previous, facts, body.clone()).await {
                Appended::At(sequence) => return Ok(Some(sequence)),
                Appended::Behind => None,
                Appended::Full(what) => Some(Error::new(ErrorKind::ResourceExhausted, what)),
                Appended::Lost(what) => {
                    let stream = self.shared.log.stream();
                    tracing::debug!(stream, what, "a message's outcome is not known: once more");
                    is_first = false;
                    self.pause(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
            };
            if let (Some(full), true) = (&full, is_first) {
                return Err(full.duplicate());
            }
            // Another's message is there, or this one, whose answer was lost.
            match self.read_end().await {
                Ok(()) => {}
                Err(_) => {
                    self.pause(pause).await;
                    continue;
                }
            }
            let ledger = self.shared.ledger.lock();
            if let Some(sequence) = ledger.own(number) {
                return Ok(Some(sequence));
            }
            if ledger.applied() != previous {
                return Ok(None);
            }
            if let Some(full) = full {
                return Err(full);
            }
        }
    }

    async fn read_end(&self) -> Result<()> {
        let ends = self.shared.log.ends().await?;
        let applied = self.shared.ledger.lock().applied();
        if ends.last < applied {
            // The follower finds out whether the server lost messages.
            self.shared.behind.notify_one();
            return Err(Error::internal("the log is shorter than it was"));
        }
        self.shared.reach(ends.last).await;
        if self.shared.ledger.lock().applied() >= ends.last {
            return Ok(());
        }
        Err(Error::internal("the log is not read to its end"))
    }

    fn reply(&mut self, asked: Vec<(Ask, Result<Answer>)>, sequence: u64) {
        self.answered = asked.len();
        for (ask, answer) in asked {
            // Who went away has what it asked for, or finds out.
            let _ = ask.reply.send((answer, sequence));
        }
    }

    fn put_back(&mut self, asked: Vec<(Ask, Result<Answer>)>) {
        for (ask, _) in asked.into_iter().rev() {
            ask.fate.put_back();
            self.pending.push_front(ask);
        }
    }

    async fn pause(&self, pause: Duration) {
        let clock = self.shared.clock.clock();
        clock.sleep_until(clock.now() + pause).await;
    }

    /// The tasks that keep the log from being cut, with their payloads, if most of it is not needed.
    async fn to_carry(&self) -> Vec<(u64, Lane, Bytes)> {
        const AT_ONCE: usize = 64;
        let tasks: Vec<(u64, Lane, super::ledger::Spot)> = {
            let ledger = self.shared.ledger.lock();
            if !is_mostly_waste(&ledger) {
                return Vec::new();
            }
            let spot = |(position, lane): (u64, &Lane)| {
                let (entry, _) = ledger.book.stands(lane.as_str(), position)?;
                Some((position, lane.clone(), entry.payload))
            };
            ledger.rearmost().take(AT_ONCE).filter_map(spot).collect()
        };
        let mut carried = Vec::with_capacity(tasks.len());
        let mut bytes = 0;
        for (position, lane, spot) in tasks {
            let payload = self.shared.payloads(&lane, &[(position, spot)]).await;
            let Some(body) = payload.ok().and_then(|mut payloads| payloads.pop()) else {
                break;
            };
            bytes += body.len();
            if bytes > self.shared.room.body_bytes / 2 && !carried.is_empty() {
                break;
            }
            carried.push((position, lane, body));
        }
        carried
    }

    /// Removes the beginning of the log that nobody needs.
    fn cut(&self) {
        let needed = {
            let ledger = self.shared.ledger.lock();
            let (messages, bytes) = (ledger.messages(), ledger.bytes);
            let slack = slack(messages, bytes);
            let needed = ledger.needed().min(ledger.applied().saturating_sub(slack));
            if needed < ledger.first + slack {
                return;
            }
            needed
        };
        if self.is_cutting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (shared, is_cutting) = (self.shared.clone(), self.is_cutting.clone());
        tokio::spawn(async move {
            match shared.log.cut(needed).await {
                Ok(()) => {
                    let mut ledger = shared.ledger.lock();
                    ledger.first = ledger.first.max(needed);
                    drop(ledger);
                    shared.behind.notify_one();
                }
                Err(error) => tracing::warn!(%error, "the queue's log is not cut"),
            }
            is_cutting.store(false, Ordering::Release);
        });
    }
}

/// Messages that are kept though nobody needs them, so that a process that is a little late need not
/// begin anew: 64 MiB of them, roughly.
fn slack(messages: u64, bytes: u64) -> u64 {
    const BYTES: u64 = 64 << 20;
    let each = (bytes / messages.max(1)).max(1);
    (BYTES / each).clamp(16, 4096)
}

/// Whether the log takes four times what its tasks would.
fn is_mostly_waste(ledger: &Ledger) -> bool {
    let slack = slack(ledger.messages(), ledger.bytes);
    let is_long = ledger.messages() > 4 * (ledger.live() + slack);
    let is_large = ledger.bytes > (256 << 20) && ledger.bytes > 4 * ledger.live_bytes();
    (is_long || is_large) && ledger.live() > 0 && ledger.needed() < ledger.first + slack
}

fn written_at(encoded: &[u8]) -> Option<fc_core::Timestamp> {
    Batch::decode(encoded.get(..super::fact::HEAD_BYTES)?).ok().map(|batch| batch.at)
}
