//! Operations of many callers in one transaction.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use fc_core::{Context, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::alone::Alone;
use super::failure::{failed, is_conflict, not_sent};
use super::pool::{CONFLICT_TRIES, late};
use super::session::{Connector, Session};

/// How long to wait after a session could not be made.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often a worker lets others come along before it goes.
const GATHER_MAX: usize = 16;

/// A kind of operation that can be done for many callers at once.
pub(crate) trait Work: Send + Sync + 'static {
    /// What a caller asks.
    type Request: Send + Sync + 'static;
    /// What it is told.
    type Reply: Send + 'static;

    /// Its name in errors.
    const NAME: &'static str;
    /// Whether an operation whose session was lost may be done.
    const WRITES: bool;
    /// Whether the server can always send all replies at once. If not, one caller must not be left with
    /// reading them: while it does not, the server holds what it has locked.
    const IS_SHORT: bool = true;

    /// Takes from the front what goes together, at least one.
    fn take(&self, queue: &mut VecDeque<Job<Self>>) -> Vec<Job<Self>>;

    /// Does all of it in one transaction; a reply for each, in their order.
    fn run(
        &self,
        session: &Session,
        requests: &[&Self::Request],
    ) -> impl Future<Output = Result<Vec<Self::Reply>, tokio_postgres::Error>> + Send;
}

/// One caller's operation.
pub(crate) struct Job<W: Work + ?Sized> {
    pub(crate) request: W::Request,
    reply: oneshot::Sender<Result<W::Reply>>,
    state: Arc<AtomicU8>,
}

/// At most `count_max` from the front, and no more than `bytes_max` but for the first.
pub(crate) fn take_front<W: Work>(
    queue: &mut VecDeque<Job<W>>,
    count_max: usize,
    bytes_max: usize,
    bytes: impl Fn(&W::Request) -> usize,
) -> Vec<Job<W>> {
    let mut sum = 0;
    let fits = |job: &&Job<W>| {
        sum += bytes(&job.request);
        sum <= bytes_max
    };
    let count = queue.iter().take(count_max).take_while(fits).count().max(1);
    queue.drain(..count.min(queue.len())).collect()
}

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const LEFT: u8 = 2;

/// Gathers operations while others are on their way: no timer, no batch is waited for.
///
/// One who asks while nobody else does works in its own poll, without a task between it and the server,
/// if there is another session: it may be polled no more while it waits for somebody who comes later.
pub(crate) struct Group<W: Work>(Arc<Shared<W>>);

pub(super) struct Shared<W: Work> {
    work: W,
    connector: Arc<Connector>,
    queue: Mutex<Queue<W>>,
    queued: Notify,
    pub(super) runtime: Handle,
}

struct Queue<W: Work> {
    jobs: VecDeque<Job<W>>,
    is_closed: bool,
    /// Sessions that nobody uses.
    idle: Vec<Session>,
    /// Sessions in use, or about to be made.
    busy: usize,
    /// A worker is about to take what is asked: another one would take half of it.
    is_gathering: bool,
    /// Operations that went together the last time.
    last: usize,
}

impl<W: Work> Group<W> {
    /// Begins with workers of `connector`'s number of sessions, on the current tokio runtime.
    pub(crate) fn start(connector: Arc<Connector>, work: W) -> Self {
        let sessions = connector.config.sessions;
        let queue = Queue {
            jobs: VecDeque::new(),
            is_closed: false,
            idle: Vec::new(),
            busy: 0,
            is_gathering: false,
            last: 0,
        };
        let shared = Arc::new(Shared {
            work,
            connector,
            queue: Mutex::new(queue),
            queued: Notify::new(),
            runtime: Handle::current(),
        });
        for _ in 0..sessions {
            tokio::spawn(serve(shared.clone()));
        }
        Self(shared)
    }

