//! Asynchronous invocation under simulated time: random work over a queue and a store that fail, in
//! processes that die at any call they make, judged by a history that does not ask the engine.
//!
//! `SEED` runs one seed; `COUNT` sets how many are run, by default as many as a debug build does in about
//! a minute; `SURVEY` runs so many and prints all that is wrong.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod gate;
mod log;
mod truth;
mod witness;
mod workload;
mod world;

use truth::Bug;
use world::run;

const COUNT: u64 = 2_000;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn survey() {
    let Some(count) = from_env("SURVEY") else { return };
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

#[test]
fn every_life_keeps_its_promises() {
    if let Some(seed) = from_env("SEED") {
        judge(seed);
        return;
    }
    let (mut crashes, mut acks, mut attempts) = (0, 0, 0);
    let count = from_env("COUNT").unwrap_or(COUNT);
    for seed in 0..count {
        let run = judge(seed);
        crashes += run.crashes;
        acks += run.acks;
        attempts += run.attempts;
    }
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
