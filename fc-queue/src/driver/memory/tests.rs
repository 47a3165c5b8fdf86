//! What the conformance suite cannot see: limits of the whole queue, memory, jumps of the wall clock.

use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use fc_core::port::queue::{FollowUp, Verdict};
use fc_core::{Deadline, ErrorKind, Instant, RequestId, SystemClock};
use fc_testkit::SimClock;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn queue() -> (SimClock, MemoryQueue) {
    let clock = SimClock::new(Timestamp::from_unix_millis(1_000_000));
    (clock.clone(), MemoryQueue::new(Arc::new(clock)))
}

fn cx() -> Context {
    Context::new(RequestId::NIL)
}

fn lane() -> Lane {
    Lane::new("lane").unwrap()
}

async fn lease(queue: &MemoryQueue, visibility: Duration) -> Vec<Leased> {
    queue.lease(cx(), &lane(), 10, visibility).await.unwrap()
}

#[tokio::test]
async fn the_number_of_tasks_is_limited() {
    let (_, queue) = queue();
    let queue = queue.tasks_max(2);
    let other = Lane::new("other").unwrap();
    queue.push(cx(), &lane(), NewTask::new("a", "")).await.unwrap();
    queue.push(cx(), &other, NewTask::new("b", "")).await.unwrap();
    let full = queue.push(cx(), &lane(), NewTask::new("c", "")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(full.to_string(), "tasks: 3 is over the queue's limit of 2");
    let known = queue.push(cx(), &lane(), NewTask::new("a", "")).await.unwrap();
    assert_eq!(known, Pushed::Known);
    queue.cancel(cx(), &other, "b").await.unwrap();
    queue.push(cx(), &lane(), NewTask::new("c", "")).await.unwrap();
}

#[tokio::test]
async fn the_bytes_of_all_tasks_are_limited_and_given_back() {
    let (_, queue) = queue();
    let queue = queue.bytes_max(11);
    let task = |id: &str| NewTask { note: "note".into(), ..NewTask::new(id, "load") };
    queue.push(cx(), &lane(), task("a")).await.unwrap();
    let full = queue.push(cx(), &lane(), task("b")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(full.to_string(), "bytes of all tasks: 18 is over the queue's limit of 11");
    // What is there already may be tried again and set aside whatever its note.
    let held = lease(&queue, SECOND).await;
    let retry = Verdict::Retry { at: Timestamp::default(), note: "a longer note".into() };
    queue.settle(cx(), &held[0].token, retry.into()).await.unwrap();
    assert_eq!(queue.state.lock().bytes, 18);
    let held = lease(&queue, SECOND).await;
    let bury = Verdict::Bury { reason: "why".into(), note: Bytes::new() };
    queue.settle(cx(), &held[0].token, bury.into()).await.unwrap();
    assert_eq!(queue.state.lock().bytes, 8);
    queue.redrive(cx(), &lane(), None, Timestamp::default(), "n".into()).await.unwrap();
    assert_eq!(queue.state.lock().bytes, 6);
    assert_eq!(queue.purge(cx(), &lane(), Place::Waiting).await.unwrap(), 1);
    assert_eq!(queue.state.lock().bytes, 0);
    queue.push(cx(), &lane(), task("b")).await.unwrap();
}

#[tokio::test]
async fn a_settlement_whose_follow_ups_have_no_room_changes_nothing() {
    let (_, queue) = queue();
    let queue = queue.tasks_max(1);
    queue.push(cx(), &lane(), NewTask::new("a", "")).await.unwrap();
    let held = lease(&queue, SECOND).await;
    let follow_up = |id: &str| FollowUp { lane: lane(), task: NewTask::new(id, "") };
    let settlement = |ids: &[&str]| Settlement {
        verdict: Verdict::Done,
        follow_ups: ids.iter().map(|id| follow_up(id)).collect(),
    };
    let full = queue.settle(cx(), &held[0].token, settlement(&["b", "c"])).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
    let depth = queue.depth(&lane()).await.unwrap();
    assert_eq!((depth.waiting, depth.leased), (0, 1));
    // The task that is over makes room for one; a second of the same id is none.
    queue.settle(cx(), &held[0].token, settlement(&["b", "b"])).await.unwrap();
    let held = lease(&queue, SECOND).await;
    assert_eq!((held.len(), &*held[0].token.task), (1, "b"));
}

#[tokio::test]
async fn a_payload_does_not_hold_on_to_a_larger_buffer() {
    let (_, queue) = queue();
    let large = Bytes::from(vec![1; 1 << 20]);
    queue.push(cx(), &lane(), NewTask::new("a", large.slice(7..9))).await.unwrap();
    assert!(large.is_unique());
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_makes_nothing_early_or_late() {
    let (clock, queue) = queue();
    let at = Timestamp::from_unix_millis(clock.wall().as_unix_millis() + 1_000);
    queue.push(cx(), &lane(), NewTask::new("a", "").visible_at(at)).await.unwrap();
    clock.jump_wall(3_600_000);
    assert_eq!(lease(&queue, SECOND).await, []);
    clock.jump_wall(-7_200_000);
    clock.advance(SECOND - Duration::from_nanos(1));
    assert_eq!(lease(&queue, SECOND).await, []);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(lease(&queue, SECOND).await.len(), 1);
    // Nor does it end a lease, or keep it.
    clock.jump_wall(3_600_000);
    assert_eq!(lease(&queue, SECOND).await, []);
    clock.jump_wall(-7_200_000);
    clock.advance(SECOND);
    assert_eq!(lease(&queue, SECOND).await.len(), 1);
}

#[tokio::test]
async fn who_waits_is_woken_at_the_time_and_then_costs_nothing() {
    let (clock, queue) = queue();
    let at = Timestamp::from_unix_millis(clock.wall().as_unix_millis() + 1_000);
    let lane = lane();
    let soft = Deadline::at(Instant::ORIGIN + 10 * SECOND);
    let mut task = TaskContext::from_waker(Waker::noop());
    {
        let mut wait = pin!(queue.wait(cx().with_deadline(soft), &lane));
        assert!(wait.as_mut().poll(&mut task).is_pending());
        assert_eq!(queue.state.lock().waiting.len(), 1);
        assert_eq!(clock.next_timer(), Some(soft.soft));
        queue.push(cx(), &lane, NewTask::new("a", "").visible_at(at)).await.unwrap();
        assert!(wait.as_mut().poll(&mut task).is_pending());
        assert_eq!(clock.next_timer(), Some(Instant::ORIGIN + SECOND));
        clock.advance(SECOND);
        assert!(matches!(wait.as_mut().poll(&mut task), Poll::Ready(Ok(true))));
    }
    // Leased for two seconds, then extended to end at once: who waits learns of it.
    let held = lease(&queue, 2 * SECOND).await;
    {
        let mut wait = pin!(queue.wait(cx().with_deadline(soft), &lane));
        assert!(wait.as_mut().poll(&mut task).is_pending());
        queue.extend(cx(), &held[0].token, Duration::ZERO).await.unwrap();
        assert!(matches!(wait.as_mut().poll(&mut task), Poll::Ready(Ok(true))));
    }
    {
        let held = lease(&queue, 20 * SECOND).await;
        assert_eq!(held.len(), 1);
        let mut wait = pin!(queue.wait(cx().with_deadline(soft), &lane));
        assert!(wait.as_mut().poll(&mut task).is_pending());
        clock.advance_to(soft.soft);
        assert!(matches!(wait.as_mut().poll(&mut task), Poll::Ready(Ok(false))));
        let mut dropped = pin!(queue.wait(cx(), &lane));
        assert!(dropped.as_mut().poll(&mut task).is_pending());
    }
    assert_eq!(queue.state.lock().waiting.len(), 0);
    assert_eq!(clock.pending_timers(), 0);
}

/// No wake-up is lost between threads: a wait that missed one would last until its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost() {
    const TASKS: usize = 2_000;
    let clock = Arc::new(SystemClock::new());
    let queue = MemoryQueue::new(clock.clone());
    let end = Deadline::at(clock.now() + 60 * SECOND);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while queue.wait(cx().with_deadline(end), &lane()).await.unwrap() {
                    for held in queue.lease(cx(), &lane(), 1, 60 * SECOND).await.unwrap() {
                        if &*held.payload == b"end" {
                            // For the next one who waits.
                            let again =
                                Verdict::Retry { at: Timestamp::default(), note: "".into() };
                            queue.settle(cx(), &held.token, again.into()).await.unwrap();
                            return done;
                        }
                        queue.settle(cx(), &held.token, Verdict::Done.into()).await.unwrap();
                        done += 1;
                    }
                }
                panic!("a wait has lasted until its deadline");
            })
        })
        .collect();
    for number in 0..TASKS {
        queue.push(cx(), &lane(), NewTask::new(number.to_string(), "")).await.unwrap();
        // Often enough that all others are waiting.
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    queue.push(cx(), &lane(), NewTask::new("end", "end")).await.unwrap();
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert_eq!(done, TASKS);
    assert_eq!(queue.state.lock().waiting.len(), 0);
}
