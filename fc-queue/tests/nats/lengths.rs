//! How long the log grows, and what its beginning's removal leaves.

use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask, Place, Verdict};
use fc_core::{Clock, Context, Queue, RequestId, SystemClock, Timestamp};
use fc_queue::driver::nats::{NatsQueue, NatsQueueConfig};
use fc_testkit::server::{NatsServer, NatsSettings};

const CX: Context = Context::new(RequestId::NIL);
const HOLD: Duration = Duration::from_secs(600);

async fn connect(config: &NatsQueueConfig) -> NatsQueue {
    NatsQueue::connect(config.clone(), Arc::new(SystemClock::new())).await.unwrap()
}

/// A few tasks that stay would keep the whole log: they are carried on, and it is cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_little_is_cut_though_tasks_stay() {
    let server = NatsServer::start(NatsSettings::default()).unwrap();
    let config = NatsQueueConfig { log_bytes_max: 256 << 20, ..NatsQueueConfig::new(server.url()) };
    let queue = connect(&config).await;
    let (stays, passes) = (Lane::new("stays").unwrap(), Lane::new("passes").unwrap());
    let later = SystemClock::new().wall().as_unix_millis() + 3_600_000;
    for number in 0..3u8 {
        let task =
            NewTask { note: "kept".into(), ..NewTask::new(format!("t{number}"), vec![number; 99]) };
        queue.push(CX, &stays, task.clone()).await.unwrap();
        let delayed = NewTask { id: format!("d{number}"), ..task };
        let delayed = delayed.visible_at(Timestamp::from_unix_millis(later));
        queue.push(CX, &stays, delayed).await.unwrap();
    }
    let held = queue.lease(CX, &stays, 2, HOLD).await.unwrap();
    let bury = Verdict::Bury { reason: "why".into(), note: "end".into() };
    queue.settle(CX, &held[1].token, bury.into()).await.unwrap();
    let idle = connect(&config).await;
    // Three messages each, of which the log may keep some thousands.
    for round in 0..8000u32 {
        queue.push(CX, &passes, NewTask::new(round.to_string(), "x")).await.unwrap();
        let leased = queue.lease(CX, &passes, 1, HOLD).await.unwrap();
        queue.settle(CX, &leased[0].token, Verdict::Done.into()).await.unwrap();
    }
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(&config.stream).await.unwrap();
    let state = stream.get_info().await.unwrap().state;
    assert!(state.last_sequence >= 24_000, "{state:?}");
    assert!(state.messages < 20_000, "{} messages are left", state.messages);
    let late = connect(&config).await;
    for queue in [&queue, &idle, &late] {
        let depth = queue.depth(&stays).await.unwrap();
        assert_eq!((depth.waiting, depth.leased, depth.buried), (4, 1, 1));
        assert_eq!(queue.depth(&passes).await.unwrap(), Default::default());
        for (place, must) in [
            (Place::Waiting, &["d0", "d1", "t2", "d2"][..]),
            (Place::Leased, &["t0"]),
            (Place::Buried, &["t1"]),
        ] {
            let listed = queue.list(&stays, place, None, 9).await.unwrap();
            let ids: Vec<&str> = listed.iter().map(|task| &*task.id).collect();
            assert_eq!(ids, must);
            for task in listed {
                let number: u8 = task.id[1..].parse().unwrap();
                assert_eq!(task.payload, vec![number; 99]);
            }
        }
    }
    // A token outlives the message that it is from.
    late.settle(CX, &held[0].token, Verdict::Done.into()).await.unwrap();
}

/// Who comes later reads what is left, and has the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_later_reads_what_is_left() {
    let server = NatsServer::start(NatsSettings::default()).unwrap();
    let config = NatsQueueConfig { log_bytes_max: 256 << 20, ..NatsQueueConfig::new(server.url()) };
    let (queue, lane) = (connect(&config).await, Lane::new("l").unwrap());
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(&config.stream).await.unwrap();
    queue.push(CX, &lane, NewTask::new("before", "x")).await.unwrap();
    drop(queue);
    let queue = connect(&config).await;
    let leased = queue.lease(CX, &lane, 1, HOLD).await.unwrap();
    queue.settle(CX, &leased[0].token, Verdict::Done.into()).await.unwrap();
    queue.push(CX, &lane, NewTask::new("after", "y")).await.unwrap();
    stream.purge().sequence(4).await.unwrap();
    let late = connect(&config).await;
    let listed = late.list(&lane, Place::Waiting, None, 9).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&*listed[0].id, &listed[0].payload[..]), ("after", &b"y"[..]));
    assert_eq!(late.lease(CX, &lane, 9, HOLD).await.unwrap().len(), 1);
    assert_eq!(queue.depth(&lane).await.unwrap().leased, 1);
}

/// A server that lost what it had acknowledged, as one that does not sync may: what it has is true.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_messages_is_believed() {
    let mut server = NatsServer::start(NatsSettings::default()).unwrap();
    let config = NatsQueueConfig { log_bytes_max: 256 << 20, ..NatsQueueConfig::new(server.url()) };
    let (queue, lane) = (connect(&config).await, Lane::new("l").unwrap());
    queue.push(CX, &lane, NewTask::new("a", "x")).await.unwrap();
    server.kill9().unwrap();
    let backup = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.unwrap().success());
    };
    copy(&server.data(), &backup.path().join("data"));
    server.restart().unwrap();
    for id in ["b", "c"] {
        queue.push(CX, &lane, NewTask::new(id, "x")).await.unwrap();
    }
    server.kill9().unwrap();
    std::fs::remove_dir_all(server.data()).unwrap();
    copy(&backup.path().join("data"), &server.data());
    server.restart().unwrap();
    queue.push(CX, &lane, NewTask::new("d", "y")).await.unwrap();
    let listed = queue.list(&lane, Place::Waiting, None, 9).await.unwrap();
    let tasks: Vec<_> = listed.iter().map(|task| (&*task.id, &task.payload[..])).collect();
    assert_eq!(tasks, [("a", &b"x"[..]), ("d", &b"y"[..])]);
}
