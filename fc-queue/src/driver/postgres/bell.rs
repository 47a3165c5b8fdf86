//! Who waits for a lane is woken: in this process at once, in others by `NOTIFY`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fc_core::{Context, Result};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::front::Fronts;
use super::link::{Connector, Group, Notifications, Session};
use super::look::{LOOK_AGAIN, Looks};

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Words are this far apart: each is a transaction of its own, and a session that is told of each push
/// would have as much to do as the one that pushes.
const TELL_EVERY: Duration = Duration::from_millis(5);

/// Lanes in one notification: the server takes 8000 bytes, and a lane with a position has 31.
const LANES_MAX: usize = 250;

/// Lanes that have changed, each with the first position at which a task was pushed that can be leased
/// now; without one something else may have to be leased, now or later.
type Rings = BTreeMap<i32, Option<i64>>;

fn merge(into: &mut Rings, rings: impl IntoIterator<Item = (i32, Option<i64>)>) {
    for (lane, fresh) in rings {
        let first = into.entry(lane).or_default();
        *first = (*first).into_iter().chain(fresh).min();
    }
}

/// Tells waiters of lanes, and is told, until it is dropped.
#[derive(Debug)]
pub(super) struct Bell {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    connector: Arc<Connector>,
    fronts: Arc<Fronts>,
    channel: String,
    waiting: Mutex<HashMap<i32, Waiting>>,
    /// What others are to be told.
    rung: Mutex<Rings>,
    is_rung: Notify,
    /// The session that tells: what it told need not be heard here.
    teller: Mutex<i32>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    woken: Arc<Woken>,
}

#[derive(Debug, Default)]
struct Woken {
    notify: Notify,
    /// How often it was told that a task can be leased now.
    ready: AtomicU64,
}

impl Bell {
    pub(super) fn start(connector: Arc<Connector>, fronts: Arc<Fronts>) -> Self {
        let channel = format!("fc_queue_{}", connector.schema());
        let shared = Arc::new(Shared {
            connector,
            fronts,
            channel,
            waiting: Mutex::default(),
            rung: Mutex::default(),
            is_rung: Notify::new(),
            teller: Mutex::default(),
        });
        let tasks = [tokio::spawn(listen(shared.clone())), tokio::spawn(tell(shared.clone()))];
        Self { shared, tasks }
    }

    /// What rings it.
    pub(super) fn ringer(&self) -> Ringer {
        Ringer(self.shared.clone())
    }

    /// Waits until the lane has a task that can be leased, or the soft deadline.
    pub(super) async fn wait(&self, cx: Context, lane: i32, looks: &Group<Looks>) -> Result<bool> {
        let waiter = Waiter::new(&self.shared, lane);
        let clock = &self.shared.connector.clock;
        loop {
            // From before the look, so that what comes after it is heard.
            let mut woken = std::pin::pin!(waiter.woken.notify.notified());
            woken.as_mut().enable();
            let ready = waiter.woken.ready.load(Ordering::Acquire);
            let after = match looks.ask(cx, lane).await {
                Ok(Some(Duration::ZERO)) => return Ok(true),
                Ok(after) => after.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN),
                Err(_) if clock.now() >= cx.deadline.soft => return Ok(false),
                Err(error) => return Err(error),
            };
            let until = (clock.now() + after).min(cx.deadline.soft);
            let _ = clock.with_deadline(until, woken).await;
            if waiter.woken.ready.load(Ordering::Acquire) != ready {
                return Ok(true);
            }
            if clock.now() >= cx.deadline.soft {
                return Ok(false);
            }
        }
    }
}

/// Wakes who waits for lanes, here and elsewhere.
#[derive(Debug)]
pub(super) struct Ringer(Arc<Shared>);

