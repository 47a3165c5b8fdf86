//! What is durable when, and who sees it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, FollowUp, NewTask, Place, Pushed, Queue, Settlement, Verdict,
};
use fc_core::{Context, Deadline, ErrorKind, Instant};

use super::disk::{Call, Disk, Fault};
use super::{CX, clock, lane, open, open_with};

const LONG: Duration = Duration::from_secs(60);

async fn yield_often() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(future)
}

#[test]
fn nobody_sees_a_task_before_it_is_durable_and_a_second_push_of_it_waits_as_well() {
    block_on(async {
        let disk = Disk::default();
        let queue = Arc::new(open(&disk));
        disk.hold(true);
        let push = |queue: Arc<super::EmbeddedQueue>| async move {
            queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap()
        };
        let first = tokio::spawn(push(queue.clone()));
        disk.await_held(1);
        let second = tokio::spawn(push(queue.clone()));
        yield_often().await;
        assert!(!first.is_finished() && !second.is_finished());
        assert_eq!(queue.depth(&lane()).await.unwrap().waiting, 0);
        assert!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().is_empty());
        disk.hold(false);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Pushed::New, Pushed::Known));
        assert_eq!(queue.lease(CX, &lane(), 2, LONG).await.unwrap().len(), 1);
    });
}

#[test]
fn a_task_whose_settlement_is_being_written_is_leased_by_nobody() {
    block_on(async {
        let (disk, clock) = (Disk::default(), clock());
        let queue = Arc::new(open_with(&disk, &clock).unwrap());
        queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap();
        let leased = queue.lease(CX, &lane(), 1, Duration::from_secs(1)).await.unwrap().remove(0);
        disk.hold(true);
        let settle = {
            let (queue, token) = (queue.clone(), leased.token.clone());
            tokio::spawn(async move { queue.settle(CX, &token, Verdict::Done.into()).await })
        };
        disk.await_held(1);
        clock.advance(Duration::from_secs(2));
        assert!(queue.lease(CX, &lane(), 1, LONG).await.unwrap().is_empty());
        disk.fail(Some(Fault {
            call: Some(Call::Sync),
            from: 1,
            count: 1,
            error: std::io::ErrorKind::Other,
        }));
        disk.hold(false);
        assert_eq!(settle.await.unwrap().unwrap_err().kind(), ErrorKind::Unknown);
        // It could not be settled: it is there again, and its old holder may still settle it.
        queue.settle(CX, &leased.token, Verdict::Done.into()).await.unwrap();
        let again = queue.settle(CX, &leased.token, Verdict::Done.into()).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    });
}

#[test]
fn many_clients_share_a_sync_and_one_pays_one() {
    block_on(async {
        let disk = Disk::default();
        let queue = Arc::new(open(&disk));
        let before = disk.syncs();
        for index in 0..10 {
            queue.push(CX, &lane(), NewTask::new(format!("one-{index}"), "1")).await.unwrap();
        }
        assert_eq!(disk.syncs() - before, 10);
        disk.hold(true);
        let push = |index: u32| {
            let queue = queue.clone();
            let task = NewTask::new(format!("many-{index}"), "1");
            tokio::spawn(async move { queue.push(CX, &lane(), task).await.unwrap() })
        };
        let first = push(0);
        disk.await_held(1);
        let before = disk.syncs();
        let others: Vec<_> = (1..=64).map(push).collect();
        yield_often().await;
        disk.hold(false);
        first.await.unwrap();
        for other in others {
            other.await.unwrap();
        }
        assert!(disk.syncs() - before <= 4, "{} syncs", disk.syncs() - before);
    });
}

#[test]
fn counts_of_leases_and_fences_outlive_the_process() {
    block_on(async {
        let disk = Disk::default();
        let queue = open(&disk);
        queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap();
        let mut fences = Vec::new();
        let mut queue = queue;
        for leases_before in 0..4 {
            let leased = queue.lease(CX, &lane(), 1, LONG).await.unwrap().remove(0);
            assert_eq!(leased.leases_before, leases_before);
            fences.push(leased.token.fence);
            drop(queue);
            queue = open(&disk);
            let stale = queue.settle(CX, &leased.token, Verdict::Done.into()).await;
            assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
        }
        assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    });
}

#[test]
fn a_life_without_a_write_keeps_the_counts_of_the_one_before() {
    block_on(async {
        let (disk, clock) = (Disk::default(), clock());
        let queue = open_with(&disk, &clock).unwrap();
        for id in ["a", "b"] {
            queue.push(CX, &lane(), NewTask::new(id, "1")).await.unwrap();
        }
        drop(queue);
        // (how many are leased in this life, how often each was before)
        for (max, before) in
            [(2, vec![0, 0]), (1, vec![1]), (2, vec![2, 1]), (0, vec![]), (2, vec![3, 2])]
        {
            let queue = open_with(&disk, &clock).unwrap();
            let leased = queue.lease(CX, &lane(), max, LONG).await.unwrap();
            let counts: Vec<_> = leased.iter().map(|leased| leased.leases_before).collect();
            assert_eq!(counts, before);
        }
    });
}

