//! I7: no attempt begins after acceptance and time to live; what expires reaches its failure
//! destination or the dead letters.

use super::super::judge::{Invariant, JudgeConfig, Violation, nanos, violation};
use super::super::timeline::{Answer, MS, Task, Timeline};
use super::super::{Branch, Ending, Submission};

/// When a submission that was acknowledged then is too old, ns.
pub(super) fn deadline(submission: &Submission, ack: u64, config: &JudgeConfig) -> u64 {
    let ttl = submission.ttl_ms.map_or(nanos(config.ttl), |ms| ms.saturating_mul(MS));
    ack.saturating_add(ttl)
}

pub(super) fn check(timeline: &Timeline<'_>, config: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        found.extend(too_old(name, task, config));
        found.extend(unreported(name, task));
    }
    found
}

/// When a submission of unknown outcome was accepted nobody knows.
fn too_old(name: &str, task: &Task<'_>, config: &JudgeConfig) -> Option<Violation> {
    let open = task.asked.iter().any(|asked| matches!(asked.answer, Answer::Open(_)));
    let until = |submission: &Submission, ack: u64| deadline(submission, ack, config);
    let (asked, ack, _) = task
        .accepted()
        .filter(|_| !open && !task.is_several())
        .max_by_key(|(asked, ack, _)| until(asked.submission, ack.at))?;
    let last = until(asked.submission, ack.at).saturating_add(nanos(config.slack));
    let old = task.live().iter().find(|attempt| attempt.event.at > last)?;
    let over = (old.event.at - last).div_ceil(MS);
    let what = format!("task '{name}' began {over} ms after its time to live");
    let all = task.accepted().flat_map(|(asked, ack, _)| [asked.event, ack]);
    Some(violation(Invariant::I7, what, all.chain([old.event])))
}

fn unreported(name: &str, task: &Task<'_>) -> Option<Violation> {
    let expired = task.terminals.first().filter(|end| end.kind == Ending::Expired)?;
    let asked = task.not_refused().find(|asked| {
        let to = asked.submission.destinations;
        to.failure || to.dlq
    })?;
    let told = task.dests.iter().any(|dest| dest.ok && dest.branch == Branch::Failure)
        || !task.dlq.is_empty();
    (!told).then(|| {
        let what = format!("task '{name}' expired, and neither destination nor dead letters know");
        violation(Invariant::I7, what, [asked.event, expired.event])
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Branch, Destinations, Ending, Invariant, What};

    #[test]
    fn i7_nothing_begins_after_its_time() {
        let asked = Script::default().accepted(9, |asked| asked.ttl_ms = Some(1000));
        assert_eq!(asked.clone().begin(1010, 1).breaks(Invariant::I7), 0);
        assert_eq!(asked.begin(1011, 1).breaks(Invariant::I7), 1);
        let default = Script::default().accepted(9, |_| {});
        assert_eq!(default.clone().begin(18_000_010, 1).breaks(Invariant::I7), 0);
        assert_eq!(default.begin(18_000_011, 1).breaks(Invariant::I7), 1);
    }

    #[test]
    fn i7_what_expires_is_reported() {
        let expired = |to: Destinations| {
            Script::default()
                .accepted(0, |asked| asked.destinations = to)
                .terminal(9, Ending::Expired)
        };
        let (nowhere, dlq) =
            (Destinations::default(), Destinations { dlq: true, ..<_>::default() });
        let failure = Destinations { failure: true, ..nowhere };
        assert_eq!(expired(nowhere).breaks(Invariant::I7), 0);
        for to in [dlq, failure] {
            assert_eq!(expired(to).breaks(Invariant::I7), 1);
            let letter = expired(to).at(10, What::Dlq { task: "t".into() });
            assert_eq!(letter.breaks(Invariant::I7), 0);
        }
        let sent = |branch, ok| expired(failure).dest(10, branch, ok, "r").breaks(Invariant::I7);
        assert_eq!(sent(Branch::Failure, true), 0);
        assert_eq!(sent(Branch::Failure, false) + sent(Branch::Success, true), 2);
    }
}
