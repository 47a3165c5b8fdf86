//! The textbook's count of cold starts, naively: what the simulator must find with the fixed
//! policy, starts of 0 ms, nodes without limit and no quota.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use fc_core::Instant;
use fc_sched::sim::{
    Arrival, ColdStart, GeneratorConfig, Pattern, PolicyName, SimConfig, Trace, TraceFunction,
    simulate,
};
use proptest::prelude::*;

/// Cold starts where an instance runs one invocation at once, an invocation goes to the idle
/// instance that was used last, and an instance that has been idle for `keep_alive` is gone. A
/// slot that falls free at the moment of an arrival is free for it.
///
/// Each arrival looks at every instance there is of its function.
fn naive_textbook(trace: &Trace, keep_alive: Duration) -> u64 {
    // Of each function's instances: when the last invocation ended, or will end.
    let mut instances: Vec<Vec<Instant>> = vec![Vec::new(); trace.functions().len()];
    let mut cold_starts = 0;
    for arrival in trace.arrivals() {
        let ends = &mut instances[arrival.function() as usize];
        ends.retain(|&end| end > arrival.at || arrival.at < end + keep_alive);
        match ends.iter_mut().filter(|end| **end <= arrival.at).max() {
            Some(end) => *end = arrival.at + arrival.duration(),
            None => {
                cold_starts += 1;
                ends.push(arrival.at + arrival.duration());
            }
        }
    }
    cold_starts
}

/// A trace of (second, function, seconds of duration), sorted by the caller.
fn trace(arrivals: &[(u64, u32, u64)]) -> Trace {
    let functions = arrivals.iter().map(|&(_, function, _)| function + 1).max().unwrap_or(0);
    let functions = (0..functions).map(|number| TraceFunction {
        name: format!("f{number}"),
        account: number,
        memory_mb: 128,
        concurrency: 1,
    });
    let arrivals = arrivals.iter().map(|&(at_s, function, duration_s)| {
        let at = Instant::ORIGIN + Duration::from_secs(at_s);
        Arrival::new(at, function, Duration::from_secs(duration_s)).unwrap()
    });
    Trace::new(functions.collect(), arrivals.collect()).unwrap()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_textbook_counts_by_hand() {
    let check = |arrivals: &[(u64, u32, u64)], keep_alive_s, expected| {
        assert_eq!(naive_textbook(&trace(arrivals), seconds(keep_alive_s)), expected);
    };
    check(&[], 10, 0);
    // Warm within the time, cold at its end.
    check(&[(0, 0, 1), (10, 0, 1), (20, 0, 1)], 10, 1);
    check(&[(0, 0, 1), (11, 0, 1)], 10, 2);
    // Two at once take two instances; functions share none.
    check(&[(0, 0, 5), (1, 0, 5), (2, 1, 5), (7, 0, 1)], 10, 3);
    // The end of one is the begin of the next.
    check(&[(0, 0, 5), (5, 0, 5), (10, 0, 5)], 10, 1);
    // Used last is used first: the other one idles until it is gone, at 11.
    check(&[(0, 0, 1), (0, 0, 2), (8, 0, 1), (11, 0, 1), (11, 0, 1)], 10, 3);
}

/// Up to 60 invocations of three functions, in the order of time.
fn some_trace() -> impl Strategy<Value = Trace> {
    prop::collection::vec((0_u64..200, 0_u32..3, 0_u64..30), 1..60).prop_map(|mut arrivals| {
        arrivals.sort_by_key(|&(at_s, ..)| at_s);
        trace(&arrivals)
    })
}

proptest! {
    /// Kept for ever, there are as many instances as invocations at once; kept for no time, each
    /// invocation is cold.
    #[test]
    fn the_textbook_agrees_with_what_is_known_of_its_ends(trace in some_trace()) {
        let mut most_at_once = 0;
        for function in 0..trace.functions().len() as u32 {
            let of = || trace.arrivals().iter().filter(move |a| a.function() == function);
            let running = |at: Instant| {
                let mut running = 0_usize;
                for other in of() {
                    let end = other.at + other.duration();
                    running += usize::from(other.at <= at && at < end);
                }
                running
            };
            // One that takes no time needs an instance all the same.
            let at_least = usize::from(of().next().is_some());
            let peak = of().map(|arrival| running(arrival.at)).max().unwrap_or(0);
            most_at_once += peak.max(at_least);
        }
        let none_takes_no_time = trace.arrivals().iter().all(|a| a.duration() > Duration::ZERO);
        let kept = naive_textbook(&trace, seconds(1_000_000));
        if none_takes_no_time {
            prop_assert_eq!(kept, most_at_once as u64);
        }
        prop_assert!(kept >= most_at_once as u64);
        prop_assert_eq!(naive_textbook(&trace, Duration::ZERO), trace.arrivals().len() as u64);
    }
}

fn textbook(keep_alive: Duration) -> SimConfig {
    SimConfig {
        quota: false,
        keep_alive: Some(keep_alive),
        cold_start: ColdStart::Fixed(Duration::ZERO),
        ..SimConfig::default()
    }
}

/// The simulator against the textbook, on each kind of made-up trace.
#[test]
fn the_fixed_policy_counts_as_the_textbook_does() {
    for pattern in Pattern::NAMES {
        let config = GeneratorConfig {
            pattern: pattern.parse().unwrap(),
            functions: 200,
            rate: 3.0,
            length: seconds(2 * 3_600),
            ..GeneratorConfig::default()
        };
        for seed in 0..3 {
            let trace = config.generate(seed).unwrap();
            for keep_alive in [seconds(10), seconds(60), seconds(600)] {
                let outcome = simulate(&trace, &textbook(keep_alive), PolicyName::Fixed).unwrap();
                let expected = naive_textbook(&trace, keep_alive);
                assert_eq!(outcome.cold_starts, expected, "{pattern} {seed} {keep_alive:?}");
                assert_eq!(
                    (outcome.throttled, outcome.invocations),
                    (0, trace.arrivals().len() as u64)
                );
            }
        }
    }
}

proptest! {
    /// The same where everything happens at whole seconds, and much of it at once.
    #[test]
    fn the_fixed_policy_counts_as_the_textbook_does_where_times_coincide(
        trace in some_trace(),
        keep_alive_s in 1_u64..60,
    ) {
        let keep_alive = seconds(keep_alive_s);
        let outcome = simulate(&trace, &textbook(keep_alive), PolicyName::Fixed).unwrap();
        prop_assert_eq!(outcome.cold_starts, naive_textbook(&trace, keep_alive));
    }
}
