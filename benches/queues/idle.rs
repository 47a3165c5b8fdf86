//! From a push to the lease of its task, when nothing else happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fc::core::Queue;
use fc::core::port::queue::{NewTask, Verdict};
use tokio::sync::mpsc;

use super::{CX, LONG, lane, open, payload, runtime};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};

/// Median, milliseconds.
const HALF: Budget = Budget::AtMost { goal: 2.0, least: 2.0 };

pub(crate) fn compare(options: &Options) {
    let dir = tempfile::tempdir().expect("a directory");
    let queue = Arc::new(open(&dir.path().join("queue")));
    let count = options.count(3_000, 20);
    let mut times = runtime().block_on(measure(&queue, count));
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let rows = [
        Row::exact("half of them", at(0.5), "ms").budget(HALF),
        Row::exact("99 of 100", at(0.99), "ms"),
        Row::exact("the slowest", at(1.0), "ms"),
    ];
    let title =
        format!("From the call of push to a waiting lessee that has the task, {count} times");
    table::print(options, &title, &rows);
}

async fn measure(queue: &Arc<fc_queue::driver::embedded::EmbeddedQueue>, count: u32) -> Vec<f64> {
    let (leased, mut starts) = mpsc::channel(1);
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move {
            for _ in 0..count {
                queue.wait(CX, &lane()).await.expect("waited");
                let task = queue.lease(CX, &lane(), 1, LONG).await.expect("leased").remove(0);
                let at = Instant::now();
                queue.settle(CX, &task.token, Verdict::Done.into()).await.expect("settled");
                leased.send(at).await.expect("it is awaited");
            }
        }
    });
    let payload = payload();
    let mut times = Vec::new();
    for number in 0..count {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        let task = NewTask::new(format!("task-{number}"), payload.clone());
        queue.push(CX, &lane(), task).await.expect("pushed");
        let at = starts.recv().await.expect("it was leased");
        times.push((at - start).as_secs_f64() * 1e3);
    }
    worker.await.expect("no panic");
    times
}
