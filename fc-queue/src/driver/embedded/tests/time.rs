//! Delays, clocks that jump, and whoever waits.

use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{NewTask, Queue, Verdict};
use fc_core::{Clock, Context, Deadline, Instant, Timestamp};
use fc_testkit::SimClock;

use super::disk::Disk;
use super::{BEGIN, CX, clock, lane, open_with, run};

const LONG: Duration = Duration::from_secs(3600);

fn later(by: Duration) -> Timestamp {
    Timestamp::from_unix_millis(BEGIN.as_unix_millis() + by.as_millis() as u64)
}

#[test]
fn a_clock_that_jumps_makes_no_task_early_and_none_late() {
    run(async {
        for jump_ms in [-3_600_000_i64, 3_600_000] {
            let (disk, clock) = (Disk::default(), clock());
            let queue = open_with(&disk, &clock).unwrap();
            let at = later(Duration::from_secs(100));
            queue.push(CX, &lane(), NewTask::new("a", "1").visible_at(at)).await.unwrap();
            clock.advance(Duration::from_secs(50));
            clock.jump_wall(jump_ms);
            assert!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().is_empty());
            clock.advance(Duration::from_millis(49_999));
            assert!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().is_empty());
            clock.advance(Duration::from_millis(1));
            assert_eq!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().len(), 1);
        }
    });
}

#[test]
fn a_clock_that_is_put_back_between_two_lives_does_not_stall_the_queue() {
    run(async {
        let (disk, first) = (Disk::default(), clock());
        let queue = open_with(&disk, &first).unwrap();
        first.advance(Duration::from_secs(60));
        let at = later(Duration::from_secs(100));
        queue.push(CX, &lane(), NewTask::new("a", "1").visible_at(at)).await.unwrap();
        drop(queue);
        // The machine's clock is an hour back: the queue goes on at its own time.
        let second = SimClock::new(Timestamp::from_unix_millis(BEGIN.as_unix_millis() - 3_600_000));
        let queue = open_with(&disk, &second).unwrap();
        second.advance(Duration::from_millis(39_999));
        assert!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().is_empty());
        second.advance(Duration::from_millis(1));
        assert_eq!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().len(), 1);
    });
}

#[test]
fn whoever_waits_is_woken_by_a_push_a_delay_a_retry_a_redrive_and_an_end_of_a_lease() {
    run(async {
        let (disk, clock) = (Disk::default(), clock());
        let queue = Arc::new(open_with(&disk, &clock).unwrap());
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let wait = || {
                    let queue = queue.clone();
                    tokio::task::spawn_local(async move { queue.wait(CX, &lane()).await.unwrap() })
                };
                let woken = |waiting: tokio::task::JoinHandle<bool>, clock: SimClock| async move {
                    for _ in 0..1000 {
                        if waiting.is_finished() {
                            return waiting.await.unwrap();
                        }
                        if let Some(at) = clock.next_timer() {
                            clock.advance_to(at);
                        }
                        tokio::task::yield_now().await;
                    }
                    panic!("nobody was woken");
                };
                let waiting = wait();
                tokio::task::yield_now().await;
                queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap();
                assert!(woken(waiting, clock.clone()).await);
                let leased = queue.lease(CX, &lane(), 1, LONG).await.unwrap().remove(0);

                let (waiting, before) = (wait(), clock.now());
                tokio::task::yield_now().await;
                assert!(woken(waiting, clock.clone()).await, "the lease ends");
                assert_eq!(clock.now() - before, LONG);
                let leased = match queue.lease(CX, &lane(), 1, LONG).await.unwrap().pop() {
                    Some(leased) => leased,
                    None => leased,
                };

                let waiting = wait();
                tokio::task::yield_now().await;
                let bury = Verdict::Bury { reason: "r".into(), note: "n".into() };
                queue.settle(CX, &leased.token, bury.into()).await.unwrap();
                tokio::task::yield_now().await;
                assert!(!waiting.is_finished());
                queue.redrive(CX, &lane(), None, BEGIN, "".into()).await.unwrap();
                assert!(woken(waiting, clock.clone()).await);

                let leased = queue.lease(CX, &lane(), 1, LONG).await.unwrap().remove(0);
                let waiting = wait();
                tokio::task::yield_now().await;
                let at = later(LONG * 10);
                let retry = Verdict::Retry { at, note: "n".into() };
                queue.settle(CX, &leased.token, retry.into()).await.unwrap();
                assert!(woken(waiting, clock.clone()).await);
                assert_eq!(clock.wall(), at);

                let leased = queue.lease(CX, &lane(), 1, LONG * 9).await.unwrap().remove(0);
                let soon = Deadline::at(clock.now() + Duration::from_secs(5));
                let cx = Context::new(CX.request_id).with_deadline(soon);
                let waiting = {
                    let queue = queue.clone();
                    tokio::task::spawn_local(async move { queue.wait(cx, &lane()).await.unwrap() })
                };
                tokio::task::yield_now().await;
                assert!(!woken(waiting, clock.clone()).await, "the deadline comes first");
                queue.settle(CX, &leased.token, Verdict::Done.into()).await.unwrap();
                let past = Deadline::at(Instant::ORIGIN);
                let cx = Context::new(CX.request_id).with_deadline(past);
                assert!(!queue.wait(cx, &lane()).await.unwrap());
            })
            .await;
    });
}
