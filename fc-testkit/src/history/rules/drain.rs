//! I28: once a host drains it begins nothing, what runs ends by the deadline, and without faults
//! nothing is lost, run twice or cut off.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::{Answer, Attempt, Drain, MS, Task, Timeline};
use super::super::{Event, What};

/// What is run twice is I3's.
pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    if timeline.drains.is_empty() {
        return Vec::new();
    }
    let tasks = timeline.tasks.iter();
    tasks
        .flat_map(|(name, task)| {
            let attempts = task.attempts.iter();
            let ran: Vec<_> = attempts.filter_map(|one| attempt(timeline, name, one)).collect();
            // An attempt that was cut off says it already.
            let lost = lost(timeline, name, task).filter(|_| ran.is_empty());
            ran.into_iter().chain(lost).chain(cut_off(timeline, name, task))
        })
        .collect()
}

/// An attempt that began during a drain, or did not end by its deadline.
fn attempt(timeline: &Timeline<'_>, name: &str, attempt: &Attempt<'_>) -> Option<Violation> {
    let begin = attempt.event;
    if let Some(drain) = timeline.drain_at(begin) {
        let late = (begin.at - drain.begin.at).div_ceil(MS);
        let what = format!("task '{name}' began {late} ms after its host was told to drain");
        return Some(violation(Invariant::I28, what, drain.events().chain([begin])));
    }
    let drain = timeline.drain_behind(begin)?;
    // What had not ended when a crash came was over with it.
    let dead = !timeline.crashes(begin.at, drain.begin.at).is_empty();
    let ends = attempt.ended().is_some_and(|ended| ended <= drain.deadline);
    if dead || ends || is_faulty(timeline, drain) {
        return None;
    }
    let what = format!("task '{name}' ran and did not end by the drain's deadline");
    let end = attempt.end.map(|(event, _)| event);
    Some(violation(Invariant::I28, what, drain.events().chain([begin]).chain(end)))
}

fn is_faulty(timeline: &Timeline<'_>, drain: &Drain<'_>) -> bool {
    timeline.faults.touch(drain.begin.at, drain.over())
}

/// A client that got no answer while nothing but the drain went on.
fn cut_off(timeline: &Timeline<'_>, name: &str, task: &Task<'_>) -> Option<Violation> {
    task.asked.iter().find_map(|asked| {
        let Answer::Open(Some(event)) = asked.answer else { return None };
        let (from, at) = (asked.event.at, event.at);
        let cut = matches!(event.what, What::Unknown { .. }) && !timeline.faults.touch(from, at);
        if !cut || !timeline.draining.touch(at, at.saturating_add(1)) {
            return None;
        }
        let mut drains = timeline.drains.values().flatten();
        let drain = drains.find(|drain| (drain.begin.at..=drain.over()).contains(&at))?;
        let what = format!("the client of task '{name}' was cut off by a drain");
        Some(violation(Invariant::I28, what, drain.events().chain([asked.event, event])))
    })
}

fn lost(timeline: &Timeline<'_>, name: &str, task: &Task<'_>) -> Option<Violation> {
    let (drain, shown) = lost_in_drain(timeline, task)?;
    let what = format!("task '{name}' was lost when its host drained");
    Some(violation(Invariant::I28, what, shown.into_iter().chain(drain.events())))
}

/// The drain in which an acknowledged task without an end was seen last: it ran when the drain began, or
/// was acknowledged during it; with the events that show it.
pub(super) fn lost_in_drain<'t, 'e>(
    timeline: &'t Timeline<'e>,
    task: &Task<'e>,
) -> Option<(&'t Drain<'e>, Vec<&'e Event>)> {
    let (asked, ack, _) = task.accepted().next()?;
    if !task.terminals.is_empty() {
        return None;
    }
    let quiet = |drain: &&Drain<'e>| task.last <= drain.over() && !is_faulty(timeline, drain);
    let shown = vec![asked.event, ack];
    if let Some(last) = task.attempts.last()
        && let Some(drain) = timeline.drain_behind(last.event).filter(quiet)
        && last.ended().is_none_or(|ended| ended >= drain.begin.at)
    {
        let ran = [last.event].into_iter().chain(last.end.map(|(event, _)| event));
        return Some((drain, shown.into_iter().chain(ran).collect()));
    }
    let during = |drain: &&Drain<'_>| (drain.begin.at..=drain.over()).contains(&ack.at);
    let mut drains = timeline.drains.values().flatten();
    Some((drains.find(|drain| during(drain) && quiet(drain))?, shown))
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Ending, Invariant, Outcome, What};

    const DRAIN: What = What::DrainBegin { deadline_ms: 100 };

    #[test]
    fn i28_what_runs_ends_and_nothing_begins() {
        let run = Script::default().accepted(0, |_| {}).begin(5, 1).at(10, DRAIN);
        let drained = |ended| {
            let ended = run.clone().end(ended, 1, Outcome::Success);
            ended.terminal(120, Ending::Succeeded).at(150, What::DrainEnd)
        };
        assert_eq!(drained(110).breaks(Invariant::I28), 0);
        assert_eq!(drained(111).breaks(Invariant::I28), 1);
        let never = run.clone().terminal(120, Ending::Succeeded).at(150, What::DrainEnd);
        assert_eq!(never.breaks(Invariant::I28), 1);
        assert_eq!(drained(110).begin(149, 2).breaks(Invariant::I28), 1);
        assert_eq!(drained(110).begin(151, 2).breaks(Invariant::I28), 0);
    }

    #[test]
    fn i28_what_was_accepted_is_not_lost() {
        let lost = Script::default().at(5, DRAIN).accepted(10, |_| {}).at(150, What::DrainEnd);
        assert_eq!((lost.breaks(Invariant::I28), lost.breaks(Invariant::I1)), (1, 0));
        let kept = lost.begin(200, 1).terminal(210, Ending::Succeeded);
        assert_eq!(kept.breaks(Invariant::I28), 0);
        let before = Script::default().accepted(1, |_| {}).at(5, DRAIN).at(150, What::DrainEnd);
        assert_eq!((before.breaks(Invariant::I28), before.breaks(Invariant::I1)), (0, 1));
    }

    #[test]
    fn i28_no_client_is_cut_off_but_by_a_fault() {
        let cut = |at| {
            let asked = Script::default().at(5, DRAIN).submitted(10, |_| {});
            asked.at(at, What::Unknown { id: "s".into() }).at(150, What::DrainEnd)
        };
        assert_eq!((cut(20).breaks(Invariant::I28), cut(151).breaks(Invariant::I28)), (1, 0));
        let fault = cut(20).at(19, What::CrashBegin);
        assert_eq!(fault.breaks(Invariant::I28), 0);
    }
}
