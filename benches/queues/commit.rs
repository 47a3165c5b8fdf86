//! Durable enqueue, against the least that is durable, with the same group commit.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fc::core::Queue;
use fc::core::port::queue::NewTask;

use super::plain::{Files, Group, Redb};
use super::{CX, lane, open, payload, runtime};
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::{alternate, clients};

/// Over a plain log with the same group commit.
const MANY: Budget = Budget::AtLeast { goal: 0.9, least: 0.6 };
/// Syncs for one acknowledgement under load.
const SYNCS: Budget = Budget::AtMost { goal: 0.125, least: 0.125 };
/// One client's latency over one append and `fdatasync`.
const ONE: Budget = Budget::AtMost { goal: 1.5, least: 1.5 };

pub(crate) fn compare(options: &Options) {
    many(options);
    one(options);
}

fn many(options: &Options) {
    let dirs: [tempfile::TempDir; 4] =
        std::array::from_fn(|_| tempfile::tempdir().expect("a directory"));
    let runtime = runtime();
    let queue = Arc::new(open(&dirs[0].path().join("queue")));
    let plain = Arc::new(Group::new(Files::new(dirs[1].path(), false)));
    let ahead = Arc::new(Group::new(Files::new(dirs[2].path(), true)));
    let redb = Arc::new(Group::new(Redb::new(dirs[3].path())));
    let next = Arc::new(AtomicU64::new(0));
    let (frames, pushes) = (queue.frames_written(), Cell::new(0));
    let payload = payload();
    let append = |group: &Arc<Group>| {
        let (group, payload) = (group.clone(), payload.clone());
        move || {
            let (group, payload) = (group.clone(), payload.clone());
            async move { group.append(payload).await }
        }
    };
    let push = {
        let (queue, payload) = (queue.clone(), payload.clone());
        move || {
            let (queue, payload, next) = (queue.clone(), payload.clone(), next.clone());
            async move {
                let id = format!("task-{}", next.fetch_add(1, Ordering::Relaxed));
                queue.push(CX, &lane(), NewTask::new(id, payload)).await.expect("pushed");
            }
        }
    };
    let series = alternate(
        options,
        [
            Box::new(|| clients(options, &runtime, 64, &append(&plain)).0),
            Box::new(|| {
                let (rate, count) = clients(options, &runtime, 64, &push);
                pushes.set(pushes.get() + count);
                rate
            }),
            Box::new(|| clients(options, &runtime, 64, &append(&ahead)).0),
            Box::new(|| clients(options, &runtime, 64, &append(&redb)).0),
        ],
    );
    let [plain, queue_rate, ahead, redb] = series;
    let syncs = (queue.frames_written() - frames) as f64 / pushes.get() as f64;
    let unit = "pushes/s";
    let rows = [
        Row::new("embedded, over the plain log", &queue_rate, unit)
            .over(queue_rate.over(&plain))
            .budget(MANY),
        Row::new("embedded, over the plain log into files made ahead", &queue_rate, unit)
            .over(queue_rate.over(&ahead)),
        Row::new("embedded, over redb", &queue_rate, unit).over(queue_rate.over(&redb)),
        Row::new("plain log: append and fdatasync", &plain, unit),
        Row::new("plain log into files made ahead", &ahead, unit),
        Row::new("redb, one durable transaction a group", &redb, unit),
        Row::exact("embedded: syncs for one acknowledgement", syncs, "syncs").budget(SYNCS),
    ];
    let title = "Durable enqueue of 1 KB by 64 clients, all with one group commit";
    table::print(options, title, &rows);
}

fn one(options: &Options) {
    let dirs: [tempfile::TempDir; 3] =
        std::array::from_fn(|_| tempfile::tempdir().expect("a directory"));
    let runtime = runtime();
    let queue = Arc::new(open(&dirs[0].path().join("queue")));
    let (mut plain, mut ahead) =
        (Files::new(dirs[1].path(), false), Files::new(dirs[2].path(), true));
    let payload = payload();
    let mut next = 0;
    let series = alternate(
        options,
        [
            Box::new(|| median(options, || plain.one(&payload))),
            Box::new(|| {
                let queue = queue.clone();
                median(options, || {
                    next += 1;
                    let task = NewTask::new(format!("task-{next}"), payload.clone());
                    runtime.block_on(queue.push(CX, &lane(), task)).expect("pushed");
                })
            }),
            Box::new(|| median(options, || ahead.one(&payload))),
        ],
    );
    let [plain, queue, ahead] = series;
    let unit = "us, median";
    let rows = [
        Row::new("embedded, over append and fdatasync", &queue, unit)
            .over(queue.over(&plain))
            .budget(ONE),
        Row::new("embedded, over fdatasync into a file made ahead", &queue, unit)
            .over(queue.over(&ahead)),
        Row::new("append and fdatasync", &plain, unit),
        Row::new("fdatasync into a file made ahead", &ahead, unit),
    ];
    table::print(options, "Durable enqueue of 1 KB by one client: latency", &rows);
}

/// The median time of one call in a turn, microseconds.
fn median(options: &Options, mut once: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < options.turn() {
        let before = Instant::now();
        once();
        times.push(before.elapsed().as_secs_f64() * 1e6);
    }
    times.into_iter().collect::<Series>().median()
}
