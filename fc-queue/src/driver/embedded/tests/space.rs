//! A disk that is full.

use std::time::Duration;

use fc_core::ErrorKind;
use fc_core::port::queue::{NewTask, Queue, Verdict};

use super::disk::Disk;
use super::{CX, clock, config, lane, open, open_with, run};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_full_disk_refuses_pushes_and_nothing_else_and_room_is_enough_to_go_on() {
    run(async {
        let (disk, clock) = (Disk::default(), clock());
        let queue = open_with(&disk, &clock).unwrap();
        disk.room(Some(5 * config().segment_bytes / 2));
        let mut pushed = 0;
        let refused = loop {
            let task = NewTask::new(format!("{pushed}"), vec![1; 1000]);
            match queue.push(CX, &lane(), task).await {
                Ok(_) => pushed += 1,
                Err(error) => break error,
            }
            clock.advance(Duration::from_millis(100));
            assert!(pushed < 1000, "the disk is never full");
        };
        assert_eq!(refused.kind(), ErrorKind::ResourceThrottled);
        let text = refused.to_string();
        assert!(text.contains("the disk is full") && text.contains("/queue"), "{text}");
        // Whoever is refused was not queued.
        let depth = queue.depth(&lane()).await.unwrap();
        assert_eq!(depth.waiting, pushed);
        // What is there is leased, settled, and gives room back.
        for _ in 0..pushed / 2 {
            let leased = queue.lease(CX, &lane(), 1, LONG).await.unwrap().remove(0);
            assert_eq!(leased.payload.len(), 1000);
            queue.settle(CX, &leased.token, Verdict::Done.into()).await.unwrap();
        }
        assert_eq!(queue.depth(&lane()).await.unwrap().waiting, pushed - pushed / 2);
        disk.room(None);
        clock.advance(Duration::from_secs(1));
        for index in 0..200 {
            let task = NewTask::new(format!("more-{index}"), vec![1; 1000]);
            // The first may come before another thread has made the next segment.
            let mut tries = 0;
            while let Err(error) = queue.push(CX, &lane(), task.clone()).await {
                tries += 1;
                assert!(tries < 1_000_000, "not recovered: {error}");
                clock.advance(Duration::from_millis(300));
                std::thread::yield_now();
            }
        }
        drop(queue);
        let depth = open(&disk).depth(&lane()).await.unwrap();
        assert_eq!(depth.waiting, pushed - pushed / 2 + 200);
    });
}

#[test]
fn a_queue_does_not_open_on_a_full_disk_and_loses_nothing() {
    run(async {
        let disk = Disk::default();
        let queue = open(&disk);
        queue.push(CX, &lane(), NewTask::new("a", "1")).await.unwrap();
        drop(queue);
        disk.room(Some(disk.used()));
        let error = open_with(&disk, &clock()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceThrottled);
        assert!(error.to_string().contains("the disk is full"), "{error}");
        disk.room(None);
        assert_eq!(open(&disk).depth(&lane()).await.unwrap().waiting, 1);
    });
}
