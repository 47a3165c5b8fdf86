//! Calls that fail, a process that dies, power that is lost: no false acknowledgement, no phantom (I31).

use std::io::ErrorKind;

use super::disk::{CALLS, Call, Disk, Fault};
use super::model::Model;
use super::{Random, open, open_with, run};

/// A process that dies, or a machine.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Killed,
    Power,
}

#[test]
fn a_call_that_fails_makes_no_false_acknowledgement() {
    let mut failed = 0;
    for call in CALLS {
        for k in 1..=50 {
            for (count, end) in [(1, End::Killed), (2, End::Power)] {
                let fault = Fault { call: Some(call), from: k, count, error: ErrorKind::Other };
                failed += run(one_fault(fault, end, k * 8 + call as u64));
            }
        }
    }
    assert!(failed > 300, "only {failed} operations failed: the calls are not met");
}

async fn one_fault(fault: Fault, end: End, seed: u64) -> u64 {
    let (disk, mut random) = (Disk::default(), Random(seed));
    let mut model = Model::default();
    let clock = super::clock();
    let queue = open_with(&disk, &clock).unwrap();
    disk.fail(Some(fault));
    for step in 0..100 {
        model.step(&queue, &mut random).await;
        if step % 10 == 0 {
            clock.advance(std::time::Duration::from_secs(1));
        }
    }
    disk.fail(None);
    // It takes writes again without being opened again.
    clock.advance(std::time::Duration::from_secs(1));
    let failed = model.failed;
    model.step(&queue, &mut random).await;
    for _ in 0..5 {
        model.step(&queue, &mut random).await;
    }
    assert_eq!(model.failed, failed, "{fault:?}: still refused after the fault");
    drop(queue);
    if end == End::Power {
        disk.lose_power(&mut random);
    }
    let queue = open(&disk);
    model.judge(&queue).await;
    model.failed
}

#[test]
fn a_crash_at_any_call_loses_nothing_and_a_crash_while_opening_is_harmless() {
    let mut unknown = 0;
    for seed in 0..200 {
        unknown += run(crashes(seed));
    }
    assert!(unknown > 50, "only {unknown} outcomes were unknown: the crashes are not met");
}

/// Several lives, each of which ends in the middle of a call: all calls fail from there on.
async fn crashes(seed: u64) -> u64 {
    let (disk, mut random) = (Disk::default(), Random(seed));
    let mut model = Model::default();
    let clock = super::clock();
    for _life in 0..6 {
        let from = 1 + random.below(250);
        let dead = Fault { call: None, from, count: u64::MAX, error: ErrorKind::Other };
        disk.fail(Some(dead));
        if let Ok(queue) = open_with(&disk, &clock) {
            model.judge(&queue).await;
            model.learn(&queue).await;
            for _ in 0..80 {
                model.step(&queue, &mut random).await;
            }
        }
        disk.fail(None);
        if random.below(2) == 0 {
            disk.lose_power(&mut random);
        }
    }
    let queue = open_with(&disk, &clock).unwrap();
    model.judge(&queue).await;
    model.unknown
}

#[test]
fn a_failed_sync_is_never_tried_again_on_the_same_file() {
    run(async {
        let (disk, mut random) = (Disk::default(), Random(1));
        let mut model = Model::default();
        let queue = open(&disk);
        for _ in 0..20 {
            model.step(&queue, &mut random).await;
        }
        disk.fail(Some(Fault {
            call: Some(Call::Sync),
            from: 1,
            count: 1,
            error: ErrorKind::Other,
        }));
        let before = model.unknown;
        while model.unknown == before {
            model.step(&queue, &mut random).await;
        }
        // The disk counts the pages as clean now: a second sync of them would lie, and what it had
        // acknowledged would be gone with the power.
        for _ in 0..20 {
            model.step(&queue, &mut random).await;
        }
        drop(queue);
        disk.lose_power(&mut random);
        model.judge(&open(&disk)).await;
    });
}
