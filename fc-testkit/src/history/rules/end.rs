//! I9: after the end no attempt begins under a newer token.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::Timeline;

/// Somebody with an old token may still begin: what he does is refused. A second end is I1's.
pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        if task.is_several() {
            continue;
        }
        if let (Some(end), Some(risen)) = (task.terminals.first(), task.risen()) {
            let what = format!("task '{name}' {:?}, and was run again", end.kind);
            found.push(violation(Invariant::I9, what, [end.event, risen.event]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Ending, Invariant, Outcome};

    #[test]
    fn i9_the_end_is_final() {
        let run = Script::default().accepted(0, |_| {}).begin(5, 7);
        let ended = run.terminal(8, Ending::Cancelled);
        // It may come to its own end, and who holds the old token may begin.
        let late = ended.clone().end(9, 7, Outcome::Success).begin(10, 7).begin(11, 6);
        assert_eq!(late.breaks(Invariant::I9), 0);
        assert_eq!(ended.begin(9, 8).breaks(Invariant::I9), 1);
        let unstarted = Script::default().accepted(0, |_| {}).terminal(8, Ending::Expired);
        assert_eq!(unstarted.begin(9, 1).breaks(Invariant::I9), 1);
    }
}
