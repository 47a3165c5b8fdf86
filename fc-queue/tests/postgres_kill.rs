//! A PostgreSQL that is killed under load loses nothing that was acknowledged, and makes nothing up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fc_core::port::queue::{Lane, Leased, NewTask, Verdict};
use fc_core::{Clock, Context, Deadline, ErrorKind, Queue, RequestId, SystemClock};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use fc_testkit::server::PostgresServer;
use parking_lot::Mutex;

const KILLS: usize = 20;
const PUSHERS: usize = 8;
const WORKERS: usize = 4;
const VISIBILITY: Duration = Duration::from_secs(4);

/// What happened to one task, as those saw it who pushed it and ran it.
#[derive(Clone, Default, Debug)]
struct Life {
    acknowledged: bool,
    /// Pushes whose outcome was unknown: each may have queued it anew.
    unknown_pushes: u64,
    attempts: u64,
    settled: u64,
    /// Attempts that were not settled within their lease.
    late: u64,
    /// Attempts that began after an acknowledged settlement.
    after_settled: u64,
}

#[derive(Debug)]
struct Witness {
    clock: SystemClock,
    queue: PostgresQueue,
    lane: Lane,
    lives: Mutex<HashMap<String, Life>>,
    is_pushing: AtomicBool,
    is_running: AtomicBool,
    unknown: AtomicU64,
    refused: AtomicU64,
    phantoms: Mutex<Vec<String>>,
}

impl Witness {
    fn cx(&self) -> Context {
        let soft = self.clock.now() + Duration::from_secs(10);
        Context::new(RequestId::NIL).with_deadline(Deadline::at(soft))
    }

    async fn rest(&self, millis: u64) {
        self.clock.sleep_until(self.clock.now() + Duration::from_millis(millis)).await;
    }

    fn note(&self, id: &str, change: impl FnOnce(&mut Life)) {
        change(self.lives.lock().entry(id.to_owned()).or_default());
    }

    /// Counts a failure, and whether the outcome is unknown.
    fn is_unknown(&self, error: &fc_core::Error) -> bool {
        match error.kind() {
            ErrorKind::Unknown => _ = self.unknown.fetch_add(1, Relaxed),
            ErrorKind::ResourceThrottled => _ = self.refused.fetch_add(1, Relaxed),
            other => panic!("{other:?}: {error:?}"),
        }
        error.kind() == ErrorKind::Unknown
    }

    async fn push_all(self: Arc<Self>, pusher: usize) {
        for number in 0_u64.. {
            if !self.is_pushing.load(Relaxed) {
                return;
            }
            let id = format!("{pusher}-{number}");
            self.note(&id, |_| {});
            while self.is_pushing.load(Relaxed) {
                let task = NewTask::new(&*id, format!("payload of {id}"));
                match self.queue.push(self.cx(), &self.lane, task).await {
                    Ok(_) => {
                        self.note(&id, |life| life.acknowledged = true);
                        break;
                    }
                    Err(error) => {
                        if self.is_unknown(&error) {
                            self.note(&id, |life| life.unknown_pushes += 1);
                        }
                        self.rest(20).await;
                    }
                }
            }
        }
    }

    async fn run_all(self: Arc<Self>) {
        while self.is_running.load(Relaxed) {
            match self.queue.lease(self.cx(), &self.lane, 16, VISIBILITY).await {
                Ok(leased) if leased.is_empty() => self.rest(10).await,
                Ok(leased) => {
                    let runs = leased.into_iter().map(|leased| self.run(leased));
                    futures_util::future::join_all(runs).await;
                }
                Err(error) => {
                    self.is_unknown(&error);
                    self.rest(20).await;
                }
            }
        }
    }

    async fn run(&self, leased: Leased) {
        let (id, began) = (leased.token.task.clone(), self.clock.now());
        let known = self.lives.lock().contains_key(&id);
        if !known || leased.payload != format!("payload of {id}") {
            self.phantoms.lock().push(id.clone());
        }
        self.note(&id, |life| {
            life.attempts += 1;
            life.after_settled += u64::from(life.settled > 0);
        });
        loop {
            match self.queue.settle(self.cx(), &leased.token, Verdict::Done.into()).await {
                Ok(()) => {
                    self.note(&id, |life| life.settled += 1);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Conflict => break,
                Err(error) => {
                    self.is_unknown(&error);
                    self.rest(20).await;
                }
            }
        }
        if self.clock.now() - began >= VISIBILITY {
            self.note(&id, |life| life.late += 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_and_make_nothing_up() {
    let mut server = PostgresServer::start(&[]).unwrap_or_else(|e| panic!("{e}"));
    let clock = SystemClock::new();
    let config = PostgresConfig::new(&server.url()).unwrap();
    let queue = PostgresQueue::connect(config, Arc::new(clock)).await.unwrap();
    let witness = Arc::new(Witness {
        clock,
        queue,
        lane: Lane::new("killed").unwrap(),
        lives: Mutex::default(),
        is_pushing: AtomicBool::new(true),
        is_running: AtomicBool::new(true),
        unknown: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        phantoms: Mutex::default(),
    });
    let pushers: Vec<_> =
        (0..PUSHERS).map(|number| tokio::spawn(witness.clone().push_all(number))).collect();
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(witness.clone().run_all())).collect();
    for kill in 0..KILLS {
        // At another moment of the work each time.
        witness.rest(400 + 37 * kill as u64).await;
        server = tokio::task::spawn_blocking(move || {
            server.kill9().unwrap();
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
    }
    witness.rest(1_000).await;
    witness.is_pushing.store(false, Relaxed);
    for pusher in pushers {
        pusher.await.unwrap();
    }
    let deadline = clock.now() + Duration::from_secs(60);
    loop {
        let depth = witness.queue.depth(&witness.lane).await.unwrap();
        if depth.waiting + depth.leased == 0 {
            break;
        }
        assert!(clock.now() < deadline, "the backlog does not drain: {depth:?}");
        witness.rest(50).await;
    }
    witness.is_running.store(false, Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    let lives = witness.lives.lock();
    let count = |which: fn(&Life) -> bool| lives.values().filter(|life| which(life)).count();
    let acknowledged = count(|life| life.acknowledged);
    let (unknown, refused) = (witness.unknown.load(Relaxed), witness.refused.load(Relaxed));
    let extra: u64 = lives.values().map(|life| life.attempts.saturating_sub(1)).sum();
    println!(
        "{acknowledged} acknowledged of {}, {unknown} unknown, {refused} refused, {extra} extra attempts",
        lives.len()
    );
    // The run shows something: work was done, and kills hit it.
    assert!(acknowledged > 1_000 && acknowledged * 2 > lives.len() && unknown > 0);
    assert_eq!(*witness.phantoms.lock(), [""; 0]);
    for (id, life) in &*lives {
        assert!(!life.acknowledged || life.attempts > 0, "'{id}' is lost: {life:?}");
        let allowed = life.unknown_pushes + life.late;
        assert!(life.attempts <= 1 + allowed, "'{id}' ran too often: {life:?}");
        assert!(life.after_settled <= life.unknown_pushes, "'{id}' ran after its end: {life:?}");
    }
}
