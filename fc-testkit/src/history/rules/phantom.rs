//! I2: every attempt's task was submitted, and its payload is what was submitted.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::Timeline;

pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        let first = task.asked.first();
        for attempt in &task.attempts {
            let Some(asked) = first.filter(|first| first.event.at <= attempt.event.at) else {
                let what = format!("task '{name}' was run and not submitted before");
                found.push(violation(Invariant::I2, what, [attempt.event]));
                break;
            };
            let same = task.asked.iter().any(|asked| asked.submission.payload == attempt.payload);
            if !same {
                let what = format!("task '{name}' was run with another payload");
                found.push(violation(Invariant::I2, what, [asked.event, attempt.event]));
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::Invariant;

    #[test]
    fn i2_what_runs_was_submitted_as_it_is() {
        let good = Script::default().submitted(0, |_| {}).begin(5, 1);
        assert_eq!(good.breaks(Invariant::I2), 0);
        let phantom = Script::default().begin(5, 1);
        assert_eq!(phantom.breaks(Invariant::I2), 1);
        let too_soon = Script::default().submitted(6, |_| {}).begin(5, 1);
        assert_eq!(too_soon.breaks(Invariant::I2), 1);
        let altered = good.begin_with(6, 2, "q");
        assert_eq!(altered.breaks(Invariant::I2), 1);
    }
}
