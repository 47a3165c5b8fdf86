//! Pushes of some clients, each waiting for its acknowledgement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fc::core::Queue;
use fc::core::port::queue::{NewTask, Place};
use fc_queue::driver::postgres::PostgresQueue;
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::PAYLOAD;
use super::plain::{Plain, is_next};
use super::server::{cx, lane, queue, rate};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// Against plain inserts (issue 4).
const BUDGET: Budget = Budget::AtLeast { goal: 0.9, least: 0.7 };

pub(crate) fn compare(options: &Options, runtime: &Runtime, url: &str) {
    let mut rows = Vec::new();
    for clients in [1, 16, 64] {
        rows.extend(with(options, runtime, url, clients));
    }
    let title = "Durable pushes of 256 bytes, ours against single-row INSERTs: each client has a \
                 connection of its own, or shares one of 8 and pipelines";
    table::print(options, title, &rows);
}

fn with(options: &Options, runtime: &Runtime, url: &str, clients: usize) -> Vec<Row> {
    let count = options.count(if clients == 1 { 300 } else { 4_000 }, 20);
    let plain = runtime.block_on(Plain::several(url, clients));
    let piped = &plain[..clients.min(8)];
    let ours = runtime.block_on(queue(url));
    let next = Arc::new(AtomicU64::new(0));
    let [by_ours, by_plain, by_piped] = alternate(
        options,
        [
            Box::new(|| runtime.block_on(rate(count, push(&ours, &next, clients, count)))),
            Box::new(|| runtime.block_on(rate(count, insert(&plain, clients, count)))),
            Box::new(|| runtime.block_on(rate(count, insert(piped, clients, count)))),
        ],
    );
    runtime.block_on(async {
        plain[0].clear().await;
        ours.purge(cx(), &lane(), Place::Waiting).await.expect("purged");
    });
    let unit = "pushes/s";
    let pipes = piped.len();
    vec![
        Row::new(format!("{clients} clients, ours over plain"), &by_ours, unit)
            .over(by_ours.over(&by_plain))
            .budget(BUDGET),
        Row::new(format!("{clients} clients, plain, {clients} connections"), &by_plain, unit),
        Row::new(format!("{clients} clients, ours over pipelined"), &by_ours, unit)
            .over(by_ours.over(&by_piped))
            .budget(BUDGET),
        Row::new(format!("{clients} clients, plain, pipelined on {pipes}"), &by_piped, unit),
    ]
}

async fn push(queue: &Arc<PostgresQueue>, next: &Arc<AtomicU64>, clients: usize, count: usize) {
    let given = Arc::new(AtomicUsize::new(0));
    let client = || {
        let (queue, next, given) = (queue.clone(), next.clone(), given.clone());
        tokio::spawn(async move {
            let lane = lane();
            while is_next(&given, count) {
                let id = next.fetch_add(1, Ordering::Relaxed).to_string();
                let task = NewTask::new(id, &PAYLOAD[..]);
                queue.push(cx(), &lane, task).await.expect("pushed");
            }
        })
    };
    join_all((0..clients).map(|_| client())).await;
}

async fn insert(connections: &[Arc<Plain>], clients: usize, count: usize) {
    let given = Arc::new(AtomicUsize::new(0));
    let client = |plain: &Arc<Plain>| {
        let (plain, given) = (plain.clone(), given.clone());
        tokio::spawn(async move {
            while is_next(&given, count) {
                plain.insert().await;
            }
        })
    };
    join_all(connections.iter().cycle().take(clients).map(client)).await;
}
