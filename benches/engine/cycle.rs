//! From 64 clients through the queue and the function to settled tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fc::core::Queue;
use fc::core::port::queue::{Lane, NewTask, Verdict};
use fc::queue::driver::embedded::EmbeddedQueue;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::{CX, QUICK, Subject, alternate, dirs, envelope, open, payload, runtime};
use crate::peers::options::Options;
use crate::peers::table::{self, Row};
use crate::peers::turns::per_second;

const CLIENTS: u64 = 64;
/// As many as the engine lets one lane run and leases at once.
const RUNNING: usize = 256;
const BATCH: usize = 32;

pub(crate) fn compare(options: &Options) {
    let dirs = dirs::<2>();
    let runtime = runtime();
    let subject = Subject::start(&runtime, dirs[0].path(), |_| {});
    let queue = open(dirs[1].path());
    let account = subject.platform.account();
    let (task, lane) = (envelope(account, QUICK, 0), Lane::account(account));
    let count = options.count(128, 2) * CLIENTS;
    let mut turns = 0;
    let series = alternate(
        options,
        [
            Box::new(|| {
                turns += 1;
                [bare(&runtime, &queue, &lane, &task, (turns, count))]
            }),
            Box::new(|| [engine(&runtime, &subject, count)]),
        ],
    );
    let [[bare], [engine]] = series;
    let unit = "tasks/s";
    let rows = [
        Row::new("enqueued, run and settled", &engine, unit).over(engine.over(&bare)),
        Row::new("the queue alone: pushed, leased and settled", &bare, unit),
    ];
    let title = format!("{count} tasks of 1 KB from 64 clients, until the last is over");
    table::print(options, &title, &rows);
    subject.stop(&runtime);
}

fn engine(runtime: &Runtime, subject: &Subject, count: u64) -> f64 {
    let payload = payload();
    let (start, before) = (Instant::now(), subject.over.count());
    for _ in 0..CLIENTS {
        let (platform, payload) = (subject.platform.clone(), payload.clone());
        runtime.spawn(async move {
            for _ in 0..count / CLIENTS {
                platform.enqueue(QUICK, payload.clone()).await.expect("queued");
            }
        });
    }
    runtime.block_on(subject.over.reach(before + count));
    per_second(count, start)
}

/// The least that an engine does: leases what there is, and settles it.
fn bare(
    runtime: &Runtime,
    queue: &Arc<EmbeddedQueue>,
    lane: &Lane,
    task: &Bytes,
    (turn, count): (u64, u64),
) -> f64 {
    let start = Instant::now();
    for client in 0..CLIENTS {
        let (queue, lane, task) = (queue.clone(), lane.clone(), task.clone());
        runtime.spawn(async move {
            for number in 0..count / CLIENTS {
                let id = format!("i/quick/1-{turn:08x}-{client:08x}-{number:012x}");
                queue.push(CX, &lane, NewTask::new(id, task.clone())).await.expect("pushed");
            }
        });
    }
    let (room, settled) = (Arc::new(Semaphore::new(RUNNING)), Arc::new(AtomicU64::new(0)));
    runtime.block_on(async {
        let mut leased = 0;
        while leased < count {
            queue.wait(CX, lane).await.expect("waited");
            let tasks = queue.lease(CX, lane, BATCH, Duration::from_secs(60)).await;
            for task in tasks.expect("leased") {
                leased += 1;
                let permit = room.clone().acquire_owned().await.expect("it is open");
                let (queue, settled) = (queue.clone(), settled.clone());
                tokio::spawn(async move {
                    queue.settle(CX, &task.token, Verdict::Done.into()).await.expect("settled");
                    settled.fetch_add(1, Ordering::SeqCst);
                    drop(permit);
                });
            }
        }
        let all = room.acquire_many(RUNNING as u32).await;
        drop(all.expect("it is open"));
    });
    assert_eq!(settled.load(Ordering::SeqCst), count);
    per_second(count, start)
}
