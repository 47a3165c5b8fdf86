//! I5: no attempt begins before acceptance and delay; at idle it begins at most a second later.

use super::super::judge::{Invariant, JudgeConfig, Violation, nanos, violation};
use super::super::timeline::{Answer, MS, Task, Timeline};

/// When it was accepted nobody saw: for «too early» it is when it was submitted, for «too late» when
/// it was acknowledged. What is not idle is not late: another attempt, a fault or a drain in between.
pub(super) fn check(timeline: &Timeline<'_>, config: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        if task.is_several() {
            continue;
        }
        if let Some(early) = early(name, task, config) {
            found.push(early);
        } else if let Some(late) = late(name, task, timeline, config) {
            found.push(late);
        }
    }
    found
}

fn early(name: &str, task: &Task<'_>, config: &JudgeConfig) -> Option<Violation> {
    let due = |delay_ms: u64, at: u64| at.saturating_add(delay_ms.saturating_mul(MS));
    let asked =
        task.not_refused().min_by_key(|asked| due(asked.submission.delay_ms, asked.event.at))?;
    let begin = task.attempts.first()?.event;
    let due = due(asked.submission.delay_ms, asked.event.at);
    let early = begin.at >= asked.event.at && begin.at.saturating_add(nanos(config.slack)) < due;
    early.then(|| {
        let what = format!("task '{name}' began {} ms early", (due - begin.at).div_ceil(MS));
        violation(Invariant::I5, what, task.not_refused().map(|asked| asked.event).chain([begin]))
    })
}

fn late(
    name: &str,
    task: &Task<'_>,
    timeline: &Timeline<'_>,
    config: &JudgeConfig,
) -> Option<Violation> {
    let late_max = nanos(config.late_max?);
    let [asked] = task.asked.as_slice() else { return None };
    let Answer::Accepted(ack, _) = asked.answer else { return None };
    let begin = task.attempts.first()?.event;
    let due = ack.at.saturating_add(asked.submission.delay_ms.saturating_mul(MS));
    let late = begin.at.saturating_sub(due.saturating_add(late_max));
    // Too old to begin at all is I7's.
    if late == 0 || begin.at > super::ttl::deadline(asked.submission, ack.at, config) {
        return None;
    }
    let busy = timeline.running.touch(due, begin.at)
        || timeline.faults.touch(asked.event.at, begin.at)
        || timeline.draining.touch(asked.event.at, begin.at);
    (!busy).then(|| {
        let what = format!("task '{name}' began {} ms too late at idle", late.div_ceil(MS));
        violation(Invariant::I5, what, [asked.event, ack, begin])
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Invariant, JudgeConfig, Outcome, What};

    #[test]
    fn i5_a_delay_is_kept_to_the_nanosecond() {
        let asked = Script::default().accepted(10, |asked| asked.delay_ms = 1000);
        assert_eq!(asked.clone().begin(1010, 1).breaks(Invariant::I5), 0);
        let early = asked.clone().begin(1009, 1);
        assert_eq!(early.breaks(Invariant::I5), 1);
        let slack = std::time::Duration::from_millis(1);
        let loose = JudgeConfig { slack, ..JudgeConfig::default() };
        assert_eq!(early.breaks_by(Invariant::I5, &loose), 0);
        assert_eq!(asked.begin(1008, 1).breaks_by(Invariant::I5, &loose), 1);
    }

    #[test]
    fn i5_an_idle_platform_is_not_late() {
        let asked = Script::default().accepted(9, |asked| asked.delay_ms = 1000);
        assert_eq!(asked.clone().begin(2010, 1).breaks(Invariant::I5), 0);
        let late = asked.begin(2011, 1);
        assert_eq!(late.breaks(Invariant::I5), 1);
        let any = JudgeConfig { late_max: None, ..JudgeConfig::default() };
        assert_eq!(late.breaks_by(Invariant::I5, &any), 0);
        let fault = late.clone().at(100, What::CrashBegin).at(200, What::CrashEnd);
        assert_eq!(fault.breaks(Invariant::I5), 0);
        let other = What::AttemptBegin {
            task: "other".into(),
            n: 1,
            instance: "i".into(),
            fence: 9,
            payload: "p".into(),
        };
        let ends = |at| {
            let (task, outcome) = ("other".into(), Outcome::Success);
            late.clone().at(5, other.clone()).at(at, What::AttemptEnd { task, fence: 9, outcome })
        };
        assert_eq!(ends(1500).breaks(Invariant::I5), 0);
        assert_eq!(ends(1000).breaks(Invariant::I5), 1);
    }
}
