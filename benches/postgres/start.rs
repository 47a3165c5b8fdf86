//! From a push to its task's lease, with nothing else to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fc::core::Queue;
use fc::core::port::queue::{NewTask, Verdict};
use fc_queue::driver::postgres::PostgresQueue;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::PAYLOAD;
use super::plain::Plain;
use super::server::{cx, lane, pair};
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Row};
use crate::peers::turns::alternate;

pub(crate) fn compare(options: &Options, runtime: &Runtime, url: &str) {
    let count = options.count(50, 5);
    let others = runtime.block_on(pair(url));
    let plain = runtime.block_on(Plain::connect(url));
    let [here, there, insert] = alternate(
        options,
        [
            Box::new(|| runtime.block_on(median_ms(&others.0, &others.0, count))),
            Box::new(|| runtime.block_on(median_ms(&others.0, &others.1, count))),
            Box::new(|| runtime.block_on(inserted_ms(&plain, count))),
        ],
    );
    let rows = [
        Row::new("one process pushes and runs", &here, "ms, p50").over(here.over(&insert)),
        Row::new("one pushes, another runs", &there, "ms, p50").over(there.over(&insert)),
        Row::new("a plain INSERT alone", &insert, "ms, p50"),
    ];
    let title = "Push to lease at idle: the waiter is woken; ratios to one plain insert";
    table::print(options, title, &rows);
}

async fn median_ms(pusher: &PostgresQueue, runner: &Arc<PostgresQueue>, count: usize) -> f64 {
    let (begun, mut begins) = mpsc::channel(1);
    let runner = runner.clone();
    let run = tokio::spawn(async move {
        let lane = lane();
        for _ in 0..count {
            let held = loop {
                runner.wait(cx(), &lane).await.expect("woken");
                let held = runner.lease(cx(), &lane, 1, Duration::from_secs(60)).await;
                if let Some(held) = held.expect("leased").pop() {
                    break held;
                }
            };
            begun.send(Instant::now()).await.expect("heard");
            runner.settle(cx(), &held.token, Verdict::Done.into()).await.expect("settled");
        }
    });
    let mut spans = Vec::new();
    for number in 0..count {
        // The waiter waits again.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let start = Instant::now();
        let task = NewTask::new(number.to_string(), &PAYLOAD[..]);
        pusher.push(cx(), &lane(), task).await.expect("pushed");
        let begin = begins.recv().await.expect("begun");
        spans.push((begin - start).as_secs_f64() * 1e3);
    }
    run.await.expect("the runner");
    Series::from_iter(spans).median()
}

async fn inserted_ms(plain: &Plain, count: usize) -> f64 {
    let mut spans = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let start = Instant::now();
        plain.insert().await;
        spans.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Series::from_iter(spans).median()
}
