//! What a lane holds, and since when, over the number of its tasks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use fc::core::Queue;
use fc_queue::driver::postgres::PostgresQueue;
use tokio::runtime::Runtime;

use super::drain::fill;
use super::server::{lane, queue};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// The cost does not grow.
const FLAT: Budget = Budget::AtMost { goal: 1.1, least: 1.5 };

pub(crate) fn compare(options: &Options, runtime: &Runtime, url: &str) {
    let (few, many) = options.count((1_000, 200_000), (10, 100));
    let count = options.count(500, 5);
    let (of_few, of_many) = runtime.block_on(async {
        let (of_few, of_many) = (queue(url).await, queue(url).await);
        fill(&of_few, &AtomicU64::new(0), few).await;
        fill(&of_many, &AtomicU64::new(0), many).await;
        (of_few, of_many)
    });
    let [us_of_few, us_of_many] = alternate(
        options,
        [
            Box::new(|| runtime.block_on(depth_us(&of_few, count, few))),
            Box::new(|| runtime.block_on(depth_us(&of_many, count, many))),
        ],
    );
    let rows = [
        Row::new(format!("{many} tasks over {few}"), &us_of_many, "us")
            .over(us_of_many.over(&us_of_few))
            .budget(FLAT),
        Row::new(format!("{few} tasks"), &us_of_few, "us"),
    ];
    table::print(options, "Depth and oldest age of a lane", &rows);
}

async fn depth_us(queue: &Arc<PostgresQueue>, count: usize, must: usize) -> f64 {
    let lane = lane();
    let start = Instant::now();
    for _ in 0..count {
        let depth = queue.depth(&lane).await.expect("a depth");
        assert!(depth.waiting == must as u64 && depth.oldest.is_some());
    }
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}
