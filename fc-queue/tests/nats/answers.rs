//! Answers of the server that are lost: what was asked is done once, and said so.

use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Cancelled, Lane, LaneDepth, NewTask, Pushed, Verdict};
use fc_core::{Clock, Timestamp};
use fc_core::{Context, Deadline, ErrorKind, Queue, RequestId, SystemClock};
use fc_queue::driver::nats::{NatsQueue, NatsQueueConfig};
use fc_testkit::server::{NatsServer, NatsSettings, Proxy};

const CX: Context = Context::new(RequestId::NIL);
const HOLD: Duration = Duration::from_secs(60);

async fn connect(url: String) -> Arc<NatsQueue> {
    let config = NatsQueueConfig { log_bytes_max: 64 << 20, ..NatsQueueConfig::new(url) };
    Arc::new(NatsQueue::connect(config, Arc::new(SystemClock::new())).await.unwrap())
}

/// Waits until another process sees this in the lane.
async fn until(witness: &NatsQueue, lane: &Lane, holds: impl Fn(LaneDepth) -> bool) {
    for _ in 0..500 {
        if holds(witness.depth(lane).await.unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never was so: {:?}", witness.depth(lane).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_is_done_once_and_said_so() {
    let server = NatsServer::start(NatsSettings::default()).unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let witness = connect(server.url()).await;
    let queue = connect(format!("nats://127.0.0.1:{}", proxy.port())).await;
    let lane = Lane::new("l").unwrap();

    proxy.mute();
    let (asking, to) = (queue.clone(), lane.clone());
    let push = tokio::spawn(async move { asking.push(CX, &to, NewTask::new("a", "x")).await });
    until(&witness, &lane, |depth| depth.waiting == 1).await;
    proxy.cut();
    assert_eq!(push.await.unwrap().unwrap(), Pushed::New);

    proxy.mute();
    let (asking, to) = (queue.clone(), lane.clone());
    let lease = tokio::spawn(async move { asking.lease(CX, &to, 1, HOLD).await });
    until(&witness, &lane, |depth| depth.leased == 1).await;
    proxy.cut();
    let held = lease.await.unwrap().unwrap().remove(0);
    assert_eq!((&held.payload[..], held.leases_before), (&b"x"[..], 0));

    proxy.mute();
    let (asking, token) = (queue.clone(), held.token.clone());
    let retry = Verdict::Retry { at: Timestamp::default(), note: "n".into() };
    let settle = tokio::spawn(async move { asking.settle(CX, &token, retry.into()).await });
    until(&witness, &lane, |depth| depth.waiting == 1).await;
    proxy.cut();
    settle.await.unwrap().unwrap();

    proxy.mute();
    let (asking, to) = (queue.clone(), lane.clone());
    let cancel = tokio::spawn(async move { asking.cancel(CX, &to, "a").await });
    until(&witness, &lane, |depth| depth == LaneDepth::default()).await;
    // Somebody else goes on meanwhile.
    for id in ["b", "c"] {
        witness.push(CX, &lane, NewTask::new(id, "y")).await.unwrap();
    }
    proxy.cut();
    assert_eq!(cancel.await.unwrap().unwrap(), Cancelled::Removed);
    assert_eq!(queue.depth(&lane).await.unwrap().waiting, 2);
}

/// Who does not wait for the answer is told that it is not known, and finds out by asking again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_wait_is_told_that_it_is_not_known() {
    let server = NatsServer::start(NatsSettings::default()).unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let queue = connect(format!("nats://127.0.0.1:{}", proxy.port())).await;
    let (lane, clock) = (Lane::new("l").unwrap(), SystemClock::new());
    proxy.mute();
    // On a busy machine the time may be over before it was sent: that is no matter of an answer.
    let mut error = ErrorKind::ResourceThrottled;
    while error == ErrorKind::ResourceThrottled {
        let soon = CX.with_deadline(Deadline::at(clock.now() + Duration::from_millis(100)));
        error = queue.push(soon, &lane, NewTask::new("a", "x")).await.unwrap_err().kind();
    }
    assert_eq!(error, ErrorKind::Unknown);
    proxy.cut();
    assert_eq!(queue.push(CX, &lane, NewTask::new("a", "x")).await.unwrap(), Pushed::Known);
    assert_eq!(queue.depth(&lane).await.unwrap().waiting, 1);
}
