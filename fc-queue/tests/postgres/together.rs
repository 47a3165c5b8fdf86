//! Several queues with one schema, as several processes have them.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{FollowUp, Lane, NewTask, Place, Pushed, Settlement, Verdict};
use fc_core::{Clock, Context, Queue, RequestId, SystemClock, Timestamp};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use futures_util::future::join_all;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::server;

pub(crate) fn cx() -> Context {
    Context::new(RequestId::NIL)
}

pub(crate) async fn connect(config: &PostgresConfig) -> PostgresQueue {
    PostgresQueue::connect(config.clone(), Arc::new(SystemClock::new())).await.unwrap()
}

/// A push tells all who listen, so that no waiter of another process needs its fall-back.
#[tokio::test]
async fn a_push_is_told_to_other_processes() {
    let config = server::config();
    let queue = connect(&config).await;
    let (client, mut connection) = tokio_postgres::connect(&server::url(), NoTls).await.unwrap();
    let told = tokio::spawn(async move {
        loop {
            let message = poll_fn(|cx| connection.poll_message(cx)).await.unwrap().unwrap();
            if let AsyncMessage::Notification(told) = message {
                return told.payload().to_owned();
            }
        }
    });
    let schema = server::schema_of(&config);
    client.batch_execute(&format!("LISTEN fc_queue_{schema}")).await.unwrap();
    let lane = Lane::new("told").unwrap();
    queue.push(cx(), &lane, NewTask::new("a", "")).await.unwrap();
    let number = format!("SELECT lane_id || ':' || position FROM {schema}.task WHERE id = 'a'");
    let told = told.await.unwrap();
    let row = server::client().await.query_one(&number, &[]).await.unwrap();
    assert_eq!(told, row.get::<_, &str>(0));
}