    /// Does `request` with whatever else is asked at the time, and answers by the soft deadline.
    pub(crate) async fn ask(&self, cx: Context, request: W::Request) -> Result<W::Reply> {
        let clock = &self.0.connector.clock;
        if clock.now() >= cx.deadline.soft {
            return Err(not_sent(W::NAME, "the deadline has passed"));
        }
        if let Some((place, session)) = self.0.alone() {
            let alone = Alone::new(place, session, request);
            return match clock.with_deadline(cx.deadline.soft, alone).await {
                Ok(reply) => reply,
                // It has had a turn before the deadline was looked at.
                Err(_) => Err(unfinished::<W>(true, "the deadline has passed")),
            };
        }
        let (sender, receiver) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(QUEUED));
        let is_first = {
            let mut queue = self.0.queue.lock();
            let limit = self.0.connector.config.waiting_max;
            if queue.jobs.len() >= limit {
                return Err(not_sent(W::NAME, &format!("{limit} operations wait already")));
            }
            queue.jobs.push_back(Job { request, reply: sender, state: state.clone() });
            queue.jobs.len() == 1 && !queue.is_gathering
        };
        // Whoever is woken for the first takes what comes after it, or wakes the next.
        if is_first {
            self.0.queued.notify_one();
        }
        match clock.with_deadline(cx.deadline.soft, receiver).await {
            Ok(Ok(reply)) => reply,
            // The worker is gone with its runtime.
            Ok(Err(_)) => Err(given_up::<W>(&state, "the driver has stopped")),
            Err(_) => Err(given_up::<W>(&state, "the deadline has passed")),
        }
    }
}

/// The right to use one of the sessions.
pub(super) struct Place<W: Work> {
    pub(super) shared: Arc<Shared<W>>,
    pub(super) session: Option<Session>,
    gathers: bool,
}

impl<W: Work> Place<W> {
    /// Its session, if there is one of use. While it works nobody else can use it.
    fn open_session(&mut self) -> Option<Session> {
        self.session.take().filter(|session| !session.is_closed())
    }
}

impl<W: Work> Drop for Place<W> {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.busy -= 1;
        queue.is_gathering &= !self.gathers;
        queue.idle.extend(self.session.take());
        let is_wanted = !queue.jobs.is_empty();
        drop(queue);
        if is_wanted {
            self.shared.queued.notify_one();
        }
    }
}

/// The error of one that no longer waits: whether it was sent decides.
fn given_up<W: Work>(state: &AtomicU8, why: &str) -> Error {
    let left = state.compare_exchange(QUEUED, LEFT, Ordering::AcqRel, Ordering::Acquire);
    unfinished::<W>(left == Err(SENT), why)
}

fn unfinished<W: Work>(is_sent: bool, why: &str) -> Error {
    if is_sent && W::WRITES {
        return Error::new(ErrorKind::Unknown, format!("{}: {why}; it may be done", W::NAME));
    }
    not_sent(W::NAME, why)
}

impl<W: Work> std::fmt::Debug for Group<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.0.queue.lock().jobs.len();
        f.debug_struct(W::NAME).field("waiting", &waiting).finish_non_exhaustive()
    }
}

/// Whoever asked is gone with the group, or has its answer: workers end once nothing is left.
impl<W: Work> Drop for Group<W> {
    fn drop(&mut self) {
        self.0.queue.lock().is_closed = true;
        self.0.queued.notify_waiters();
        // For a worker that is about to wait.
        self.0.queued.notify_one();
    }
}

