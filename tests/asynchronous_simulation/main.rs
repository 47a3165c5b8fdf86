//! Asynchronous invocation under simulated time: random work over a queue and a store that fail, in
//! processes that die at any call they make, judged by a history that does not ask the engine.
//!
//! `SEED` runs one seed; `COUNT` sets how many are run; `SURVEY=n` with `-- --ignored`
//! runs so many and prints all that is wrong.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod counts;
mod gate;
mod log;
mod truth;
mod witness;
mod workload;
mod world;

use std::collections::BTreeSet;
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

/// ASY-1: whatever crashes, what was accepted ends exactly once, and I2 to I12, I28 hold; and engines
/// have counted what clients, functions and the queue saw of them (I32).
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

/// I32: one more or one less, of any number, in one life: the judge sees it.
#[test]
fn i32_planted_miscounts_are_found() {
    // What does not happen here, or too rarely, cannot be counted too little.
    const NEVER: [&str; 8] = [
        "leases_lost",
        "withdrawn",
        "submissions.too_large",
        "attempts.invalid",
        "ended.invalid",
        "deliveries.done",
        "deliveries.retried",
        "deliveries.dead",
    ];
    let mut missing = BTreeSet::new();
    for (name, _) in counts::ALL {
        missing.insert((name, true));
        if !NEVER.contains(&name) {
            missing.insert((name, false));
        }
    }
    for seed in 0..300 {
        let run = run(seed, Bug::Nothing);
        for (name, number) in counts::ALL {
            for is_more in [true, false] {
                let mut lives = run.lives.clone();
                let mut numbers = lives.iter_mut().map(|life| number(&mut life.counters));
                let Some(planted) = numbers.find(|number| is_more || **number > 0) else {
                    continue;
                };
                *planted = if is_more { *planted + 1 } else { *planted - 1 };
                drop(numbers);
                if !counts::judge(&lives, &run.events, run.is_calm).is_empty() {
                    missing.remove(&(name, is_more));
                }
            }
        }
        if missing.is_empty() {
            println!("all found by seed {seed}");
            return;
        }
    }
    panic!("not found in 300 seeds: {missing:?}");
}
