//! Tasks that have a name or a record: states, lists, stops, history.

use std::time::Duration;

use fc::core::{Asynchronous, ErrorKind, FailureType, TaskQuery, TaskStatus, Tasks};

use crate::support::{Act, HOUR, World, account, name};

fn of(task: &fc::core::AsyncTask) -> Vec<TaskStatus> {
    task.events.iter().map(|event| event.status).collect()
}

/// INV-4, ASY-9: the id is echoed, and the task's whole life can be read.
#[tokio::test]
async fn asy_9_a_task_tells_its_life() {
    use TaskStatus::{Dequeued, Enqueued, Retrying, Running, Succeeded};
    let world = World::new().await;
    world.act("f", [Act::Fail(FailureType::Handled), Act::Take(Duration::from_secs(2))]);
    assert_eq!(world.submit_named("f", "in", "t-1").await.unwrap(), "t-1");
    let task = world.task("f", "t-1").await.unwrap();
    assert_eq!((task.status, of(&task)), (Enqueued, vec![Enqueued]));
    assert_eq!(task.task_payload.as_deref(), Some("in"));
    world.pass(HOUR).await;
    let task = world.task("f", "t-1").await.unwrap();
    assert_eq!(of(&task), [Enqueued, Dequeued, Running, Retrying, Dequeued, Running, Succeeded]);
    assert_eq!(task.events[3].event_detail, r#"{"Error":"HandledInvocationError"}"#);
    assert_eq!(task.events.iter().map(|e| e.event_id).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(task.already_retried_times, 1);
    assert_eq!(task.return_payload.as_deref(), Some("in"));
    assert_eq!(task.function_arn, "acs:fc::1234:functions/f");
    assert_eq!(task.qualifier, "LATEST");
    assert!(task.end_time.unwrap() >= task.started_time + 2000);
}

/// INV-4, I10: one id is one task, while it waits, runs, and once it is over.
#[tokio::test]
async fn inv_4_a_second_task_of_the_same_id_is_refused() {
    let world = World::new().await;
    world.act("f", [Act::Take(Duration::from_secs(5))]);
    world.submit_named("f", "1", "t").await.unwrap();
    for _ in 0..3 {
        let refused = world.submit_named("f", "2", "t").await.unwrap_err();
        assert_eq!(refused.code(), "StatefulAsyncInvocationAlreadyExists");
        assert_eq!(refused.status(), 409);
        world.pass(Duration::from_secs(4)).await;
    }
    assert_eq!(world.seen(), ["f 0 1"]);
    world.submit_named("g", "3", "t").await.unwrap();
    world.pass(HOUR).await;
    assert_eq!(world.seen(), ["f 0 1", "g 0 3"], "another function's ids are its own");
}

/// ASY-9: without a name a task is recorded only where its function is configured so.
#[tokio::test]
async fn asy_9_unnamed_tasks_are_recorded_if_configured() {
    let world = World::new().await;
    let unknown = world.submit("f", "").await.unwrap();
    let refused = world.task("f", &unknown).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TaskNotFound);
    world.configure("f", serde_json::json!({ "asyncTask": true })).await.unwrap();
    let known = world.submit("f", "x").await.unwrap();
    world.settle().await;
    let task = world.task("f", &known).await.unwrap();
    assert_eq!((task.status, &task.request_id), (TaskStatus::Succeeded, &task.task_id));
}

/// ASY-9: a queued task is stopped at once and never runs.
#[tokio::test]
async fn asy_9_a_queued_task_is_stopped() {
    let world = World::new().await;
    let options = Asynchronous { task_id: Some("t".into()), delay: Some(HOUR) };
    world.submit_as("f", "", options).await.unwrap();
    world.engine.stop(world.cx(), account(), &name("f"), "t").await.unwrap();
    let task = world.task("f", "t").await.unwrap();
    use TaskStatus::{Enqueued, Stopped, Stopping};
    assert_eq!(of(&task), [Enqueued, Stopping, Stopped]);
    world.pass(HOUR * 2).await;
    assert_eq!(world.seen(), [""; 0]);
    assert_eq!(world.engine.depth(&world.lane()).await.unwrap(), Default::default());
    // Again, and of what is not there.
    world.engine.stop(world.cx(), account(), &name("f"), "t").await.unwrap();
    let refused = world.engine.stop(world.cx(), account(), &name("f"), "u").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TaskNotFound);
}

/// ASY-9: a running task is stopped: its run is cancelled, and it is not tried again.
#[tokio::test]
async fn asy_9_a_running_task_is_stopped() {
    let world = World::new().await;
    world.act("f", [Act::Never]);
    world.submit_named("f", "", "t").await.unwrap();
    world.settle().await;
    assert_eq!(*world.functions.running.lock(), 1);
    assert_eq!(world.task("f", "t").await.unwrap().status, TaskStatus::Running);
    world.engine.stop(world.cx(), account(), &name("f"), "t").await.unwrap();
    world.settle().await;
    assert_eq!(*world.functions.running.lock(), 0);
    let task = world.task("f", "t").await.unwrap();
    use TaskStatus::{Dequeued, Enqueued, Running, Stopped, Stopping};
    assert_eq!(of(&task), [Enqueued, Dequeued, Running, Stopping, Stopped]);
    world.pass(HOUR * 6).await;
    assert_eq!(world.seen().len(), 1);
}

