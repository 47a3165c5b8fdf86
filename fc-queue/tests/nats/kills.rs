//! The server is killed under load and started again: nothing that was acknowledged is lost, nothing
//! is made up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask, Place, Verdict};
use fc_core::{Context, Queue, RequestId, SystemClock};
use fc_queue::driver::nats::{NatsQueue, NatsQueueConfig};
use fc_testkit::server::{NatsServer, NatsSettings};
use parking_lot::Mutex;

const CX: Context = Context::new(RequestId::NIL);
const KILLS: u32 = 20;
const CLIENTS: u64 = 8;

/// What clients and workers saw.
#[derive(Default)]
struct Seen {
    submitted: HashSet<String>,
    acknowledged: HashSet<String>,
    /// Leases of each task, by fence.
    attempts: HashMap<String, HashSet<u64>>,
    /// The fence that settled it.
    settled: HashMap<String, u64>,
    /// Settlements whose outcome is not known.
    open: HashSet<String>,
    wrong: Vec<String>,
}

fn payload(id: &str) -> Vec<u8> {
    id.bytes().cycle().take(500).collect()
}

async fn push(queue: &NatsQueue, lane: &Lane, id: String, seen: &Mutex<Seen>) {
    seen.lock().submitted.insert(id.clone());
    let task = NewTask::new(id.clone(), payload(&id));
    if queue.push(CX, lane, task).await.is_ok() {
        seen.lock().acknowledged.insert(id);
    }
}

async fn work(queue: &NatsQueue, lane: &Lane, seen: &Mutex<Seen>) -> usize {
    let Ok(leased) = queue.lease(CX, lane, 4, Duration::from_secs(2)).await else {
        return 0;
    };
    let count = leased.len();
    for leased in leased {
        let id = leased.token.task.clone();
        {
            let mut seen = seen.lock();
            if leased.payload != payload(&id) {
                seen.wrong.push(format!("the payload of {id}"));
            }
            if !seen.submitted.contains(&id) {
                seen.wrong.push(format!("{id} was never pushed"));
            }
            // The answer of an earlier lease may come later.
            if seen.settled.get(&id).is_some_and(|settled| leased.token.fence > *settled) {
                seen.wrong.push(format!("{id} was leased after it was settled"));
            }
            if !seen.attempts.entry(id.clone()).or_default().insert(leased.token.fence) {
                seen.wrong.push(format!("{id} was leased twice with one fence"));
            }
        }
        let settled = queue.settle(CX, &leased.token, Verdict::Done.into()).await;
        let mut seen = seen.lock();
        match settled {
            Ok(()) => _ = seen.settled.insert(id, leased.token.fence),
            Err(error) if error.kind() == fc_core::ErrorKind::Unknown => _ = seen.open.insert(id),
            Err(_) => {}
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_made_up_when_the_server_is_killed() {
    let mut server =
        NatsServer::start(NatsSettings { synced: true, ..Default::default() }).unwrap();
    let config = NatsQueueConfig {
        synced: server.is_synced(),
        log_bytes_max: 256 << 20,
        answer_within: Duration::from_secs(3),
        ..NatsQueueConfig::new(server.url())
    };
    let connect = || NatsQueue::connect(config.clone(), Arc::new(SystemClock::new()));
    // Two processes: one that pushes and works, one that works.
    let queues = [Arc::new(connect().await.unwrap()), Arc::new(connect().await.unwrap())];
    let (seen, stop, pushes) = (
        Arc::new(Mutex::new(Seen::default())),
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let lane = Lane::new("killed").unwrap();
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (queue, lane) = (queues[(client % 2) as usize].clone(), lane.clone());
        let (seen, stop, pushes) = (seen.clone(), stop.clone(), pushes.clone());
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if client < CLIENTS / 2 {
                    let number = pushes.fetch_add(1, Ordering::Relaxed);
                    push(&queue, &lane, format!("t{number}"), &seen).await;
                } else if work(&queue, &lane, &seen).await == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }));
    }
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(150 + u64::from(kill * 37 % 200))).await;
        server.kill9().unwrap();
        let before = seen.lock().acknowledged.len();
        server.restart().unwrap();
        // Each kill meets a queue that works.
        let mut waited = 0;
        while seen.lock().acknowledged.len() <= before {
            tokio::time::sleep(Duration::from_millis(20)).await;
            waited += 1;
            assert!(waited < 500, "no push is acknowledged after kill {kill}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // What is left is drained by a process that was not there.
    drop(queues);
    let late = connect().await.unwrap();
    let mut idle = 0;
    while idle < 50 {
        if work(&late, &lane, &seen).await > 0 {
            continue;
        }
        let depth = late.depth(&lane).await.unwrap();
        if (depth.waiting, depth.leased) == (0, 0) {
            break;
        }
        // A lease whose answer was lost ends.
        tokio::time::sleep(Duration::from_millis(100)).await;
        idle += 1;
    }
    assert!(late.list(&lane, Place::Waiting, None, 9).await.unwrap().is_empty());
    let seen = seen.lock();
    let lost: Vec<_> = seen
        .acknowledged
        .iter()
        .filter(|id| !seen.settled.contains_key(*id) && !seen.open.contains(*id))
        .collect();
    let attempts: usize = seen.attempts.values().map(HashSet::len).sum();
    println!(
        "{} submitted, {} acknowledged, {} settled, {} settlements unknown, {attempts} attempts",
        seen.submitted.len(),
        seen.acknowledged.len(),
        seen.settled.len(),
        seen.open.len(),
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    assert!(seen.acknowledged.len() * 2 > seen.submitted.len());
}