impl Ringer {
    pub(super) fn ring(&self, rings: impl IntoIterator<Item = (i32, Option<i64>)>) {
        let mut lanes = Rings::new();
        merge(&mut lanes, rings);
        for (lane, fresh) in &lanes {
            self.0.changed(*lane, *fresh);
        }
        let mut rung = self.0.rung.lock();
        let is_first = rung.is_empty();
        merge(&mut rung, lanes);
        drop(rung);
        if is_first {
            self.0.is_rung.notify_one();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    /// A lane has rung, here or in another process.
    fn changed(&self, lane: i32, fresh: Option<i64>) {
        if let Some(position) = fresh {
            self.fronts.told(lane, position);
        }
        if let Some(waiting) = self.waiting.lock().get(&lane) {
            waiting.woken.ready.fetch_add(u64::from(fresh.is_some()), Ordering::Release);
            waiting.woken.notify.notify_waiters();
        }
    }

    /// Another process has rung: `lane`, or `lane:position` for a fresh task.
    fn heard(&self, told: &str) {
        let (lane, position) = match told.split_once(':') {
            Some((lane, position)) => (lane, position.parse().ok()),
            None => (told, None),
        };
        if let Ok(lane) = lane.parse() {
            self.changed(lane, position);
        }
    }

    fn wake_all(&self) {
        self.waiting.lock().values().for_each(|waiting| waiting.woken.notify.notify_waiters());
    }
}

/// One who waits for a lane; dropped, it is forgotten.
struct Waiter<'b> {
    shared: &'b Shared,
    lane: i32,
    woken: Arc<Woken>,
}

impl<'b> Waiter<'b> {
    fn new(shared: &'b Shared, lane: i32) -> Self {
        let mut waiting = shared.waiting.lock();
        let entry = waiting.entry(lane).or_default();
        entry.count += 1;
        Self { shared, lane, woken: entry.woken.clone() }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting.lock();
        if let Some(entry) = waiting.get_mut(&self.lane) {
            entry.count -= 1;
            if entry.count == 0 {
                waiting.remove(&self.lane);
            }
        }
    }
}

/// Tells other processes which lanes have changed: the first ring at once, then one word in a while
/// for all that ring in it. It needs no sync: what it tells of is durable already.
async fn tell(shared: Arc<Shared>) {
    let mut pause = PAUSE_MIN;
    let mut session: Option<Session> = None;
    let clock = &shared.connector.clock;
    let mut next = clock.now();
    loop {
        if shared.rung.lock().is_empty() {
            shared.is_rung.notified().await;
            continue;
        }
        clock.sleep_until(next).await;
        next = clock.now() + TELL_EVERY;
        let open = match session.take().filter(|session| !session.is_closed()) {
            Some(open) => open,
            None => match shared.connector.open().await {
                Ok(open) => {
                    *shared.teller.lock() = open.backend;
                    pause = PAUSE_MIN;
                    open
                }
                Err(error) => {
                    // Whoever waits looks again by itself.
                    tracing::debug!(%error, "others are not told of tasks");
                    shared.rung.lock().clear();
                    pause = rest(&shared, pause).await;
                    continue;
                }
            },
        };
        let mut lanes: Vec<String> = Vec::new();
        {
            let mut rung = shared.rung.lock();
            while let Some(told) = (lanes.len() < LANES_MAX).then(|| rung.pop_first()).flatten() {
                lanes.push(match told {
                    (lane, Some(position)) => format!("{lane}:{position}"),
                    (lane, None) => lane.to_string(),
                });
            }
        }
        let told = async {
            let statement = open.statement("SELECT pg_notify($1, $2)").await?;
            open.client.execute(&statement, &[&shared.channel, &lanes.join(",")]).await
        };
        match open.drive(told).await {
            Ok(_) => session = Some(open),
            Err(error) => tracing::debug!(%error, "others are not told of tasks"),
        }
    }
}

/// Hears what other processes tell.
async fn listen(shared: Arc<Shared>) {
    let mut pause = PAUSE_MIN;
    loop {
        match open_ear(&shared).await {
            Ok((_session, mut told)) => {
                pause = PAUSE_MIN;
                // What was told while nobody listened is made up for.
                shared.fronts.forget_all();
                shared.wake_all();
                while let Some(told) = told.recv().await {
                    if told.process_id() != *shared.teller.lock() {
                        told.payload().split(',').for_each(|told| shared.heard(told));
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "not told of others' tasks");
                pause = rest(&shared, pause).await;
            }
        }
    }
}

async fn open_ear(shared: &Shared) -> Result<(Session, Notifications)> {
    let (session, told) = shared.connector.open_to_listen().await?;
    let listen = format!("LISTEN \"{}\"", shared.channel);
    let heard = session.client.batch_execute(&listen).await;
    heard.map_err(|error| super::link::failed("listen", error, false))?;
    Ok((session, told))
}

async fn rest(shared: &Shared, pause: Duration) -> Duration {
    let clock = &shared.connector.clock;
    clock.sleep_until(clock.now() + pause).await;
    (pause * 2).min(PAUSE_MAX)
}
