//! Asynchronous invocation under simulated time: random work over a queue and a store that fail, in
//! processes that die at any call they make, judged by a history that does not ask the engine.
//!
//! `SEED` runs one seed; `COUNT` sets how many are run; `SURVEY=n` with `-- --ignored`
//! runs so many and prints all that is wrong.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod gate;
mod log;
mod truth;
mod witness;
mod workload;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use truth::Bug;
use world::run;

const COUNT: u64 = 10_000;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
#[ignore = "a tool: SURVEY=n lists what is wrong in so many seeds"]
fn survey() {
    let count = from_env("SURVEY").expect("SURVEY says how many seeds");
    for seed in from_env("FROM").unwrap_or(0)..count {
        for wrong in run(seed, Bug::Nothing).wrong {
            println!("S {seed} {}", wrong.lines().next().unwrap());
        }
    }
}

fn judge(seed: u64) -> world::Run {
    let run = run(seed, Bug::Nothing);
    if run.wrong.is_empty() {
        return run;
    }
    for event in &run.events {
        println!("{}", serde_json::to_string(event).unwrap());
    }
    panic!("{}\nREPRODUCE WITH: SEED={seed}", run.wrong.join("\n"));
}

/// ASY-1: whatever crashes, what was accepted ends exactly once, and I2 to I12, I28 hold.
#[test]
fn asy_1_every_life_keeps_its_promises() {
    if let Some(seed) = from_env("SEED") {
        judge(seed);
        return;
    }
    let count = from_env("COUNT").unwrap_or(COUNT);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // Each seed is a world of its own, so that threads share only the count.
    let (crashes, acks, attempts) = std::thread::scope(|scope| {
        let work = || {
            let (mut crashes, mut acks, mut attempts) = (0, 0, 0);
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= count {
                    return (crashes, acks, attempts);
                }
                let run = judge(seed);
                crashes += run.crashes;
                acks += run.acks;
                attempts += run.attempts;
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let sums = threads.into_iter().map(|thread| thread.join().unwrap());
        sums.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
    });
    println!("{count} seeds: {acks} acknowledged, {attempts} attempts, {crashes} crashes");
    assert!(crashes * 2 > count && acks as u64 > count, "the runs show too little");
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..20 {
        assert_eq!(run(seed, Bug::Nothing).events, run(seed, Bug::Nothing).events, "{seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for bug in Bug::ALL {
        let found = (0..2000).find(|seed| !run(*seed, bug).wrong.is_empty());
        let seed = found.unwrap_or_else(|| panic!("{bug:?} is not found in 2000 seeds"));
        println!("{bug:?}: seed {seed}");
    }
}
