//! One who asks while nobody else does works in its own poll.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask, Pushed};
use fc_core::{Clock, Deadline, ErrorKind, Queue, SystemClock};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use futures_util::future::join_all;
use futures_util::poll;
use tokio_postgres::Client;

use crate::server;
use crate::together::{connect, cx};

fn task(id: &str) -> NewTask {
    NewTask::new(id, "payload")
}

fn lane() -> Lane {
    Lane::new("lane").unwrap()
}

/// A queue with a session to push through that nobody uses, and its clock.
async fn at_rest(name: &str) -> (PostgresQueue, Arc<SystemClock>) {
    let url = format!("{}?application_name={name}", server::url());
    let config = PostgresConfig::new(&url).unwrap().schema(name).unwrap();
    let clock = Arc::new(SystemClock::new());
    let queue = PostgresQueue::connect(config, clock.clone()).await.unwrap();
    for id in ["first", "second"] {
        assert_eq!(queue.push(cx(), &lane(), task(id)).await.unwrap(), Pushed::New);
    }
    (queue, clock)
}

/// Nobody can change a task until this is committed.
async fn locked(name: &str) -> Client {
    let client = server::client().await;
    let lock = format!("BEGIN; LOCK TABLE {name}.task IN EXCLUSIVE MODE");
    client.batch_execute(&lock).await.unwrap();
    client
}

async fn pass(span: Duration) {
    let clock = SystemClock::new();
    clock.sleep_until(clock.now() + span).await;
}

/// The server's processes of a queue, the listening and the telling one too.
async fn sessions(name: &str) -> Vec<i32> {
    let pids = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid";
    let rows = server::client().await.query(pids, &[&name]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Until the server has begun to do what is asked.
async fn is_waiting(name: &str) {
    let client = server::client().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND \
                 wait_event_type = 'Lock'";
    while client.query_one(waits, &[&name]).await.unwrap().get::<_, i64>(0) == 0 {
        pass(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn one_that_goes_away_leaves_its_push_done_and_its_session_of_use() {
    let (queue, _) = at_rest("alone_gone").await;
    let before = sessions("alone_gone").await;
    let lock = locked("alone_gone").await;
    {
        let lane = lane();
        let mut push = pin!(queue.push(cx(), &lane, task("gone")));
        assert!(poll!(&mut push).is_pending());
        is_waiting("alone_gone").await;
    }
    lock.batch_execute("COMMIT").await.unwrap();
    while queue.depth(&lane()).await.unwrap().waiting < 3 {
        pass(Duration::from_millis(2)).await;
    }
    assert_eq!(queue.push(cx(), &lane(), task("gone")).await.unwrap(), Pushed::Known);
    assert_eq!(queue.push(cx(), &lane(), task("next")).await.unwrap(), Pushed::New);
    let after = sessions("alone_gone").await;
    assert!(before.iter().all(|pid| after.contains(pid)), "{before:?} {after:?}");
}

/// What was sent by then may be done.
#[tokio::test]
async fn one_whose_deadline_passes_is_told_that_it_may_be_done() {
    let (queue, clock) = at_rest("alone_late").await;
    let lock = locked("alone_late").await;
    let deadline = Deadline::at(clock.now() + Duration::from_millis(500));
    let late = queue.push(cx().with_deadline(deadline), &lane(), task("late")).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Unknown);
    lock.batch_execute("COMMIT").await.unwrap();
    // It waited for the lock before this one.
    assert_eq!(queue.push(cx(), &lane(), task("late")).await.unwrap(), Pushed::Known);
    // One that has passed before anything was sent has done nothing.
    let passed = Deadline::at(clock.now());
    let refused = queue.push(cx().with_deadline(passed), &lane(), task("never")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ResourceThrottled);
    assert_eq!(queue.push(cx(), &lane(), task("never")).await.unwrap(), Pushed::New);
}

/// It would be answered by nobody else, and others wait for what it holds.
#[tokio::test]
async fn one_that_is_polled_no_more_keeps_nobody_waiting() {
    let (queue, _) = at_rest("alone_still").await;
    let lane = lane();
    let lock = locked("alone_still").await;
    let mut still = pin!(queue.push(cx(), &lane, task("still")));
    assert!(poll!(&mut still).is_pending());
    is_waiting("alone_still").await;
    lock.batch_execute("COMMIT").await.unwrap();
    let ids: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let others = join_all(ids.iter().map(|id| queue.push(cx(), &lane, task(id)))).await;
    assert!(others.into_iter().all(|pushed| pushed.unwrap() == Pushed::New));
    for id in &ids {
        assert_eq!(queue.push(cx(), &lane, task(id)).await.unwrap(), Pushed::Known);
    }
    assert_eq!(still.await.unwrap(), Pushed::New);
    assert_eq!(queue.depth(&lane).await.unwrap().waiting, 43);
}

/// Nobody polls an idle session: its end is seen before it is used.
#[tokio::test]
async fn sessions_that_end_while_idle_are_replaced_unnoticed() {
    let (queue, _) = at_rest("alone_ended").await;
    let held = queue.lease(cx(), &lane(), 1, Duration::from_secs(60)).await.unwrap();
    for round in 0..3 {
        let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE \
                   application_name = 'alone_ended'";
        server::client().await.query(end, &[]).await.unwrap();
        // Until it is told here, which takes no longer than to tell the one who ended them.
        pass(Duration::from_millis(100)).await;
        let id = format!("{round}");
        assert_eq!(queue.push(cx(), &lane(), task(&id)).await.unwrap(), Pushed::New);
        queue.extend(cx(), &held[0].token, Duration::from_secs(60)).await.unwrap();
        assert_eq!(queue.depth(&lane()).await.unwrap().waiting, 2 + round);
    }
}

#[tokio::test]
async fn one_session_of_a_kind_is_enough() {
    let config = server::config().sessions(1);
    let queue = connect(&config).await;
    for round in 0..10 {
        let ids: Vec<String> = (0..round % 3 + 1).map(|n| format!("{round}-{n}")).collect();
        let lane = lane();
        let pushes = join_all(ids.iter().map(|id| queue.push(cx(), &lane, task(id)))).await;
        assert!(pushes.into_iter().all(|pushed| pushed.unwrap() == Pushed::New));
    }
}
