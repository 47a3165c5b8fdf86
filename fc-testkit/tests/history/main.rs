//! The judge of histories: it accuses no correct queue, and finds each planted bug by its rule.
// A test that cannot go on fails.
#![allow(clippy::unwrap_used)]

mod model;
mod plant;
mod random;
mod seen;

use std::collections::BTreeSet;

use fc_testkit::history::{Event, Invariant, Judge, JudgeConfig, Violation, What};

use model::Model;
use plant::Bug;
use random::Random;

fn judge() -> Judge {
    Judge::new(JudgeConfig::default())
}

fn shown(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

#[test]
fn a_thousand_correct_queues_are_accused_of_nothing() {
    let mut all = Vec::new();
    for seed in 0..1000 {
        let events = Model::new(seed).run();
        let found = judge().judge(&events);
        assert!(found.is_empty(), "REPRODUCE WITH: seed {seed}\n{}", shown(&found));
        all.extend(events);
    }
    // The model does all that a rule looks at.
    let kinds: BTreeSet<String> = all.iter().map(|event| kind(&event.what)).collect();
    let must = [
        "ack",
        "attempt_begin",
        "attempt_end",
        "crash_begin",
        "crash_end",
        "dest",
        "dlq",
        "drain_begin",
        "drain_end",
        "fault_begin",
        "fault_end",
        "lease_expired",
        "nack",
        "stop_requested",
        "submit",
        "terminal",
        "unknown",
    ];
    assert!(kinds.iter().eq(must), "{kinds:?}");
}

fn kind(what: &What) -> String {
    serde_json::to_value(what).unwrap()["event"].as_str().unwrap().to_owned()
}

#[test]
fn each_planted_bug_is_found_by_its_rule_and_no_other() {
    for bug in Bug::ALL {
        let mut planted = 0;
        for seed in 0..400 {
            let mut events = Model::new(seed).run();
            if !bug.plant(&mut events, &mut Random::new(seed)) {
                continue;
            }
            planted += 1;
            let found = judge().judge(&events);
            let by: BTreeSet<_> = found.iter().map(|violation| violation.invariant).collect();
            let must = BTreeSet::from([bug.invariant()]);
            assert_eq!(by, must, "REPRODUCE WITH: {bug:?}, seed {seed}\n{}", shown(&found));
            for violation in &found {
                is_smallest(violation, &format!("{bug:?}, seed {seed}"));
            }
            if planted == 25 {
                break;
            }
        }
        assert!(planted >= 5, "{bug:?} found a place {planted} times");
    }
}

/// What is shown breaks the rule by itself, and does not without any of the things that are wrong.
fn is_smallest(violation: &Violation, what: &str) {
    let invariant = violation.invariant;
    let broken = |events: &[Event]| !judge().judge_by(invariant, events).is_empty();
    assert!(broken(&violation.events), "{what}: not shown by its part\n{violation}");
    if invariant == Invariant::I11 {
        // A rate: any one start more or less does not matter.
        return;
    }
    for index in 0..violation.events.len() {
        let mut fewer = violation.events.clone();
        let dropped = fewer.remove(index);
        let wrong = matches!(
            dropped.what,
            What::AttemptBegin { .. }
                | What::Terminal { .. }
                | What::Ack { .. }
                | What::DrainBegin { .. }
        );
        // An acknowledgement may also be what is no excuse.
        let excuse = matches!(dropped.what, What::Ack { .. })
            && !matches!(invariant, Invariant::I1 | Invariant::I7);
        if wrong && !excuse {
            assert!(!broken(&fewer), "{what}: shown without {dropped:?}\n{violation}");
        }
    }
}

/// The order in which the files of several processes were read does not matter.
#[test]
fn the_order_of_the_lines_does_not_matter() {
    for seed in 0..20 {
        let mut events = Model::new(seed).run();
        Bug::LostAck.plant(&mut events, &mut Random::new(seed));
        let before = judge().judge(&events);
        events.reverse();
        // Events of the same instant must keep their order; the model has none that matter.
        assert_eq!(judge().judge(&events).len(), before.len(), "{seed}");
    }
}

/// A hundred thousand events are judged in a moment, and as one history accuse nobody either.
#[test]
fn a_long_history_is_judged() {
    const HOURS_3: u64 = 3 * 3600 * 1000 * model::MS;
    let mut all = Vec::new();
    for seed in 0..500 {
        let mut events = Model::new(seed).named(&format!("{seed}/")).run();
        events.iter_mut().for_each(|event| event.at += seed * HOURS_3);
        all.extend(events);
    }
    assert!(all.len() > 100_000, "{}", all.len());
    let found = judge().judge(&all);
    assert!(found.is_empty(), "{}", shown(&found));
}