/// ASY-9: a stop reaches a task that another process runs.
#[tokio::test]
async fn asy_9_a_stop_reaches_another_process() {
    let mut world = World::new().await;
    world.act("f", [Act::Never]);
    world.submit_named("f", "", "t").await.unwrap();
    world.settle().await;
    let first = world.engine.clone();
    world.restart().await;
    world.engine.stop(world.cx(), account(), &name("f"), "t").await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(*world.functions.running.lock(), 0);
    assert_eq!(world.task("f", "t").await.unwrap().status, TaskStatus::Stopped);
    drop(first);
}

/// ASY-9: lists have filters and pages, in both orders.
#[tokio::test]
async fn asy_9_tasks_are_listed() {
    let world = World::new().await;
    world.act("f", [Act::Fail(FailureType::Handled), Act::Echo]);
    world.configure("f", serde_json::json!({ "maxAsyncRetryAttempts": 0 })).await.unwrap();
    let began = fc::core::Clock::wall(&world.clock).as_unix_millis();
    for number in 0..25 {
        world
            .submit_named("f", "in", &format!("{}{number:02}", ["a", "b"][number % 2]))
            .await
            .unwrap();
        world.pass(Duration::from_secs(1)).await;
    }
    world.submit_named("g", "", "other").await.unwrap();
    let list = async |query: TaskQuery| {
        let mut query = query;
        let (mut ids, mut pages) = (Vec::new(), 0);
        loop {
            let page = world.engine.tasks(world.cx(), account(), &name("f"), query.clone()).await;
            let page = page.unwrap();
            assert!(page.items.len() <= query.limit as usize);
            ids.extend(page.items.into_iter().map(|task| task.task_id));
            pages += 1;
            match page.next_token {
                Some(token) => query.next_token = Some(token),
                None => return (ids, pages),
            }
        }
    };
    let (newest, pages) = list(TaskQuery::default()).await;
    assert_eq!((newest.len(), pages), (25, 2));
    assert_eq!((&*newest[0], &*newest[24]), ("a24", "a00"));
    let (mut oldest, _) =
        list(TaskQuery { descending: false, limit: 7, ..TaskQuery::default() }).await;
    oldest.reverse();
    assert_eq!(oldest, newest);
    let failed = TaskQuery { status: Some(TaskStatus::Failed), ..TaskQuery::default() };
    assert_eq!(list(failed).await.0, ["a00"]);
    let prefix = TaskQuery { prefix: "b0".into(), limit: 1, ..TaskQuery::default() };
    assert_eq!(list(prefix).await.0, ["b09", "b07", "b05", "b03", "b01"]);
    let at = |seconds: u64| Some(fc::core::Timestamp::from_unix_millis(began + seconds * 1000));
    for descending in [true, false] {
        let between = TaskQuery {
            started_from: at(3),
            started_to: at(5),
            descending,
            ..TaskQuery::default()
        };
        let mut ids = list(between).await.0;
        ids.sort();
        assert_eq!(ids, ["a04", "b03", "b05"]);
    }
    for limit in [0, 101] {
        let query = TaskQuery { limit, ..TaskQuery::default() };
        let refused = world.engine.tasks(world.cx(), account(), &name("f"), query).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let query = TaskQuery { next_token: Some("x".into()), ..TaskQuery::default() };
    let refused = world.engine.tasks(world.cx(), account(), &name("f"), query).await;
    assert!(refused.unwrap_err().to_string().starts_with("nextToken"));
    let plain = world.engine.tasks(world.cx(), account(), &name("f"), TaskQuery::default()).await;
    assert_eq!(plain.unwrap().items[0].task_payload, None);
    let query = TaskQuery { include_payload: true, ..TaskQuery::default() };
    let full = world.engine.tasks(world.cx(), account(), &name("f"), query).await.unwrap();
    assert_eq!(full.items[0].task_payload.as_deref(), Some("in"));
}

/// ASY-9: history is kept for 7 days, and then nothing is left of it.
#[tokio::test]
async fn asy_9_history_is_removed_after_seven_days() {
    let world = World::with(|config| config.sweep = HOUR * 12).await;
    world.submit_named("f", "in", "old").await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    for _ in 0..7 {
        world.pass(HOUR * 23).await;
    }
    world.submit_named("f", "in", "new").await.unwrap();
    world.submit_named("g", "in", "new").await.unwrap();
    assert!(world.task("f", "old").await.is_ok(), "6 days and 17 hours");
    world.pass(HOUR * 20).await;
    assert_eq!(world.task("f", "old").await.unwrap_err().kind(), ErrorKind::TaskNotFound);
    assert!(world.task("f", "new").await.is_ok() && world.task("g", "new").await.is_ok());
    let left = world.store.list("task", None, 100).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|record| record.key).collect();
    assert!(
        left.iter().all(|key| !key.contains("old/1234/f") || key.ends_with("/new")),
        "{left:?}"
    );
    assert_eq!(left.len(), 10, "{left:?}");
    world.submit_named("f", "in", "old").await.unwrap();
}

/// ASY-9: of a long answer 1 MB is kept.
#[tokio::test]
async fn asy_9_a_result_is_kept_up_to_a_megabyte() {
    let world = World::new().await;
    world.act("f", [Act::Answer(1 << 20), Act::Answer((1 << 20) + 1)]);
    for id in ["fits", "long"] {
        world.submit_named("f", "", id).await.unwrap();
        world.settle().await;
        let task = world.task("f", id).await.unwrap();
        assert_eq!(task.return_payload.map(|result| result.len()), Some(1 << 20));
        assert_eq!(task.status, TaskStatus::Succeeded);
    }
}
