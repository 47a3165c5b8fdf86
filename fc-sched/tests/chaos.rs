//! The engine in adversity, by seed: I4, I13 to I19, I22 hold over ten thousand random lives, and
//! each of the checkers finds the bug that is planted for it.
#![cfg(feature = "sim")]

use fc_sched::sim::{Chaos, Neighbours, Sabotage};

/// As many as CI has time for in a debug build.
const SEEDS: u64 = 10_000;

/// A checker that needs more lives than these to find its bug is not worth much.
const SEEDS_TO_FIND_A_BUG: u64 = 200;

/// I4, I13, I14, I15, I16, I17, I18, I19, I22.
#[test]
fn ten_thousand_lives_break_nothing() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (thread..SEEDS).step_by(threads as usize) {
                    if let Err(broken) = Chaos::new(seed).run() {
                        panic!("REPRODUCE WITH: Chaos::new({seed}).run(): {broken}");
                    }
                }
            });
        }
    });
}

#[test]
fn every_planted_bug_is_found() {
    for sabotage in Sabotage::ALL {
        let found =
            (0..SEEDS_TO_FIND_A_BUG).find_map(|seed| Chaos::new(seed).plant(sabotage).run().err());
        let found = found.unwrap_or_else(|| panic!("{sabotage:?} was not found"));
        assert_eq!(found.invariant, sabotage.breaks(), "{sabotage:?}: {found}");
    }
}

#[test]
fn the_same_seed_gives_the_same_events_byte_for_byte() {
    for seed in 0..50 {
        let (one, other) = (Chaos::new(seed).log().unwrap(), Chaos::new(seed).log().unwrap());
        assert!(one == other, "seed {seed}");
        assert!(one.lines().count() > 100, "a life has events");
    }
    assert_ne!(Chaos::new(1).log().unwrap(), Chaos::new(2).log().unwrap());
}

/// I33: an account that asks for ten times its quota moves another's p99 by at most a fifth; without
/// quotas it would, so that the check is worth something.
#[test]
fn i33_a_noisy_account_does_not_move_a_quiet_one() {
    for seed in 0..20 {
        let alone = Neighbours::new(seed).wait_ms_p99();
        let beside = Neighbours::new(seed).with_noise().wait_ms_p99();
        assert!(alone > 0.0, "seed {seed}: there are waits to be moved");
        assert!(beside <= 1.2 * alone, "seed {seed}: {alone} ms alone, {beside} ms beside");
    }
    let exposed = Neighbours::new(0).with_noise().without_quotas().wait_ms_p99();
    assert!(exposed > 1.2 * Neighbours::new(0).wait_ms_p99(), "{exposed} ms");
}

/// The lives are lives: what can happen does.
#[test]
fn everything_happens_in_some_life() {
    let mut log = String::new();
    (0..60).for_each(|seed| log += &Chaos::new(seed).log().unwrap());
    let kinds = [
        "submit",
        "begin",
        "end",
        "broke: true",
        "refuse",
        "waiting_per_function_max",
        "nodes",
        "instances_max",
        "instances_burst",
        "start_failed",
        "leave",
        "start for",
        "ready",
        "freeze",
        "thaw",
        "Retired { frozen: false }",
        "Retired { frozen: true }",
        "Failed",
    ];
    for kind in kinds {
        assert!(log.contains(kind), "no life has seen: {kind}");
    }
}
