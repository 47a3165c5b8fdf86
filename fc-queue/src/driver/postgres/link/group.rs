//! Operations of many callers in one transaction.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use fc_core::{Context, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::failure::{failed, is_conflict, not_sent};
use super::pool::{CONFLICT_TRIES, late};
use super::session::{Connector, Session};

/// How long to wait after a session could not be made.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

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
pub(crate) struct Group<W: Work>(Arc<Shared<W>>);

struct Shared<W: Work> {
    work: W,
    connector: Arc<Connector>,
    queue: Mutex<Queue<W>>,
    queued: Notify,
}

struct Queue<W: Work> {
    jobs: VecDeque<Job<W>>,
    is_closed: bool,
}

impl<W: Work> Group<W> {
    /// Begins with workers of `connector`'s number of sessions, on the current tokio runtime.
    pub(crate) fn start(connector: Arc<Connector>, work: W) -> Self {
        let sessions = connector.config.sessions;
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), is_closed: false });
        let shared = Arc::new(Shared { work, connector, queue, queued: Notify::new() });
        for _ in 0..sessions {
            tokio::spawn(serve(shared.clone()));
        }
        Self(shared)
    }

    /// Does `request` with whatever else is asked at the time, and answers by the soft deadline.
    pub(crate) async fn ask(&self, cx: Context, request: W::Request) -> Result<W::Reply> {
        let (sender, receiver) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(QUEUED));
        {
            let mut queue = self.0.queue.lock();
            let limit = self.0.connector.config.waiting_max;
            if queue.jobs.len() >= limit {
                return Err(not_sent(W::NAME, &format!("{limit} operations wait already")));
            }
            queue.jobs.push_back(Job { request, reply: sender, state: state.clone() });
        }
        self.0.queued.notify_one();
        let clock = &self.0.connector.clock;
        match clock.with_deadline(cx.deadline.soft, receiver).await {
            Ok(Ok(reply)) => reply,
            // The worker is gone with its runtime.
            Ok(Err(_)) => Err(given_up::<W>(&state, "the driver has stopped")),
            Err(_) => Err(given_up::<W>(&state, "the deadline has passed")),
        }
    }
}

/// The error of one that no longer waits: whether it was sent decides.
fn given_up<W: Work>(state: &AtomicU8, why: &str) -> Error {
    let left = state.compare_exchange(QUEUED, LEFT, Ordering::AcqRel, Ordering::Acquire);
    match left {
        Err(SENT) if W::WRITES => {
            Error::new(ErrorKind::Unknown, format!("{}: {why}; it may be done", W::NAME))
        }
        _ => not_sent(W::NAME, why),
    }
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

/// One worker: a session, and one transaction after the other.
async fn serve<W: Work>(shared: Arc<Shared<W>>) {
    let mut session: Option<Session> = None;
    let mut pause = PAUSE_MIN;
    while shared.has_work().await {
        if session.as_ref().is_none_or(Session::is_closed) {
            match shared.connector.open().await {
                Ok((opened, _)) => {
                    session = Some(opened);
                    pause = PAUSE_MIN;
                }
                Err(error) => {
                    tracing::warn!(%error, pause = ?pause, "{}: no session", W::NAME);
                    shared.refuse(&error);
                    let clock = &shared.connector.clock;
                    clock.sleep_until(clock.now() + pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
            }
        }
        let jobs = shared.take();
        if let (false, Some(open)) = (jobs.is_empty(), &session)
            && !shared.answer(open, jobs).await
        {
            session = None;
        }
    }
}

impl<W: Work> Shared<W> {
    /// Waits for work; `false` if there will be none.
    async fn has_work(&self) -> bool {
        loop {
            {
                let queue = self.queue.lock();
                if !queue.jobs.is_empty() {
                    break;
                }
                if queue.is_closed {
                    // The next worker may be waiting for the one permit.
                    self.queued.notify_one();
                    return false;
                }
            }
            self.queued.notified().await;
        }
        // Whoever is ready to ask now comes along.
        tokio::task::yield_now().await;
        true
    }

    fn take(&self) -> Vec<Job<W>> {
        let (jobs, is_more) = {
            let mut queue = self.queue.lock();
            queue.jobs.retain(|job| !job.reply.is_closed());
            let jobs =
                if queue.jobs.is_empty() { Vec::new() } else { self.work.take(&mut queue.jobs) };
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
        let clock = &self.connector.clock;
        let limit = clock.now() + self.connector.config.operation_max;
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            match clock.with_deadline(limit, self.work.run(session, &asked)).await {
                Ok(Err(error)) if is_conflict(&error) && tries < CONFLICT_TRIES => {}
                Ok(outcome) => break outcome.map_err(|e| failed(W::NAME, e, W::WRITES)),
                Err(_) => {
                    let error = late(W::NAME, W::WRITES);
                    replies.into_iter().for_each(|reply| _ = reply.send(Err(error.duplicate())));
                    return false;
                }
            }
        };
        // Whoever has left needs no answer.
        match outcome {
            Ok(answers) => {
                replies.into_iter().zip(answers).for_each(|(to, answer)| _ = to.send(Ok(answer)));
            }
            Err(error) => {
                replies.into_iter().for_each(|reply| _ = reply.send(Err(error.duplicate())));
            }
        }
        true
    }
}