/// One worker: one transaction after the other while there is work.
async fn serve<W: Work>(shared: Arc<Shared<W>>) {
    let mut pause = PAUSE_MIN;
    while let Some(mut place) = shared.place().await {
        shared.gather().await;
        let session = match place.open_session() {
            Some(session) => session,
            None => match shared.connector.open().await {
                Ok(opened) => {
                    pause = PAUSE_MIN;
                    opened
                }
                Err(error) => {
                    tracing::warn!(%error, pause = ?pause, "{}: no session", W::NAME);
                    shared.refuse(&error);
                    drop(place);
                    let clock = &shared.connector.clock;
                    clock.sleep_until(clock.now() + pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
            },
        };
        let jobs = shared.take(&mut place);
        if jobs.is_empty() || shared.answer(&session, jobs).await {
            place.session = Some(session);
        }
    }
}

impl<W: Work> Shared<W> {
    /// Waits for work and a place to do it; `None` if there will be none.
    async fn place(self: &Arc<Self>) -> Option<Place<W>> {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.jobs.is_empty() {
                    if queue.is_closed {
                        // The next worker may be waiting for the one permit.
                        self.queued.notify_one();
                        return None;
                    }
                } else if !queue.is_gathering
                    && let Some(mut place) = self.take_place(&mut queue)
                {
                    place.gathers = true;
                    queue.is_gathering = true;
                    return Some(place);
                }
            }
            self.queued.notified().await;
        }
    }

    fn take_place(self: &Arc<Self>, queue: &mut Queue<W>) -> Option<Place<W>> {
        let is_free = queue.busy < self.connector.config.sessions;
        is_free.then(|| {
            queue.busy += 1;
            Place { shared: self.clone(), session: queue.idle.pop(), gathers: false }
        })
    }

    /// A place, with a session, for one who asks while nobody else does, nor did the last time.
    fn alone(self: &Arc<Self>) -> Option<(Place<W>, Session)> {
        if !W::IS_SHORT || self.connector.config.sessions < 2 {
            return None;
        }
        let mut place = {
            let mut queue = self.queue.lock();
            let is_alone = queue.jobs.is_empty() && queue.busy == 0 && queue.last <= 1;
            if !is_alone || queue.idle.is_empty() {
                return None;
            }
            self.take_place(&mut queue)?
        };
        let session = place.open_session()?;
        Some((place, session))
    }

    /// Lets whoever is about to ask come along, as long as more do.
    async fn gather(&self) {
        for _ in 0..GATHER_MAX {
            let before = self.queue.lock().jobs.len();
            tokio::task::yield_now().await;
            if self.queue.lock().jobs.len() <= before {
                return;
            }
        }
    }

    fn take(&self, place: &mut Place<W>) -> Vec<Job<W>> {
        let (jobs, is_more) = {
            let mut queue = self.queue.lock();
            queue.is_gathering &= !std::mem::take(&mut place.gathers);
            queue.jobs.retain(|job| !job.reply.is_closed());
            let jobs =
                if queue.jobs.is_empty() { Vec::new() } else { self.work.take(&mut queue.jobs) };
            queue.last = jobs.len();
            (jobs, !queue.jobs.is_empty())
        };
        if is_more {
            self.queued.notify_one();
        }
        let send = |job: &Job<W>| {
            let sent =
                job.state.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire);
            sent.is_ok()
        };
        jobs.into_iter().filter(send).collect()
    }

    /// Tells all who wait that nothing can be done now.
    fn refuse(&self, error: &Error) {
        let jobs = std::mem::take(&mut self.queue.lock().jobs);
        for job in jobs {
            let why = not_sent(W::NAME, error.message());
            // Whoever has left needs no answer.
            let _ = job.reply.send(Err(why));
        }
    }

    /// Does the jobs and answers them; `false` if the session is of no more use.
    async fn answer(&self, session: &Session, jobs: Vec<Job<W>>) -> bool {
        let (requests, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.request, job.reply)).unzip();
        let asked: Vec<&W::Request> = requests.iter().collect();
        let outcome = self.run(session, &asked).await;
        // Whoever has left needs no answer.
        match outcome.replies {
            Ok(answers) => {
                replies.into_iter().zip(answers).for_each(|(to, answer)| _ = to.send(Ok(answer)));
            }
            Err(error) => {
                replies.into_iter().for_each(|reply| _ = reply.send(Err(error.duplicate())));
            }
        }
        outcome.is_usable
    }

    /// Does what is asked, again if it lost to another transaction.
    pub(super) async fn run(&self, session: &Session, asked: &[&W::Request]) -> Outcome<W> {
        let clock = &self.connector.clock;
        let limit = clock.now() + self.connector.config.operation_max;
        let mut tries = 0;
        loop {
            tries += 1;
            let work = session.drive(self.work.run(session, asked));
            match clock.with_deadline(limit, work).await {
                Ok(Err(error)) if is_conflict(&error) && tries < CONFLICT_TRIES => {}
                Ok(done) => {
                    let replies = done.map_err(|error| failed(W::NAME, error, W::WRITES));
                    return Outcome { replies, is_usable: true };
                }
                Err(_) => {
                    let replies = Err(late(W::NAME, W::WRITES));
                    return Outcome { replies, is_usable: false };
                }
            }
        }
    }
}

pub(super) struct Outcome<W: Work> {
    pub(super) replies: Result<Vec<W::Reply>>,
    /// Nothing is under way in the session.
    pub(super) is_usable: bool,
}
