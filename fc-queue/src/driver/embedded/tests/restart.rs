//! A restart that is cut short, as often as one likes: what was acknowledged is there (I30).

use std::io::ErrorKind;
use std::time::Duration;

use fc_core::port::queue::Queue;

use super::disk::{Call, Disk, Fault};
use super::model::{Model, task};
use super::{CX, Random, lane, open_with, run};

#[test]
fn a_crash_in_the_middle_of_a_recovery_leaves_all_that_was_acknowledged() {
    let (mut read, mut wrote) = (0, 0);
    for seed in 0..12 {
        let (reads, others) = run(cut_short(seed));
        (read, wrote) = (read + reads, wrote + others);
    }
    // As many as a recovery has calls: several segments are read, and the last is written.
    assert!(read > 12 * 6 && wrote > 12 * 8, "only {read} and {wrote} recoveries were cut short");
}

/// One history, whose recovery dies at its first call, then at its second, and so on until one comes
/// through. Gives how many died at a read, and at other calls.
async fn cut_short(seed: u64) -> (u64, u64) {
    let (disk, mut random, mut model) = (Disk::default(), Random(seed), Model::default());
    let clock = super::clock();
    let mut fence = 0;
    for life in 0..3 {
        let queue = open_with(&disk, &clock).unwrap();
        for step in 0..120 {
            if life == 2 && step == 100 {
                // The last life ends in the middle of a frame.
                disk.fail(Some(dies(None, 1 + random.below(40))));
            }
            model.step(&queue, &mut random).await;
        }
        if life < 2 {
            fence = fence.max(fence_of_one(&queue, &mut model).await);
        }
        drop(queue);
        disk.fail(None);
    }
    let mut died = [0, 0];
    for (died, call) in died.iter_mut().zip([Some(Call::Read), None]) {
        for from in 1.. {
            disk.fail(Some(dies(call, from)));
            let opened = open_with(&disk, &clock);
            let is_open = opened.is_ok();
            drop(opened);
            disk.fail(None);
            if random.below(4) == 0 {
                disk.lose_power(&mut random);
            }
            if is_open {
                break;
            }
            *died += 1;
        }
        let queue = open_with(&disk, &clock).unwrap();
        model.judge(&queue).await;
        let later = fence_of_one(&queue, &mut model).await;
        assert!(later > fence, "seed {seed}: fence {later} is not above {fence}");
        fence = later;
    }
    (died[0], died[1])
}

/// All calls of this kind from there on: the process is no more.
fn dies(call: Option<Call>, from: u64) -> Fault {
    Fault { call, from, count: u64::MAX, error: ErrorKind::Other }
}

/// Leases a task, which is made if there is none.
async fn fence_of_one(queue: &super::EmbeddedQueue, model: &mut Model) -> u64 {
    let id = model.pushed();
    queue.push(CX, &lane(), task(&id)).await.unwrap();
    let leased = queue.lease(CX, &lane(), 1, Duration::from_secs(60)).await.unwrap();
    leased[0].token.fence
}
