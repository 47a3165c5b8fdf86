//! Queueing by 64 clients, against the queue alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fc::core::port::queue::{Lane, NewTask};
use fc::core::{Asynchronous, Clock, Queue, SystemClock, Timestamp};

use super::{CX, QUICK, Subject, alternate, dirs, envelope, open, payload, runtime};
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::clients;

/// The engine over the bare queue.
const BARE: Budget = Budget::AtLeast { goal: 0.9, least: 0.7 };
/// Nothing is run meanwhile.
const LATER: Duration = Duration::from_secs(3600);

pub(crate) fn compare(options: &Options) {
    let dirs = dirs::<2>();
    let runtime = runtime();
    let subject = Subject::start(&runtime, dirs[0].path(), |_| {});
    let queue = open(dirs[1].path());
    let account = subject.platform.account();
    let at = SystemClock::new().wall().as_unix_millis() + LATER.as_millis() as u64;
    let (task, lane) = (envelope(account, QUICK, at), Lane::account(account));
    let next = Arc::new(AtomicU64::new(0));
    let bare = move || {
        let (queue, task, lane, next) = (queue.clone(), task.clone(), lane.clone(), next.clone());
        async move {
            let id = next.fetch_add(1, Ordering::Relaxed);
            let task = NewTask::new(format!("i/quick/1-{id:08x}-00000000-000000000000"), task);
            let task = task.visible_at(Timestamp::from_unix_millis(at));
            queue.push(CX, &lane, task).await.expect("pushed");
        }
    };
    let (platform, payload) = (subject.platform.clone(), payload());
    let enqueue = move || {
        let (platform, payload) = (platform.clone(), payload.clone());
        async move {
            let options = Asynchronous { task_id: None, delay: Some(LATER) };
            platform.enqueue_with(QUICK, payload, options).await.expect("queued");
        }
    };
    let series = alternate(
        options,
        [
            Box::new(|| [clients(options, &runtime, 64, &bare).0]),
            Box::new(|| [clients(options, &runtime, 64, &enqueue).0]),
        ],
    );
    let [[bare], [engine]] = series;
    let unit = "tasks/s";
    let rows = [
        Row::new("Platform::enqueue", &engine, unit).over(engine.over(&bare)).budget(BARE),
        Row::new("EmbeddedQueue::push of the same", &bare, unit),
    ];
    table::print(options, "Durable enqueue of 1 KB by 64 clients; nothing runs", &rows);
    subject.stop(&runtime);
}