#[test]
fn a_settlement_and_what_follows_come_together_across_a_restart() {
    block_on(async {
        let disk = Disk::default();
        let queue = open(&disk);
        for id in ["a", "b", "c"] {
            let task = NewTask { note: "n".into(), ..NewTask::new(id, id) };
            queue.push(CX, &lane(), task).await.unwrap();
        }
        let leased = queue.lease(CX, &lane(), 3, LONG).await.unwrap();
        let verdicts = [
            Verdict::Done,
            Verdict::Retry { at: super::BEGIN, note: "again".into() },
            Verdict::Bury { reason: "why".into(), note: "dead".into() },
        ];
        for (leased, verdict) in leased.iter().zip(verdicts) {
            let id = format!("after-{}", leased.token.task);
            let follow_ups = vec![FollowUp { lane: lane(), task: NewTask::new(id, "f") }];
            let settlement = Settlement { verdict, follow_ups };
            queue.settle(CX, &leased.token, settlement).await.unwrap();
        }
        drop(queue);
        let queue = open(&disk);
        let waiting = queue.list(&lane(), Place::Waiting, None, 10).await.unwrap();
        let ids: Vec<_> = waiting.iter().map(|view| (&*view.id, view.leases)).collect();
        assert_eq!(ids, [("b", 1), ("after-a", 0), ("after-b", 0), ("after-c", 0)]);
        assert_eq!(waiting[0].note, "again");
        let buried = queue.list(&lane(), Place::Buried, None, 10).await.unwrap();
        assert_eq!((&*buried[0].id, buried[0].reason.as_deref()), ("c", Some("why")));
        let redriven = queue.redrive(CX, &lane(), None, super::BEGIN, "new".into()).await.unwrap();
        assert_eq!(redriven, 1);
        assert_eq!(queue.cancel(CX, &lane(), "b").await.unwrap(), Cancelled::Removed);
        drop(queue);
        let queue = open(&disk);
        let waiting = queue.list(&lane(), Place::Waiting, None, 10).await.unwrap();
        let ids: Vec<_> = waiting.iter().map(|view| (&*view.id, view.note.clone())).collect();
        let empty = Bytes::new;
        assert_eq!(
            ids,
            [("c", "new".into()), ("after-a", empty()), ("after-b", empty()), ("after-c", empty())]
        );
        assert_eq!(queue.purge(CX, &lane(), Place::Waiting).await.unwrap(), 4);
        drop(queue);
        assert_eq!(open(&disk).lanes(None, 10).await.unwrap(), []);
    });
}

#[test]
fn a_purge_of_many_is_written_in_parts() {
    block_on(async {
        let disk = Disk::default();
        let queue = Arc::new(open(&disk));
        let pushes = (0..20_000).map(|index| {
            let queue = queue.clone();
            tokio::spawn(async move {
                queue.push(CX, &lane(), NewTask::new(format!("{index}"), "")).await.unwrap();
            })
        });
        for push in pushes.collect::<Vec<_>>() {
            push.await.unwrap();
        }
        let held = queue.lease(CX, &lane(), 5, LONG).await.unwrap();
        assert_eq!(queue.purge(CX, &lane(), Place::Waiting).await.unwrap(), 19_995);
        assert_eq!(queue.depth(&lane()).await.unwrap().leased, 5);
        for held in held {
            queue.settle(CX, &held.token, Verdict::Done.into()).await.unwrap();
        }
        assert_eq!(queue.lanes(None, 10).await.unwrap(), []);
    });
}

#[test]
fn a_deadline_before_the_sync_leaves_the_outcome_unknown() {
    block_on(async {
        let (disk, clock) = (Disk::default(), clock());
        let queue = Arc::new(open_with(&disk, &clock).unwrap());
        disk.hold(true);
        let cx = Context::new(CX.request_id)
            .with_deadline(Deadline::at(Instant::ORIGIN + Duration::from_secs(1)));
        let push = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.push(cx, &lane(), NewTask::new("a", "1")).await })
        };
        disk.await_held(1);
        while clock.pending_timers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
        assert_eq!(push.await.unwrap().unwrap_err().kind(), ErrorKind::Unknown);
        disk.hold(false);
        let again = queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap();
        assert_eq!(again, Pushed::Known);
    });
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let disk = Disk::default();
    let queue = open(&disk);
    assert_eq!(open_with(&disk, &clock()).unwrap_err().kind(), ErrorKind::Conflict);
    drop(queue);
    open(&disk);
}

#[test]
fn leases_that_nobody_settles_do_not_fill_the_disk() {
    block_on(async {
        let (disk, clock) = (Disk::default(), clock());
        let queue = open_with(&disk, &clock).unwrap();
        queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap();
        let mut most = 0;
        for leases_before in 0..30_000 {
            let leased = queue.lease(CX, &lane(), 1, Duration::from_millis(1)).await.unwrap();
            assert_eq!(leased[0].leases_before, leases_before);
            clock.advance(Duration::from_millis(1));
            if leases_before % 100 == 0 {
                most = most.max(disk.used());
                tokio::task::yield_now().await;
            }
        }
        drop(queue);
        let queue = open(&disk);
        let leased = queue.lease(CX, &lane(), 1, LONG).await.unwrap();
        assert_eq!(leased[0].leases_before, 30_000);
        assert!(most < 40 * super::config().segment_bytes, "{most} bytes");
    });
}
