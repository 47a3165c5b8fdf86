//! One account has a hundred thousand queued tasks; another account's task is to start as if it had
//! not.

use std::cell::Cell;
use std::time::Duration;

use fc::core::port::queue::{Lane, Place};
use fc::core::{Queue, Timestamp};
use fc::{AccountId, Body, Response, handler_fn};

use super::stamp::Stamp;
use super::{CX, QUICK, Subject, dirs, envelope, fill_until, rounds, runtime};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};

/// Beside the backlog over idle.
const TWICE: Budget = Budget::AtMost { goal: 1.5, least: 2.0 };

const SLOW: &str = "slow";
/// What a task of [`SLOW`] waits, for something that is not this machine.
const WAITS: Duration = Duration::from_millis(100);

pub(crate) fn compare(options: &Options) {
    let [dir] = dirs();
    let runtime = runtime();
    let mut stamp = None;
    let subject = Subject::start(&runtime, dir.path(), |platform| {
        let slow = handler_fn(|_cx, _request| async {
            tokio::time::sleep(WAITS).await;
            Ok(Response::new(Body::EMPTY))
        });
        platform.handle(SLOW, slow).expect("deployed");
        let account = AccountId::new("2000000000000000").expect("an account");
        stamp = Some(Stamp::deploy(platform, account));
    });
    let stamp = stamp.expect("deployed");
    let count = options.count(300, 5);
    let backlog = options.count(100_000, 5_000);
    // Longer than it takes to push them.
    let filling = options.count(Duration::from_secs(10), Duration::from_secs(2));
    let next = Cell::new(0);
    let idle = || stamp.measure(&runtime, &subject, count);
    let beside = |function: &str| {
        let lane = subject.lane();
        let numbers = next.get()..next.get() + backlog;
        next.set(numbers.end);
        runtime.block_on(async {
            let task = envelope(subject.platform.account(), function, 0);
            subject.platform.enqueue(QUICK, "").await.expect("the lane is attended");
            // All at one moment: an engine keeps up with who pushes one after another.
            let clock = subject.platform.clock();
            let start = clock.now() + filling;
            let at = Timestamp::from_unix_millis(
                clock.wall().as_unix_millis() + filling.as_millis() as u64,
            );
            fill_until(&subject.queue, &lane, numbers, &task, at).await;
            clock.sleep_until(start).await;
        });
        let figures = stamp.measure(&runtime, &subject, count);
        runtime.block_on(clear(&subject, &lane));
        figures
    };
    let series = rounds(
        options,
        options.count(5, 1),
        [Box::new(idle), Box::new(|| beside(SLOW)), Box::new(idle), Box::new(|| beside(QUICK))],
    );
    let [idle, slow, idle_again, quick] = series;
    let unit = "ms";
    let mut rows = Vec::new();
    for (name, idle, beside) in [
        ("100 ms of waiting each", &idle, &slow),
        ("all that the machine has", &idle_again, &quick),
    ] {
        rows.extend([
            Row::new("idle: half of them", &idle[0], unit),
            Row::new(format!("beside tasks that take {name}: half"), &beside[0], unit)
                .over(beside[0].over(&idle[0]))
                .budget(TWICE),
            Row::new("idle: 99 of 100", &idle[1], unit),
            Row::new(format!("beside tasks that take {name}: 99 of 100"), &beside[1], unit)
                .over(beside[1].over(&idle[1])),
        ]);
    }
    let title = format!("From enqueue to start, beside {backlog} tasks of another account");
    table::print(options, &title, &rows);
    subject.stop(&runtime);
}

async fn waiting(subject: &Subject, lane: &Lane) -> u64 {
    subject.queue.depth(lane).await.expect("a depth").waiting
}

/// Takes the backlog away, and waits until what runs is over.
async fn clear(subject: &Subject, lane: &Lane) {
    assert!(waiting(subject, lane).await > 0, "the backlog was over before the measurement");
    loop {
        subject.queue.purge(CX, lane, Place::Waiting).await.expect("purged");
        let depth = subject.queue.depth(lane).await.expect("a depth");
        if depth.waiting + depth.leased == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
