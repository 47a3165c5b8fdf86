//! Leasing and settling a backlog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use fc::core::Queue;
use fc::core::port::queue::{NewTask, Verdict};
use fc_queue::driver::postgres::PostgresQueue;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Runtime;

use super::PAYLOAD;
use super::plain::Plain;
use super::server::{cx, lane, queue, rate};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// Against a SKIP LOCKED loop (issue 4).
const BUDGET: Budget = Budget::AtLeast { goal: 0.9, least: 0.7 };
const FLAT: Budget = Budget::AtLeast { goal: 1.0, least: 0.8 };

const BATCH: usize = 32;

pub(crate) fn compare(options: &Options, runtime: &Runtime, url: &str) {
    let count = options.count(6_000, 64);
    let mut rows = Vec::new();
    for workers in [1, 4, 16] {
        let plain = runtime.block_on(Plain::several(url, workers));
        let ours = runtime.block_on(queue(url));
        let next = AtomicU64::new(0);
        let [by_ours, by_plain] = alternate(
            options,
            [
                Box::new(|| runtime.block_on(drained(&ours, &next, workers, count))),
                Box::new(|| runtime.block_on(taken(&plain, count))),
            ],
        );
        let unit = "tasks/s";
        rows.push(
            Row::new(format!("{workers} workers, ours over the loop"), &by_ours, unit)
                .over(by_ours.over(&by_plain))
                .budget(BUDGET),
        );
        rows.push(Row::new(format!("{workers} workers, SKIP LOCKED loop"), &by_plain, unit));
    }
    rows.extend(backlog(options, runtime, url, count));
    let title = "Leasing and settling 256-byte tasks in batches of 32: ours settles each by itself, \
                 the loop deletes a batch at once";
    table::print(options, title, &rows);
}

/// The rate does not fall with the backlog's size.
fn backlog(options: &Options, runtime: &Runtime, url: &str, count: usize) -> [Row; 2] {
    let (little, much) = runtime.block_on(async { (queue(url).await, queue(url).await) });
    let (next, extra) = (AtomicU64::new(0), options.count(200_000, 500));
    runtime.block_on(fill(&much, &next, extra));
    runtime.block_on(async { Plain::connect(url).await.analyze().await });
    let own = AtomicU64::new(0);
    let [of_little, of_much] = alternate(
        options,
        [
            Box::new(|| runtime.block_on(drained(&little, &own, 4, count))),
            Box::new(|| runtime.block_on(drained(&much, &next, 4, count))),
        ],
    );
    [
        Row::new(format!("4 workers, ours, {extra} more tasks behind"), &of_much, "tasks/s")
            .over(of_much.over(&of_little))
            .budget(FLAT),
        Row::new("4 workers, ours, none behind", &of_little, "tasks/s"),
    ]
}

pub(crate) async fn fill(queue: &PostgresQueue, next: &AtomicU64, count: usize) {
    let lane = lane();
    for step in (0..count).step_by(4_096) {
        let push = |_| {
            let id = next.fetch_add(1, Ordering::Relaxed).to_string();
            queue.push(cx(), &lane, NewTask::new(id, &PAYLOAD[..]))
        };
        let pushes: FuturesUnordered<_> = (step..count.min(step + 4_096)).map(push).collect();
        pushes.for_each(|pushed| async move { _ = pushed.expect("pushed") }).await;
    }
}

async fn drained(
    queue: &Arc<PostgresQueue>,
    next: &AtomicU64,
    workers: usize,
    count: usize,
) -> f64 {
    fill(queue, next, count).await;
    let left = Arc::new(AtomicUsize::new(count));
    let worker = |_| {
        let (queue, left) = (queue.clone(), left.clone());
        tokio::spawn(async move {
            let lane = lane();
            while left.load(Ordering::Relaxed) > 0 {
                let held = queue.lease(cx(), &lane, BATCH, Duration::from_secs(60)).await;
                let held = held.expect("leased");
                let settled =
                    held.iter().map(|held| queue.settle(cx(), &held.token, Verdict::Done.into()));
                for settled in join_all(settled).await {
                    settled.expect("settled");
                }
                let done = held.len();
                let sub = |left: usize| Some(left.saturating_sub(done));
                let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sub);
            }
        })
    };
    rate(count, async {
        for worker in join_all((0..workers).map(worker)).await {
            worker.expect("a worker");
        }
    })
    .await
}

async fn taken(plain: &[Arc<Plain>], count: usize) -> f64 {
    plain[0].fill(count).await;
    let left = Arc::new(AtomicUsize::new(count));
    let worker = |plain: &Arc<Plain>| {
        let (plain, left) = (plain.clone(), left.clone());
        tokio::spawn(async move {
            while left.load(Ordering::Relaxed) > 0 {
                let done = plain.take_and_delete(BATCH).await;
                let sub = |left: usize| Some(left.saturating_sub(done));
                let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sub);
            }
        })
    };
    rate(count, async {
        for worker in join_all(plain.iter().map(worker)).await {
            worker.expect("a worker");
        }
    })
    .await
}
