//! I1: for each 202 there is, after quiescence, exactly one end.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::Timeline;
use super::drain::lost_in_drain;

/// What a drain has lost is told by I28.
pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        let Some((asked, ack, _)) = task.accepted().next() else { continue };
        match task.terminals.as_slice() {
            [] if lost_in_drain(timeline, task).is_none() => {
                let what = format!("task '{name}' was acknowledged and has no end");
                found.push(violation(Invariant::I1, what, [asked.event, ack]));
            }
            [first, second, ..] if !task.is_several() => {
                let what = format!("task '{name}' has {} ends", task.terminals.len());
                let events = [asked.event, ack, first.event, second.event];
                found.push(violation(Invariant::I1, what, events));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Ending, Invariant, What};

    #[test]
    fn i1_each_acknowledged_task_has_one_end() {
        let acked = Script::default().accepted(0, |_| {});
        for kind in [Ending::Succeeded, Ending::Failed, Ending::Expired, Ending::Cancelled] {
            let ended = acked.clone().terminal(9, kind);
            assert_eq!(ended.breaks(Invariant::I1), 0);
            assert_eq!(ended.terminal(10, Ending::Failed).breaks(Invariant::I1), 1);
        }
        assert_eq!(acked.breaks(Invariant::I1), 1);
    }

    #[test]
    fn i1_nothing_was_promised_without_an_acknowledgement() {
        let asked = Script::default().submitted(0, |_| {});
        assert_eq!(asked.breaks(Invariant::I1), 0);
        let unknown = asked.at(1, What::Unknown { id: "s".into() });
        assert_eq!(unknown.breaks(Invariant::I1), 0);
        let late = unknown.at(2, What::ack("s"));
        assert_eq!(late.breaks(Invariant::I1), 1);
    }
}
