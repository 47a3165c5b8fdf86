//! How fast a backlog is run, whatever its length.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fc::core::port::queue::Lane;
use fc::queue::driver::embedded::EmbeddedQueue;
use fc::{AccountId, Platform};
use tokio::runtime::Runtime;

use super::{QUICK, Subject, alternate, dirs, envelope, fill, open, runtime};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::per_second;

/// A long backlog's rate over a short one's.
const FLAT: Budget = Budget::AtLeast { goal: 0.9, least: 0.8 };

pub(crate) fn compare(options: &Options) {
    let (few, many): (u64, u64) = options.count((10_000, 1_000_000), (200, 2_000));
    // Until the engine has seen how much runs well, and then what is measured.
    let (first, count) = options.count((4_000, 32_000), (20, 50));
    let dirs = dirs::<2>();
    let runtime = runtime();
    let account = runtime.block_on(async { Platform::builder().build().expect("one").account() });
    let [short, long] = [(&dirs[0], few), (&dirs[1], many)].map(|(dir, backlog)| {
        let queue = open(dir.path());
        let task = envelope(account, QUICK, 0);
        runtime.block_on(fill(&queue, &Lane::account(account), 0..backlog, &task));
        Backlog { dir: dir.path(), queue, account, next: Cell::new(backlog) }
    });
    let series = alternate(
        options,
        [
            Box::new(|| [short.turn(&runtime, first, count)]),
            Box::new(|| [long.turn(&runtime, first, count)]),
        ],
    );
    let [[short], [long]] = series;
    let unit = "tasks/s";
    let rows = [
        Row::new(format!("{few} tasks wait"), &short, unit),
        Row::new(format!("{many} tasks wait"), &long, unit).over(long.over(&short)).budget(FLAT),
    ];
    let title = format!("A backlog is run: {count} tasks, after the first {first} of a start");
    table::print(options, &title, &rows);
}

struct Backlog<'d> {
    dir: &'d Path,
    queue: Arc<EmbeddedQueue>,
    account: AccountId,
    next: Cell<u64>,
}

impl Backlog<'_> {
    /// Starts an engine, and lets it run so many, whose places others have taken before.
    fn turn(&self, runtime: &Runtime, first: u64, count: u64) -> f64 {
        let all = first + count;
        let task = envelope(self.account, QUICK, 0);
        let numbers = self.next.get()..self.next.get() + all;
        self.next.set(numbers.end);
        runtime.block_on(fill(&self.queue, &Lane::account(self.account), numbers, &task));
        let subject = Subject::over(runtime, self.dir, self.queue.clone(), |_| {});
        runtime.block_on(subject.over.reach(first));
        let (start, before) = (Instant::now(), subject.over.count());
        runtime.block_on(subject.over.reach(first + count));
        let rate = per_second(subject.over.count() - before, start);
        subject.stop(runtime);
        rate
    }
}
