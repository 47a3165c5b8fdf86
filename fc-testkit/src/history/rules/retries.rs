//! I6: the k-th gap is at least `base·2^(k-1)` up to the cap, and a function that fails is run at most
//! N + 1 times.
//!
//! A gap is seen together with the waiting for a place, which only adds: so it cannot be seen whether
//! the gaps themselves never shrink, but that none is below its own least, and the leasts never shrink.
//! That retries stop at the time to live is I7's.

use super::super::judge::{Invariant, JudgeConfig, Schedule, Violation, nanos, violation};
use super::super::timeline::{Attempt, MS, Task, Timeline};
use super::super::{Event, Outcome};

pub(super) fn check(timeline: &Timeline<'_>, config: &JudgeConfig) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        if task.is_several() {
            continue;
        }
        found.extend(gaps(name, task, timeline, config));
        found.extend(attempts(name, task, timeline, config));
    }
    found
}

/// The first gap that is too short.
fn gaps(
    name: &str,
    task: &Task<'_>,
    timeline: &Timeline<'_>,
    config: &JudgeConfig,
) -> Option<Violation> {
    let mut failed: [Vec<&Attempt<'_>>; 3] = Default::default();
    for pair in task.live().windows(2) {
        let [before, next] = pair else { continue };
        let Some((end, outcome)) = before.end else { continue };
        let (class, schedule) = match outcome {
            Outcome::FunctionError => (0, &config.function),
            Outcome::Throttled => (1, &config.throttled),
            Outcome::SystemError => (2, &config.system),
            _ => continue,
        };
        failed[class].push(before);
        // An attempt that overlaps the next is I3's; one that a fault touches may not be the one
        // that the platform counts.
        let (from, until) = (before.event.at, next.event.at);
        let fault = !timeline.crashes(from, until).is_empty()
            || task.expiries.iter().any(|event| (from..=until).contains(&event.at));
        if fault {
            // Nor may the platform know of it: later gaps are not counted from it.
            failed[class].pop();
            continue;
        }
        let Some(gap) = until.checked_sub(end.at) else { continue };
        let k = u32::try_from(failed[class].len()).unwrap_or(u32::MAX);
        if let Some(least) = too_few(schedule, gap.saturating_add(nanos(config.slack)), k) {
            let what = format!(
                "task '{name}' was tried again {} ms after its {k}. {outcome:?}, at least {} are due",
                gap / MS,
                schedule.gap(k) / MS,
            );
            let shown = failed[class].iter().rev().take(least as usize);
            let shown = shown.flat_map(|attempt| both(attempt)).chain([next.event]);
            return Some(violation(Invariant::I6, what, shown));
        }
    }
    None
}

/// How many failures it takes to show that the gap is too short; `None` if it is not.
fn too_few(schedule: &Schedule, gap: u64, k: u32) -> Option<u32> {
    // Beyond 64 doublings all are at the cap.
    (1..=k.min(65)).find(|k| gap < schedule.gap(*k))
}

/// More failures of the function than attempts it has.
fn attempts(
    name: &str,
    task: &Task<'_>,
    timeline: &Timeline<'_>,
    config: &JudgeConfig,
) -> Option<Violation> {
    let most = config.function_retries as usize + 1;
    let failed: Vec<_> = task
        .live()
        .iter()
        .filter(|attempt| matches!(attempt.end, Some((_, Outcome::FunctionError))))
        .collect();
    let last = failed.get(most)?;
    // A crash may take along that an attempt was counted.
    let excuses = timeline.excuses(task, last.event.at);
    let shown = most + 1 + excuses.len();
    (failed.len() >= shown).then(|| {
        let what = format!(
            "task '{name}' was run {} times with an error of its function, at most {most} are due",
            failed.len(),
        );
        let runs = failed[..shown].iter().flat_map(|attempt| both(attempt));
        let asked = task.asking().filter(|_| !excuses.is_empty());
        violation(Invariant::I6, what, runs.chain(asked).chain(excuses.clone()))
    })
}

fn both<'e>(attempt: &Attempt<'e>) -> impl Iterator<Item = &'e Event> {
    [attempt.event].into_iter().chain(attempt.end.map(|(event, _)| event))
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Invariant, Outcome, What};

    fn failures(gaps: &[u64], outcome: Outcome) -> Script {
        let mut script = Script::default().accepted(0, |_| {}).begin(10, 1).end(20, 1, outcome);
        let mut now = 20;
        for (fence, gap) in (2..).zip(gaps) {
            script = script.begin(now + gap, fence).end(now + gap + 10, fence, outcome);
            now += gap + 10;
        }
        script
    }

    #[test]
    fn i6_each_gap_is_twice_the_last() {
        use Outcome::{FunctionError, SystemError, Throttled};
        for outcome in [FunctionError, Throttled, SystemError] {
            assert_eq!(failures(&[500, 1000, 2000], outcome).breaks(Invariant::I6), 0);
            assert_eq!(failures(&[900, 1000, 5000], outcome).breaks(Invariant::I6), 0);
            for short in [[499, 1000, 2000], [500, 999, 2000], [500, 1000, 1999]] {
                assert_eq!(failures(&short, outcome).breaks(Invariant::I6), 1, "{short:?}");
            }
        }
    }

    #[test]
    fn i6_the_gaps_end_at_the_cap() {
        let mut gaps: Vec<u64> = (0..12).map(|k| (500 << k).min(300_000)).collect();
        assert_eq!(failures(&gaps, Outcome::Throttled).breaks(Invariant::I6), 0);
        gaps[11] -= 1;
        assert_eq!(failures(&gaps, Outcome::Throttled).breaks(Invariant::I6), 1);
    }

    #[test]
    fn i6_classes_are_counted_apart() {
        let mixed = Script::default()
            .accepted(0, |_| {})
            .begin(10, 1)
            .end(20, 1, Outcome::Throttled)
            .begin(520, 2)
            .end(530, 2, Outcome::FunctionError)
            .begin(1030, 3)
            .end(1040, 3, Outcome::Throttled);
        assert_eq!(mixed.clone().begin(2040, 4).breaks(Invariant::I6), 0);
        assert_eq!(mixed.begin(2039, 4).breaks(Invariant::I6), 1);
    }

    #[test]
    fn i6_a_crash_excuses_a_gap() {
        let failed = failures(&[], Outcome::Throttled);
        assert_eq!(failed.clone().at(21, What::CrashBegin).begin(30, 2).breaks(Invariant::I6), 0);
        assert_eq!(failed.at(5, What::CrashBegin).begin(30, 2).breaks(Invariant::I6), 1);
    }

    #[test]
    fn i6_a_function_fails_four_times_and_no_more() {
        let gaps = [500, 1000, 2000, 4000, 8000];
        let count = |gaps: &[u64]| failures(gaps, Outcome::FunctionError).breaks(Invariant::I6);
        assert_eq!((count(&gaps[..3]), count(&gaps[..4])), (0, 1));
        assert_eq!(failures(&gaps, Outcome::SystemError).breaks(Invariant::I6), 0);
        let crashed = failures(&gaps[..4], Outcome::FunctionError).at(300, What::CrashBegin);
        assert_eq!(crashed.breaks(Invariant::I6), 0);
        let crashed = failures(&gaps, Outcome::FunctionError).at(300, What::CrashBegin);
        assert_eq!(crashed.breaks(Invariant::I6), 1);
    }
}
