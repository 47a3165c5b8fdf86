//! The queue on NATS JetStream, with a server of its own for each test.
#![allow(clippy::disallowed_methods, reason = "it waits for a real server")]
// Helpers of tests may unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod answers;
mod conformance;
mod kills;
mod lengths;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fc_core::port::queue::{
    Cancelled, FollowUp, Lane, Leased, NewTask, Place, Pushed, Settlement, Verdict,
};
use fc_core::port::store::Durability;
use fc_core::{Clock, Context, Deadline, ErrorKind, Queue, RequestId, SystemClock, Timestamp};
use fc_queue::driver::nats::{NatsQueue, NatsQueueConfig};
use fc_testkit::server::{NatsServer, NatsSettings};

const LONG: Duration = Duration::from_secs(60);
const CX: Context = Context::new(RequestId::NIL);

fn server() -> NatsServer {
    NatsServer::start(NatsSettings::default()).unwrap()
}

async fn queue(server: &NatsServer) -> NatsQueue {
    connect(NatsQueueConfig::new(server.url())).await
}

async fn connect(config: NatsQueueConfig) -> NatsQueue {
    NatsQueue::connect(config, Arc::new(SystemClock::new())).await.unwrap()
}

fn lane(name: &str) -> Lane {
    Lane::new(name).unwrap()
}

