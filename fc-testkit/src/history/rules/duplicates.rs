//! I3: without faults nothing is run twice but to retry it; with faults, extra attempts are at most
//! the crashes, lease expiries and unknown outcomes that touch the task.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::Timeline;

/// Each failure that is over earns one more attempt; an attempt that nothing has earned is extra.
pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        let live = task.live();
        if live.len() < 2 || task.is_several() {
            continue;
        }
        let mut failures: Vec<u64> = live.iter().filter_map(|attempt| attempt.failed()).collect();
        failures.sort_unstable();
        let mut used = 0;
        let mut extra = Vec::new();
        for attempt in &live[1..] {
            if failures.get(used).is_some_and(|failed| *failed <= attempt.event.at) {
                used += 1;
            } else {
                extra.push(attempt);
            }
        }
        for (count, attempt) in (1..).zip(&extra) {
            let excuses = timeline.excuses(task, attempt.event.at);
            if count > excuses.len() {
                let what = format!(
                    "task '{name}' was run {count} times more than its failures ask for, with {} \
                     crashes, expiries and unknown outcomes",
                    excuses.len()
                );
                let runs = extra[..count].iter().map(|attempt| attempt.event);
                let asked = task.asking().filter(|_| !excuses.is_empty());
                let events = runs.chain([live[0].event]).chain(excuses.clone()).chain(asked);
                found.push(violation(Invariant::I3, what, events));
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Invariant, Outcome, What};

    #[test]
    fn i3_a_retry_is_no_duplicate() {
        let mut script = Script::default().accepted(0, |_| {});
        for fence in 1..=3 {
            script = script.begin(fence * 100, fence);
            assert_eq!(script.breaks(Invariant::I3), 0);
            script = script.end(fence * 100 + 50, fence, Outcome::Throttled);
        }
        let twice = script.begin(400, 4).begin(401, 5);
        assert_eq!(twice.breaks(Invariant::I3), 1);
    }

    #[test]
    fn i3_neither_a_success_nor_a_failure_to_come_asks_for_another() {
        let begun = Script::default().accepted(0, |_| {}).begin(5, 1);
        let done = begun.clone().end(6, 1, Outcome::Success).begin(7, 2);
        assert_eq!(done.breaks(Invariant::I3), 1);
        let too_soon = begun.begin(6, 2).end(7, 1, Outcome::FunctionError);
        assert_eq!(too_soon.breaks(Invariant::I3), 1);
    }

    #[test]
    fn i3_each_fault_excuses_one() {
        let script = Script::default().accepted(0, |_| {}).begin(5, 1);
        let expired = What::LeaseExpired { task: "t".into() };
        for excused in [
            script.clone().at(6, What::CrashBegin).begin(7, 2),
            script.clone().at(6, expired).begin(7, 2),
            script.clone().end(6, 1, Outcome::Unknown).begin(7, 2),
        ] {
            assert_eq!(excused.breaks(Invariant::I3), 0);
            assert_eq!(excused.begin(8, 3).breaks(Invariant::I3), 1);
        }
        let after = script.begin(7, 2).at(8, What::CrashBegin);
        assert_eq!(after.breaks(Invariant::I3), 1);
        let before = Script::default().at(0, What::CrashBegin).accepted(1, |_| {});
        assert_eq!(before.begin(5, 1).begin(6, 2).breaks(Invariant::I3), 1);
    }
}