/// A push of another process that got its position before, was committed after what was leased since,
/// and whose word is lost: it is found without one.
#[tokio::test]
async fn what_is_committed_late_is_found() {
    let config = server::config();
    let queue = connect(&config).await;
    let (client, schema) = (server::client().await, server::schema_of(&config));
    let lane = Lane::new("lane").unwrap();
    let position = format!("SELECT nextval('{schema}.position')");
    queue.push(cx(), &lane, NewTask::new("first", "")).await.unwrap();
    let early: i64 = client.query_one(&position, &[]).await.unwrap().get(0);
    let lease = || queue.lease(cx(), &lane, 1, Duration::from_secs(60));
    for id in ["second", "third"] {
        queue.push(cx(), &lane, NewTask::new(id, "")).await.unwrap();
    }
    for id in ["first", "second", "third"] {
        assert_eq!(lease().await.unwrap()[0].token.task, id);
    }
    let late = format!(
        "SET search_path TO {schema}; INSERT INTO task (lane_id, place, was, leases, position, fence, \
         ready_at, late, visible_ms, pushed_ms, id, note, payload) SELECT lane_id, 0, 0, 0, {early}, 0, \
         now(), false, 1, 1, 'late', '', '' FROM lane; INSERT INTO lane_count SELECT lane_id, 99, 1, 0, \
         0 FROM lane"
    );
    client.batch_execute(&late).await.unwrap();
    let found = async {
        loop {
            assert!(queue.wait(cx(), &lane).await.unwrap());
            if let Some(held) = lease().await.unwrap().pop() {
                break held;
            }
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let found = clock.with_deadline(clock.now() + Duration::from_secs(20), Box::pin(found)).await;
    let held = found.expect("found a second later");
    assert_eq!(held.token.task, "late");
    queue.settle(cx(), &held.token, Verdict::Done.into()).await.unwrap();
    assert_eq!(queue.depth(&lane).await.unwrap().waiting, 0);
}

/// Settlements that push into each other's lanes, pushes of the same ids in other orders, and leases of
/// both: transactions may conflict, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossing_work_neither_fails_nor_loses() {
    const TASKS: usize = 300;
    let config = server::config();
    let queues = Arc::new([connect(&config).await, connect(&config).await]);
    let lanes = ["a", "b"].map(|name| Lane::new(name).unwrap());
    let clock = SystemClock::new();
    let fill = |queue: usize, is_reversed: bool| {
        let (queues, lanes) = (queues.clone(), lanes.clone());
        async move {
            let mut ids: Vec<usize> = (0..TASKS).collect();
            if is_reversed {
                ids.reverse();
            }
            let pushes = ids.iter().map(|id| {
                let task = NewTask::new(id.to_string(), "0");
                queues[queue].push(cx(), &lanes[id % 2], task)
            });
            let pushed = join_all(pushes).await;
            pushed.into_iter().filter(|pushed| *pushed.as_ref().unwrap() == Pushed::New).count()
        }
    };
    let (one, other) = tokio::join!(tokio::spawn(fill(0, false)), tokio::spawn(fill(1, true)));
    assert_eq!(one.unwrap() + other.unwrap(), TASKS, "each id is new once");
    // Every task goes to the other lane and back before it is done.
    let run = |queue: usize, lane: usize| {
        let (queues, lanes) = (queues.clone(), lanes.clone());
        async move {
            let mut done = 0;
            loop {
                let mut is_left = false;
                for lane in &lanes {
                    let depth = queues[queue].depth(lane).await.unwrap();
                    is_left |= depth.waiting + depth.leased > 0;
                }
                if !is_left {
                    return done;
                }
                let minute = Duration::from_secs(60);
                let held = queues[queue].lease(cx(), &lanes[lane], 20, minute).await.unwrap();
                if held.is_empty() {
                    clock.sleep_until(clock.now() + Duration::from_millis(2)).await;
                }
                let settle = held.iter().map(|held| {
                    let hops: u32 = String::from_utf8_lossy(&held.payload).parse().unwrap();
                    let id = &held.token.task;
                    let follower = FollowUp {
                        lane: lanes[1 - lane].clone(),
                        task: NewTask::new(&**id, (hops + 1).to_string()),
                    };
                    let follow_ups = if hops < 2 { vec![follower] } else { Vec::new() };
                    let settlement = Settlement { verdict: Verdict::Done, follow_ups };
                    let queue = &queues[queue];
                    async move { queue.settle(cx(), &held.token, settlement).await.map(|()| hops) }
                });
                let settled = join_all(settle).await;
                done += settled.into_iter().filter(|hops| *hops.as_ref().unwrap() == 2).count();
            }
        }
    };
    let runs = [(0, 0), (1, 1), (0, 1), (1, 0)].map(|(queue, lane)| tokio::spawn(run(queue, lane)));
    let mut done = 0;
    for run in runs {
        done += run.await.unwrap();
    }
    assert_eq!(done, TASKS);
    for lane in &lanes {
        let depth = queues[0].depth(lane).await.unwrap();
        assert_eq!((depth.waiting, depth.leased, depth.buried), (0, 0, 0));
    }
}

/// A reason and a note may hold anything that a program wrote.
#[tokio::test]
async fn any_reason_can_be_kept() {
    let queue = connect(&server::config()).await;
    let lane = Lane::new("lane").unwrap();
    let reason = "a\0b\u{10ffff}\\x'\n".to_owned();
    queue.push(cx(), &lane, NewTask::new("a", "")).await.unwrap();
    let held = queue.lease(cx(), &lane, 1, Duration::from_secs(60)).await.unwrap();
    let bury = Verdict::Bury { reason: reason.clone(), note: "\0".into() };
    queue.settle(cx(), &held[0].token, bury.into()).await.unwrap();
    let listed = queue.list(&lane, Place::Buried, None, 9).await.unwrap();
    assert_eq!(listed[0].reason, Some(reason));
}

/// No operation reads a whole table, however the server estimates its size.
#[tokio::test]
async fn every_operation_goes_by_an_index() {
    let config = server::config();
    let (client, schema) = (server::client().await, server::schema_of(&config));
    let lane = Lane::new("lane").unwrap();
    let whole = format!(
        "SELECT coalesce(sum(seq_scan), 0)::bigint, coalesce(sum(idx_scan), 0)::bigint FROM \
         pg_stat_user_tables WHERE schemaname = '{schema}' AND relname IN ('task', 'lane_count')"
    );
    drop(connect(&config).await);
    // A session tells the statistics as it ends, at the latest.
    let clock = SystemClock::new();
    let rest = || clock.sleep_until(clock.now() + Duration::from_millis(1_500));
    rest().await;
    let scans = |row: tokio_postgres::Row| (row.get::<_, i64>(0), row.get::<_, i64>(1));
    let before = scans(client.query_one(&whole, &[]).await.unwrap());
    let queue = connect(&config).await;
    for round in 0..12 {
        let pushes = (0..20)
            .map(|number| queue.push(cx(), &lane, NewTask::new(format!("{round}-{number}"), "")));
        assert!(join_all(pushes).await.iter().all(Result::is_ok));
        let held = queue.lease(cx(), &lane, 12, Duration::from_secs(60)).await.unwrap();
        queue.extend(cx(), &held[0].token, Duration::from_secs(90)).await.unwrap();
        for (number, held) in held.iter().enumerate() {
            let at = Timestamp::default();
            let verdict = match number % 3 {
                0 => Verdict::Done,
                1 => Verdict::Retry { at, note: "".into() },
                _ => Verdict::Bury { reason: "why".into(), note: "".into() },
            };
            queue.settle(cx(), &held.token, verdict.into()).await.unwrap();
        }
        queue.wait(cx(), &lane).await.unwrap();
        queue.depth(&lane).await.unwrap();
        queue.lanes(None, 9).await.unwrap();
        for place in [Place::Waiting, Place::Leased, Place::Buried] {
            queue.list(&lane, place, Some(1), 9).await.unwrap();
        }
        queue.cancel(cx(), &lane, &format!("{round}-19")).await.unwrap();
        queue.redrive(cx(), &lane, None, Timestamp::default(), "".into()).await.unwrap();
    }
    queue.purge(cx(), &lane, Place::Waiting).await.unwrap();
    drop(queue);
    rest().await;
    let after = scans(client.query_one(&whole, &[]).await.unwrap());
    assert!(after.1 > before.1, "the statistics are not told: {before:?} {after:?}");
    assert_eq!(after.0, before.0, "a table was read as a whole");
}

/// The server's statistics may be of a time before there was anything to change: its plans must not
/// compare each task with each, which took a purge of 20 000 tasks 20 seconds for a step.
#[tokio::test]
async fn no_plan_compares_each_task_with_each() {
    let config = server::config();
    let (client, schema) = (server::client().await, server::schema_of(&config));
    let (queue, lane) = (connect(&config).await, Lane::new("lane").unwrap());
    let push = async |ids: std::ops::Range<u64>| {
        let pushes = ids.map(|id| queue.push(cx(), &lane, NewTask::new(id.to_string(), "")));
        assert!(join_all(pushes).await.iter().all(Result::is_ok));
    };
    push(0..200).await;
    queue.lease(cx(), &lane, 200, Duration::from_secs(60)).await.unwrap();
    let settings = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET \
                    enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off";
    let analyze = format!("SET search_path TO {schema}; {settings}; VACUUM ANALYZE task");
    for part in analyze.split(';') {
        client.batch_execute(part).await.unwrap();
    }
    push(1_000..3_000).await;
    let purge = include_str!("../../src/driver/postgres/sql/purge.sql");
    let statements = [
        purge.replace("{is_meant}", "place = 0 AND NOT late"),
        purge.replace("{is_meant}", "place = 0 AND late"),
        purge.replace("{is_meant}", "place = 2"),
        include_str!("../../src/driver/postgres/sql/redrive.sql").into(),
        include_str!("../../src/driver/postgres/sql/reclaim.sql").into(),
        include_str!("../../src/driver/postgres/sql/lease.sql").into(),
        include_str!("../../src/driver/postgres/sql/extend.sql").into(),
        include_str!("../../src/driver/postgres/sql/settle.sql").into(),
        include_str!("../../src/driver/postgres/sql/settle_done.sql").into(),
        include_str!("../../src/driver/postgres/sql/settle_lease.sql").into(),
    ];
    for statement in statements {
        let count = (1..30).filter(|n| statement.contains(&format!("${n}"))).count();
        let values = vec!["NULL"; count].join(", ");
        client.batch_execute(&format!("PREPARE asked AS {statement}")).await.unwrap();
        let explain = format!("EXPLAIN EXECUTE asked({values})");
        let rows = client.query(&explain, &[]).await.unwrap();
        let plan: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Join Filter"), "{statement}\n{plan}");
        client.batch_execute("DEALLOCATE asked").await.unwrap();
    }
}
