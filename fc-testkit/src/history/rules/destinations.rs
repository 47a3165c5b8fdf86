//! I8: at least one delivery to the right destination, with what was recorded.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::{Task, Timeline};
use super::super::{Branch, Ending};

pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    let tasks = timeline.tasks.iter().filter(|(_, task)| !task.is_several());
    tasks.filter_map(|(name, task)| judge(name, task)).collect()
}

/// A dead letter stands for a destination that takes nothing. That an expired task is reported at all
/// is I7's.
fn judge(name: &str, task: &Task<'_>) -> Option<Violation> {
    let end = task.terminals.first()?;
    let branch = end.kind.branch();
    if let Some(wrong) = task.dests.iter().find(|dest| dest.branch != branch) {
        let what = format!("task '{name}' {:?}, and the other destination was told", end.kind);
        return Some(violation(Invariant::I8, what, [end.event, wrong.event]));
    }
    let other = |body: Option<&str>| body.is_some() && end.result.is_some() && body != end.result;
    if let Some(wrong) = task.dests.iter().find(|dest| other(dest.body)) {
        let what = format!("task '{name}': its destination was told another result");
        return Some(violation(Invariant::I8, what, [end.event, wrong.event]));
    }
    let wanted = task.not_refused().find(|asked| {
        let to = asked.submission.destinations;
        if branch == Branch::Success { to.success } else { to.failure }
    })?;
    let told = task.dests.iter().any(|dest| dest.ok) || !task.dlq.is_empty();
    (!told && end.kind != Ending::Expired).then(|| {
        let what = format!("task '{name}' {:?}, and its destination was not told", end.kind);
        violation(Invariant::I8, what, [wanted.event, end.event])
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Branch, Destinations, Ending, Invariant, What};

    fn ended(kind: Ending) -> Script {
        let to = Destinations { success: true, failure: true, dlq: false };
        Script::default().accepted(0, |asked| asked.destinations = to).terminal(9, kind)
    }

    #[test]
    fn i8_the_right_destination_is_told_what_was_recorded() {
        for kind in [Ending::Succeeded, Ending::Failed, Ending::Cancelled] {
            let (right, wrong) = match kind {
                Ending::Succeeded => (Branch::Success, Branch::Failure),
                _ => (Branch::Failure, Branch::Success),
            };
            let ended = ended(kind);
            assert_eq!(ended.breaks(Invariant::I8), 1, "nobody");
            let failed = ended.clone().dest(10, right, false, "r");
            assert_eq!(failed.breaks(Invariant::I8), 1, "in vain");
            let told = failed.dest(11, right, true, "r");
            assert_eq!(told.breaks(Invariant::I8), 0);
            assert_eq!(told.clone().dest(12, right, true, "r").breaks(Invariant::I8), 0, "twice");
            assert_eq!(told.dest(12, wrong, true, "r").breaks(Invariant::I8), 1, "the other too");
            let altered = ended.clone().dest(10, right, true, "q");
            assert_eq!(altered.breaks(Invariant::I8), 1, "another result");
            let letter = ended.at(10, What::Dlq { task: "t".into() });
            assert_eq!(letter.breaks(Invariant::I8), 0, "dead letter");
        }
    }

    #[test]
    fn i8_nobody_need_be_told_where_nothing_is_configured() {
        let quiet = Script::default().accepted(0, |_| {}).terminal(9, Ending::Failed);
        assert_eq!(quiet.breaks(Invariant::I8), 0);
    }
}
