//! The engine in adversity, by seed: I4, I13 to I19, I22 hold over ten thousand random lives, and
//! each of the checkers finds the bug that is planted for it.
#![cfg(feature = "sim")]

use fc_sched::sim::{Chaos, Sabotage};

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
        let (one, other) = (Chaos::new(seed).run().unwrap(), Chaos::new(seed).run().unwrap());
        assert!(one == other, "seed {seed}");
        assert!(one.lines().count() > 100, "a life has events");
    }
    assert_ne!(Chaos::new(1).run().unwrap(), Chaos::new(2).run().unwrap());
}
