//! I10: one id is one task: a second submission is refused or gets the same handle.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::{Task, Timeline};

pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    timeline.tasks.iter().filter_map(|(name, task)| judge(name, task)).collect()
}

/// Two handles were given out; or two submissions, told apart by their payloads, were both run, though
/// their answers may have been lost.
fn judge(name: &str, task: &Task<'_>) -> Option<Violation> {
    let mut accepted = task
        .accepted()
        .filter_map(|(asked, ack, handle)| handle.map(|handle| (asked.event, ack, handle)));
    if let Some((first, ack, handle)) = accepted.next()
        && let Some((second, other, _)) = accepted.find(|(_, _, other)| *other != handle)
    {
        let what = format!("'{name}' was acknowledged as two tasks");
        return Some(violation(Invariant::I10, what, [first, ack, second, other]));
    }
    let run = task.payloads();
    let mut run = run.values();
    let (first, second) = (run.next()?, run.next()?);
    let what = format!("two submissions of '{name}' were run");
    let answers = task.accepted().map(|(_, ack, _)| ack);
    let pair = [first.0, first.1, second.0, second.1];
    Some(violation(Invariant::I10, what, pair.into_iter().chain(answers)))
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Invariant, Submission, What};

    fn ack(id: &str, handle: &str) -> What {
        What::Ack { id: id.into(), handle: Some(handle.into()) }
    }

    fn twice(payload: &str) -> Script {
        let again = What::Submit(Submission::new("s2", "t", payload));
        Script::default().submitted(0, |_| {}).at(1, again)
    }

    #[test]
    fn i10_a_second_submission_gets_the_same_handle_or_nothing() {
        let first = twice("p").at(2, ack("s", "h"));
        assert_eq!(first.clone().at(3, ack("s2", "h")).breaks(Invariant::I10), 0);
        let refused = What::Nack { id: "s2".into(), code: 409 };
        assert_eq!(first.clone().at(3, refused).breaks(Invariant::I10), 0);
        assert_eq!(first.at(3, ack("s2", "g")).breaks(Invariant::I10), 1);
    }

    #[test]
    fn i10_lost_answers_make_no_second_task() {
        let unknown = twice("q").at(2, What::Unknown { id: "s".into() }).at(3, ack("s2", "h"));
        assert_eq!(unknown.clone().begin(5, 1).breaks(Invariant::I10), 0);
        assert_eq!(unknown.clone().begin_with(5, 1, "q").breaks(Invariant::I10), 0);
        assert_eq!(unknown.begin(5, 1).begin_with(6, 2, "q").breaks(Invariant::I10), 1);
    }
}
