//! Lease and settle, whatever waits behind.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fc::core::Queue;
use fc::core::port::queue::Verdict;
use fc_queue::driver::embedded::EmbeddedQueue;
use tokio::runtime::Runtime;

use super::{CX, LONG, fill, lane, open, runtime};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::{alternate, per_second};

/// A long backlog's rate over a short one's.
const FLAT: Budget = Budget::AtLeast { goal: 0.9, least: 0.8 };

pub(crate) fn compare(options: &Options) {
    let (few, many) = options.count((10_000, 1_000_000), (100, 1_000));
    let drained = options.count(20_000, 50);
    let dirs: [tempfile::TempDir; 2] =
        std::array::from_fn(|_| tempfile::tempdir().expect("a directory"));
    let runtime = runtime();
    let [short, long] = [(&dirs[0], few), (&dirs[1], many)].map(|(dir, backlog)| {
        let queue = Arc::new(open(&dir.path().join("queue")));
        runtime.block_on(fill(&queue, 0..backlog, Bytes::new()));
        (queue, std::cell::Cell::new(backlog))
    });
    let series = alternate(
        options,
        [Box::new(|| turn(&runtime, &short, drained)), Box::new(|| turn(&runtime, &long, drained))],
    );
    let [short, long] = series;
    let unit = "tasks/s";
    let rows = [
        Row::new(format!("{few} tasks wait"), &short, unit),
        Row::new(format!("{many} tasks wait"), &long, unit).over(long.over(&short)).budget(FLAT),
    ];
    let title = "Lease, read back, settle durably: 64 workers, one task at a time";
    table::print(options, title, &rows);
}

/// Drains so many, whose places others take before the next turn.
fn turn(
    runtime: &Runtime,
    (queue, next): &(Arc<EmbeddedQueue>, std::cell::Cell<u64>),
    count: u64,
) -> f64 {
    runtime.block_on(fill(queue, next.get()..next.get() + count, Bytes::new()));
    next.set(next.get() + count);
    let start = Instant::now();
    let workers = (0..64).map(|worker| {
        let queue = queue.clone();
        let tasks = (worker..count).step_by(64).count();
        runtime.spawn(async move {
            for _ in 0..tasks {
                let task = queue.lease(CX, &lane(), 1, LONG).await.expect("leased").remove(0);
                queue.settle(CX, &task.token, Verdict::Done.into()).await.expect("settled");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        runtime.block_on(worker).expect("no panic");
    }
    per_second(count, start)
}
