//! I28: once a host drains it begins nothing, what runs ends by the deadline, and without faults
//! nothing is lost, run twice or cut off.

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::{Answer, Drain, MS, Task, Timeline};
use super::super::{Event, What};

/// What is run twice is I3's.
pub(super) fn check(timeline: &Timeline<'_>, _: &JudgeConfig) -> Vec<Violation> {
    if timeline.drains.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for drain in &timeline.drains {
        found.extend(begun(timeline, drain));
        found.extend(overrun(timeline, drain));
        found.extend(cut_off(timeline, drain));
    }
    for (name, task) in &timeline.tasks {
        if let Some((drain, asked)) = lost_in_drain(timeline, task) {
            // An attempt that was cut off is told of already.
            let told =
                task.attempts.iter().any(|attempt| ran_on(drain, attempt.event, attempt.ended()));
            if !told {
                let what = format!("task '{name}' was lost when its host drained");
                let events = asked.into_iter().chain([drain.begin]).chain(drain.end);
                found.push(violation(Invariant::I28, what, events));
            }
        }
    }
    found
}

fn is_faulty(timeline: &Timeline<'_>, drain: &Drain<'_>) -> bool {
    timeline.faults.touch(drain.begin.at, drain.over())
}

/// Whether an attempt ran when the drain began, and not to its end by the deadline.
fn ran_on(drain: &Drain<'_>, begin: &Event, ended: Option<u64>) -> bool {
    begin.host == drain.begin.host
        && begin.at <= drain.begin.at
        && ended.is_none_or(|ended| ended > drain.deadline)
}

fn begun(timeline: &Timeline<'_>, drain: &Drain<'_>) -> Option<Violation> {
    let first = timeline.events.partition_point(|event| event.at <= drain.begin.at);
    let begun = timeline.events[first..].iter().take_while(|event| event.at < drain.over()).find(
        |event| event.host == drain.begin.host && matches!(event.what, What::AttemptBegin { .. }),
    )?;
    let late = (begun.at - drain.begin.at).div_ceil(MS);
    let what = format!("an attempt began {late} ms after its host was told to drain");
    Some(violation(Invariant::I28, what, [drain.begin, begun].into_iter().chain(drain.end)))
}

fn overrun(timeline: &Timeline<'_>, drain: &Drain<'_>) -> Vec<Violation> {
    if is_faulty(timeline, drain) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        for attempt in &task.attempts {
            // What had not ended when the last crash came was over with it.
            let dead = !timeline.crashes(attempt.event.at, drain.begin.at).is_empty();
            if !dead && ran_on(drain, attempt.event, attempt.ended()) {
                let what = format!("task '{name}' ran and did not end by the drain's deadline");
                let end = attempt.end.map(|(event, _)| event);
                let events = [attempt.event, drain.begin].into_iter().chain(end).chain(drain.end);
                found.push(violation(Invariant::I28, what, events));
            }
        }
    }
    found
}

/// Clients that got no answer while nothing but the drain went on.
fn cut_off(timeline: &Timeline<'_>, drain: &Drain<'_>) -> Option<Violation> {
    if is_faulty(timeline, drain) {
        return None;
    }
    let within = drain.begin.at..=drain.over();
    let (asked, cut) = timeline.tasks.values().flat_map(|task| &task.asked).find_map(|asked| {
        let Answer::Open(Some(event)) = asked.answer else { return None };
        let cut = matches!(event.what, What::Unknown { .. });
        (cut && within.contains(&event.at) && !timeline.faults.touch(asked.event.at, event.at))
            .then_some((asked.event, event))
    })?;
    let what = "a client was cut off during a drain".to_owned();
    Some(violation(Invariant::I28, what, [asked, cut, drain.begin].into_iter().chain(drain.end)))
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
    let last = task.attempts.last();
    timeline.drains.iter().find_map(|drain| {
        let over = drain.over();
        let ran = last.filter(|last| {
            last.event.host == drain.begin.host
                && last.event.at <= drain.begin.at
                && last.ended().is_none_or(|ended| ended >= drain.begin.at)
        });
        let during = (drain.begin.at..=over).contains(&ack.at);
        let quiet = task.last <= over && !is_faulty(timeline, drain);
        (quiet && (ran.is_some() || during)).then(|| {
            let end = ran.and_then(|ran| ran.end).map(|(event, _)| event);
            let shown = [asked.event, ack].into_iter();
            (drain, shown.chain(ran.map(|ran| ran.event)).chain(end).collect())
        })
    })
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
