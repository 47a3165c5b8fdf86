//! Room that is given back.

use std::time::Duration;

use fc_core::port::queue::{NewTask, Place, Queue, Verdict};

use super::disk::Disk;
use super::model::Model;
use super::{BEGIN, CX, Random, clock, config, lane, open, open_with, run};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn what_is_over_needs_no_room_and_what_stays_is_carried_along() {
    run(async {
        let disk = Disk::default();
        let queue = open(&disk);
        let payload = vec![7; 2000];
        // Some stay for ever: a delayed one, a dead letter, one that was tried again.
        let later = NewTask::new("later", payload.clone()).visible_at(BEGIN_AND_A_DAY);
        queue.push(CX, &lane(), later).await.unwrap();
        for id in ["dead", "again"] {
            queue.push(CX, &lane(), NewTask::new(id, payload.clone())).await.unwrap();
        }
        let leased = queue.lease(CX, &lane(), 2, LONG).await.unwrap();
        let bury = Verdict::Bury { reason: "why".into(), note: "dead".into() };
        queue.settle(CX, &leased[0].token, bury.into()).await.unwrap();
        let again = Verdict::Retry { at: BEGIN_AND_A_DAY, note: "note".into() };
        queue.settle(CX, &leased[1].token, again.into()).await.unwrap();
        let mut most = 0;
        for index in 0..2_000 {
            let id = format!("task-{index}");
            queue.push(CX, &lane(), NewTask::new(id, payload.clone())).await.unwrap();
            let leased = queue.lease(CX, &lane(), 1, LONG).await.unwrap().remove(0);
            queue.settle(CX, &leased.token, Verdict::Done.into()).await.unwrap();
            most = most.max(disk.used());
        }
        // 4 MB went through: four segments and twice what lives, the spare one, the leases.
        let bound = 8 * config().segment_bytes;
        assert!(most < bound, "{most} bytes, over {bound}");
        for queue in [queue, open_after(&disk)] {
            let ids = |place| {
                let queue = &queue;
                async move {
                    let listed = queue.list(&lane(), place, None, 10).await.unwrap();
                    listed
                        .into_iter()
                        .map(|view| {
                            assert_eq!(view.payload, vec![7; 2000]);
                            (view.id, view.leases, view.note)
                        })
                        .collect::<Vec<_>>()
                }
            };
            let waiting = [("later".into(), 0, "".into()), ("again".into(), 1, "note".into())];
            assert_eq!(ids(Place::Waiting).await, waiting);
            assert_eq!(ids(Place::Buried).await, [("dead".into(), 1, "dead".into())]);
        }
    });
}

const BEGIN_AND_A_DAY: fc_core::Timestamp =
    fc_core::Timestamp::from_unix_millis(BEGIN.as_unix_millis() + 86_400_000);

/// A copy of the disk, so that the first queue need not be closed.
fn open_after(disk: &Disk) -> super::EmbeddedQueue {
    open(&disk.copy())
}

#[test]
fn restarts_alone_make_no_files() {
    run(async {
        let (disk, mut random, mut model) = (Disk::default(), Random(5), Model::default());
        let clock = clock();
        for _ in 0..200 {
            let queue = open_with(&disk, &clock).unwrap();
            model.judge(&queue).await;
            model.step(&queue, &mut random).await;
            model.step(&queue, &mut random).await;
        }
        drop(open_with(&disk, &clock).unwrap());
        let files = disk.files().len();
        assert!(files < 60, "{files} files after 200 restarts");
        let restart_ten_times = || {
            for _ in 0..10 {
                drop(open_with(&disk, &clock).unwrap());
            }
        };
        // Compaction may be half way through a step when its queue is closed: let it end.
        restart_ten_times();
        let before = disk.files().len();
        restart_ten_times();
        assert!(disk.files().len() <= before, "restarts without a write leave nothing");
    });
}
