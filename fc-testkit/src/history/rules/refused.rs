//! I4: what was refused with 4xx or 503 is never executed.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::{Answer, Timeline};

/// An attempt is of the submissions with its payload: all of them refused, it must not be.
pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        for attempt in &task.attempts {
            let mut of =
                task.asked.iter().filter(|asked| asked.submission.payload == attempt.payload).map(
                    |asked| match asked.answer {
                        Answer::Refused(nack) => Some([asked.event, nack]),
                        _ => None,
                    },
                );
            let Some(Some(refused)) = of.next() else { continue };
            if of.all(|refused| refused.is_some()) {
                let what = format!("task '{name}' was refused and run");
                let events = refused.into_iter().chain([attempt.event]);
                found.push(violation(Invariant::I4, what, events));
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Invariant, Submission, What};

    fn nack(code: u16) -> What {
        What::Nack { id: "s".into(), code }
    }

    #[test]
    fn i4_what_was_refused_is_not_run() {
        let asked = Script::default().submitted(0, |_| {});
        for (code, broken) in [(400, 1), (429, 1), (499, 1), (503, 1), (500, 0), (504, 0)] {
            let refused = asked.clone().at(1, nack(code));
            assert_eq!(refused.breaks(Invariant::I4), 0);
            assert_eq!(refused.begin(2, 1).breaks(Invariant::I4), broken, "{code}");
        }
    }

    #[test]
    fn i4_a_second_submission_that_was_refused_does_not_forbid_the_first() {
        let again = |payload: &str| What::Submit(Submission::new("s2", "t", payload));
        let refused = What::Nack { id: "s2".into(), code: 409 };
        let first = Script::default().accepted(0, |_| {});
        for payload in ["p", "q"] {
            let both = first.clone().at(2, again(payload)).at(3, refused.clone());
            assert_eq!(both.clone().begin(5, 1).breaks(Invariant::I4), 0);
            let second = both.begin_with(5, 1, payload).breaks(Invariant::I4);
            assert_eq!(second, usize::from(payload == "q"));
        }
    }
}
