//! What overload and failure leave behind once they are over.

use std::collections::BTreeMap;
use std::time::Duration;

use fc::core::{Clock, TaskStatus};

use crate::support::{Act, HOUR, World};

const SECOND: Duration = Duration::from_secs(1);
/// Over which goodput is counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Clients that submit without a pause, and what became of it.
struct Load {
    world: World,
    submitted: usize,
}

impl Load {
    /// `per_second` for so long, evenly; what succeeded in each window.
    async fn run(&mut self, per_second: u32, windows: u32) -> Vec<usize> {
        let mut goodput = Vec::new();
        for _ in 0..windows {
            let before = self.succeeded();
            let end = self.world.clock.now() + WINDOW;
            let count = per_second * WINDOW.as_secs() as u32;
            for _ in 0..count {
                self.submitted += 1;
                let payload = self.submitted.to_string();
                self.world.submit("f", &payload).await.unwrap();
                self.world.pass(WINDOW / count).await;
            }
            self.world.pass(end - self.world.clock.now()).await;
            goodput.push(self.succeeded() - before);
        }
        goodput
    }

    /// What succeeds in a window, once it runs evenly.
    async fn steady(&mut self, per_second: u32) -> f64 {
        self.run(per_second, 3).await;
        let windows = self.run(per_second, 6).await;
        windows.iter().sum::<usize>() as f64 / windows.len() as f64
    }

    /// The same load as before: a minute later it is as good as it was, and stays so.
    async fn recovers(&mut self, per_second: u32, before: f64) {
        self.run(per_second, 6).await;
        for minute in 2..6 {
            let after = self.run(per_second, 6).await;
            assert!(
                after.iter().all(|window| *window as f64 >= 0.9 * before),
                "{minute}: {after:?}"
            );
        }
    }

    fn succeeded(&self) -> usize {
        self.ended(TaskStatus::Succeeded)
    }

    fn ended(&self, status: TaskStatus) -> usize {
        self.world.told.0.lock().iter().filter(|news| news.status == status).count()
    }

    async fn queued(&self) -> u64 {
        let mut queued = 0;
        for lane in self.world.queue.lanes(None, 100).await.unwrap() {
            let depth = self.world.engine.depth(&lane).await.unwrap();
            queued += depth.waiting + depth.leased;
        }
        queued
    }

    /// All is over: each acknowledged task has ended once, and nothing is left. How many have failed.
    async fn drained(&mut self, within: Duration) -> usize {
        self.world.pass(within).await;
        assert_eq!(self.queued().await, 0, "the backlog does not drain");
        let mut ends: BTreeMap<String, u32> = BTreeMap::new();
        for news in self.world.told.0.lock().iter().filter(|news| news.status.is_final()) {
            *ends.entry(news.task_id.clone()).or_default() += 1;
        }
        assert!(ends.values().all(|count| *count == 1), "each once");
        let failed = self.ended(TaskStatus::Failed);
        assert_eq!((ends.len(), self.succeeded() + failed), (self.submitted, self.submitted));
        failed
    }
}

/// Ten at once, each for a second: what the functions can do in a window is 100.
fn ten_at_once(fails: bool) -> [Act; 1] {
    [Act::Within(10, SECOND, fails)]
}

async fn load() -> Load {
    let world = World::with(|_| {}).await;
    world.act("f", ten_at_once(false));
    Load { world, submitted: 0 }
}

/// I29: ten times the load for a minute leaves nothing behind but its backlog: goodput is back within a
/// minute and stays, the backlog shrinks under the load that was there before, and in the end each task
/// that was acknowledged has ended once.
#[tokio::test]
async fn i29_goodput_is_back_after_an_overload_and_the_backlog_drains() {
    const STEADY: u32 = 8;
    let mut load = load().await;
    let before = load.steady(STEADY).await;
    assert_eq!(before, 80.0, "all that is submitted");
    let during = load.run(STEADY * 10, 6).await;
    let left = load.queued().await;
    assert!(left > 2_000, "it is no overload: {during:?}");
    load.recovers(STEADY, before).await;
    let still = load.queued().await;
    assert!(still < left - 500, "{left} are {still}: it shrinks while the load goes on");
    assert_eq!(load.drained(HOUR).await, 0);
    // Those that found no capacity are few: it is sought, and not hammered.
    let seen = load.world.functions.seen.lock().len();
    assert!(seen < load.submitted * 5 / 4, "{seen} attempts for {}", load.submitted);
}

/// I29, T22: a function that fails for a minute is tried again within its budget in every second, is
/// as good as before within a minute after it, and its tasks end well, but for a few.
#[tokio::test]
async fn i29_t22_failures_of_a_minute_leave_no_storm_of_retries() {
    const STEADY: u32 = 5;
    let mut load = load().await;
    let before = load.steady(STEADY).await;
    load.world.act("f", ten_at_once(true));
    let begin = load.world.clock.now();
    let during = load.run(STEADY, 6).await;
    assert!(during[1..].iter().all(|window| *window == 0), "it fails: {during:?}");
    load.world.act("f", ten_at_once(false));
    load.recovers(STEADY, before).await;
    let budget = load.world.config.retry.budget;
    let seen = load.world.functions.seen.lock().clone();
    // What was tried before has filled the budget, and no more than that.
    let tried_before = seen.iter().filter(|seen| seen.at < begin).count();
    let first = |until| {
        let first = seen.iter().filter(|seen| seen.attempt == 0 && seen.at <= until);
        first.count() - tried_before
    };
    let retries: Vec<_> = seen.iter().filter(|seen| seen.attempt > 0).collect();
    assert!(retries.len() >= 300, "each is tried again");
    for (count, retry) in retries.iter().enumerate() {
        let earned = first(retry.at) as f64 * f64::from(budget.percent) / 100.0;
        let earned = earned + (retry.at - begin).as_secs_f64() * f64::from(budget.per_second);
        let allowed = f64::from(budget.burst) + earned;
        assert!(count as f64 <= allowed, "{count} after {:?}, not {allowed}", retry.at - begin);
    }
    // Those that were tried four times before it was over: the burst allows for a few.
    let failed = load.drained(HOUR).await;
    assert!(failed <= budget.burst as usize, "{failed} failed");
}