async fn lease(queue: &NatsQueue, lane: &Lane, max: usize) -> Vec<Leased> {
    queue.lease(CX, lane, max, LONG).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_goes_its_way() {
    let server = server();
    let queue = queue(&server).await;
    let (a, b) = (lane("1234/a:b_c-d"), lane("1234"));
    let task = || NewTask { note: "note".into(), ..NewTask::new("f/1:x", "payload") };
    assert_eq!(queue.push(CX, &a, task()).await.unwrap(), Pushed::New);
    assert_eq!(queue.push(CX, &a, task()).await.unwrap(), Pushed::Known);
    assert_eq!(queue.push(CX, &b, NewTask::new("f/1:x", "")).await.unwrap(), Pushed::New);
    assert_eq!(queue.lanes(None, 9).await.unwrap(), [b.clone(), a.clone()]);
    let [first] = &lease(&queue, &a, 5).await[..] else { panic!() };
    assert_eq!((&first.payload[..], &first.note[..]), (&b"payload"[..], &b"note"[..]));
    assert_eq!(first.leases_before, 0);
    assert!(lease(&queue, &a, 5).await.is_empty());
    assert_eq!(queue.cancel(CX, &a, "f/1:x").await.unwrap(), Cancelled::Held);
    queue.extend(CX, &first.token, LONG).await.unwrap();
    let at = Timestamp::default();
    let retry = Verdict::Retry { at, note: "again".into() };
    queue.settle(CX, &first.token, retry.into()).await.unwrap();
    let stale = queue.settle(CX, &first.token, Verdict::Done.into()).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    let [second] = &lease(&queue, &a, 5).await[..] else { panic!() };
    assert_eq!((&second.note[..], second.leases_before), (&b"again"[..], 1));
    assert!(second.token.fence > first.token.fence);
    let bury = Verdict::Bury { reason: "why".into(), note: "end".into() };
    let follow_up = FollowUp { lane: b.clone(), task: NewTask::new("next", "p2") };
    let settlement = Settlement { verdict: bury, follow_ups: vec![follow_up] };
    queue.settle(CX, &second.token, settlement).await.unwrap();
    let [dead] = &queue.list(&a, Place::Buried, None, 9).await.unwrap()[..] else { panic!() };
    assert_eq!((dead.reason.as_deref(), &dead.payload[..]), (Some("why"), &b"payload"[..]));
    assert_eq!(queue.depth(&a).await.unwrap().buried, 1);
    assert_eq!(queue.depth(&b).await.unwrap().waiting, 2);
    assert_eq!(queue.redrive(CX, &a, None, at, "back".into()).await.unwrap(), 1);
    assert_eq!(queue.cancel(CX, &a, "f/1:x").await.unwrap(), Cancelled::Removed);
    assert_eq!(queue.cancel(CX, &a, "f/1:x").await.unwrap(), Cancelled::Absent);
    assert_eq!(queue.purge(CX, &b, Place::Waiting).await.unwrap(), 2);
    assert!(queue.lanes(None, 9).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_queue() {
    let server = server();
    let (one, other) = (queue(&server).await, queue(&server).await);
    let lane = lane("shared");
    for number in 0..20 {
        let (from, to) = if number % 2 == 0 { (&one, &other) } else { (&other, &one) };
        from.push(CX, &lane, NewTask::new(number.to_string(), number.to_string())).await.unwrap();
        // What one was told is true for the other at once.
        let known = to.push(CX, &lane, NewTask::new(number.to_string(), "else")).await.unwrap();
        assert_eq!(known, Pushed::Known);
        assert_eq!(to.depth(&lane).await.unwrap().waiting, 1);
        let [leased] = &lease(to, &lane, 2).await[..] else { panic!() };
        assert_eq!(leased.payload, number.to_string().as_bytes());
        assert!(lease(from, &lane, 2).await.is_empty());
        // Any process may settle: the token is all it takes.
        from.settle(CX, &leased.token, Verdict::Done.into()).await.unwrap();
        let stale = to.extend(CX, &leased.token, LONG).await.unwrap_err();
        assert_eq!(stale.kind(), ErrorKind::Conflict);
    }
    let waits = tokio::spawn(async move { (other.wait(CX, &self::lane("shared")).await, other) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    one.push(CX, &lane, NewTask::new("late", "")).await.unwrap();
    let (found, _other) = waits.await.unwrap();
    assert!(found.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_there_again_after_both_were_killed() {
    let mut server = server();
    let before = queue(&server).await;
    let lane = lane("l");
    for number in 0..50 {
        let task = NewTask::new(number.to_string(), vec![number; 1000]);
        before.push(CX, &lane, task).await.unwrap();
    }
    let held = lease(&before, &lane, 10).await;
    before.settle(CX, &held[0].token, Verdict::Done.into()).await.unwrap();
    let bury = Verdict::Bury { reason: "r".into(), note: "n".into() };
    before.settle(CX, &held[1].token, bury.into()).await.unwrap();
    drop(before);
    server.kill9().unwrap();
    server.restart().unwrap();
    let after = queue(&server).await;
    let depth = after.depth(&lane).await.unwrap();
    assert_eq!((depth.waiting, depth.leased, depth.buried), (40, 8, 1));
    after.settle(CX, &held[2].token, Verdict::Done.into()).await.unwrap();
    let more = lease(&after, &lane, 10).await;
    assert!(more.iter().all(|more| held.iter().all(|held| held.token.fence < more.token.fence)));
    assert!(more.iter().all(|more| more.payload == vec![more.token.task.parse().unwrap(); 1000]));
}

/// A lease that ends is somebody else's; until then its holder may settle it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_and_a_delay_passes() {
    let server = server();
    let queue = queue(&server).await;
    let (lane, clock) = (lane("l"), SystemClock::new());
    let at = Timestamp::from_unix_millis(clock.wall().as_unix_millis() + 300);
    let pushed = clock.now();
    queue.push(CX, &lane, NewTask::new("a", "").visible_at(at)).await.unwrap();
    assert!(lease(&queue, &lane, 1).await.is_empty());
    let soon = CX.with_deadline(Deadline::at(clock.now() + Duration::from_millis(50)));
    assert!(!queue.wait(soon, &lane).await.unwrap());
    assert!(queue.wait(CX, &lane).await.unwrap());
    assert!(clock.now() - pushed >= Duration::from_millis(299));
    let short = Duration::from_millis(100);
    let first = queue.lease(CX, &lane, 1, short).await.unwrap().remove(0);
    assert!(queue.wait(CX, &lane).await.unwrap());
    let second = queue.lease(CX, &lane, 1, short).await.unwrap().remove(0);
    assert_eq!(second.leases_before, 1);
    queue.extend(CX, &first.token, LONG).await.unwrap_err();
    tokio::time::sleep(short * 2).await;
    queue.settle(CX, &second.token, Verdict::Done.into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_keep_is_refused() {
    let server = server();
    let queue = queue(&server).await;
    assert_eq!(queue.capabilities().durability, Durability::ProcessMemory);
    let bytes = queue.capabilities().payload_bytes_max as usize;
    queue.push(CX, &lane("l"), NewTask::new("most", vec![7; bytes])).await.unwrap();
    let over = queue.push(CX, &lane("l"), NewTask::new("over", vec![7; bytes + 1])).await;
    assert_eq!(over.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let small =
        NatsServer::start(NatsSettings { max_payload: Some(100_000), ..Default::default() });
    let small = small.unwrap();
    let clock = || Arc::new(SystemClock::new());
    let refused = NatsQueue::connect(NatsQueueConfig::new(small.url()), clock()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let without = NatsSettings { without_jetstream: true, ..Default::default() };
    let without = NatsServer::start(without).unwrap();
    let refused = NatsQueue::connect(NatsQueueConfig::new(without.url()), clock()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    let full = NatsQueueConfig {
        log_bytes_max: 100_000,
        stream: "full".into(),
        ..NatsQueueConfig::new(server.url())
    };
    let full = connect(full).await;
    full.push(CX, &lane("l"), NewTask::new("a", vec![7; 90_000])).await.unwrap();
    let refused = full.push(CX, &lane("l"), NewTask::new("b", vec![7; 90_000])).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ResourceExhausted);
    let held = lease(&full, &lane("l"), 1).await;
    full.settle(CX, &held[0].token, Verdict::Done.into()).await.unwrap();
}

/// A server that is away takes nothing, and what was not sent is known not to be done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_and_comes_back() {
    let mut server = server();
    let queue = queue(&server).await;
    let lane = lane("l");
    queue.push(CX, &lane, NewTask::new("a", "")).await.unwrap();
    server.kill9().unwrap();
    let clock = SystemClock::new();
    let soon = || CX.with_deadline(Deadline::at(clock.now() + Duration::from_millis(300)));
    let unknown = queue.push(soon(), &lane, NewTask::new("b", "")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unknown);
    let refused = queue.push(soon(), &lane, NewTask::new("c", "")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceThrottled);
    server.restart().unwrap();
    assert_eq!(queue.push(CX, &lane, NewTask::new("c", "")).await.unwrap(), Pushed::New);
    let listed = queue.list(&lane, Place::Waiting, None, 9).await.unwrap();
    let ids: HashSet<&str> = listed.iter().map(|task| &*task.id).collect();
    assert!(ids.contains("a") && ids.contains("c"), "{ids:?}");
}

/// One process that always has something to write leaves others their turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_process_does_not_shut_others_out() {
    let server = server();
    let (busy, other) = (Arc::new(queue(&server).await), queue(&server).await);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..32)
        .map(|client| {
            let (busy, stop) = (busy.clone(), stop.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let task = NewTask::new(format!("c{client}-{number}"), "x");
                    assert_eq!(busy.push(CX, &lane("busy"), task).await.unwrap(), Pushed::New);
                    number += 1;
                }
                number
            })
        })
        .collect();
    for number in 0..50 {
        // Within its time, or it is an error.
        other.push(CX, &lane("other"), NewTask::new(number.to_string(), "y")).await.unwrap();
        let leased = lease(&other, &lane("other"), 1).await;
        other.settle(CX, &leased[0].token, Verdict::Done.into()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut pushed = 0;
    for client in clients {
        pushed += client.await.unwrap();
    }
    assert_eq!(other.depth(&lane("busy")).await.unwrap().waiting, pushed);
}
