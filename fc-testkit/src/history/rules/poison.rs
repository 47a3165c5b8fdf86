//! I11: what is poison does not starve the function's other tasks: they keep 90 % of their rate.
//!
//! That poison itself uses at most its attempts is counted by I6.

use std::collections::BTreeMap;

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::spans::Spans;
use super::super::timeline::{MS, Task, Timeline};
use super::super::{Ending, Event, Outcome};

/// Compares, while others wait, how many of them start in a second with a poison under way and without
/// one. A difference below three standard deviations is chance.
pub(super) fn check(timeline: &Timeline<'_>, config: &JudgeConfig) -> Vec<Violation> {
    let mut functions: BTreeMap<&str, Function<'_>> = BTreeMap::new();
    for task in timeline.tasks.values() {
        if let Some((asked, ack, _)) = task.accepted().next() {
            let function = functions.entry(&asked.submission.function).or_default();
            if is_poison(task) {
                function.poison(task);
            } else if let Some(first) = task.attempts.first() {
                let delay = asked.submission.delay_ms.saturating_mul(MS);
                let ready = ack.at.saturating_add(delay);
                // A crash starves all alike.
                let calm = !timeline.faults.touch(ready, first.event.at)
                    && !timeline.draining.touch(ready, first.event.at);
                if ready <= first.event.at && calm {
                    function.others.push((ready, first.event, [asked.event, ack]));
                }
            }
        }
    }
    functions.iter().filter_map(|(name, function)| function.judge(name, config)).collect()
}

/// It failed by its own errors alone.
fn is_poison(task: &Task<'_>) -> bool {
    let failed = |outcome| outcome == Outcome::FunctionError;
    task.terminals.first().is_some_and(|end| end.kind == Ending::Failed)
        && task.attempts.iter().all(|one| one.end.is_some_and(|(_, outcome)| failed(outcome)))
}

#[derive(Default)]
struct Function<'e> {
    /// From the first attempt to the end.
    poisons: Vec<(u64, u64)>,
    shown: Vec<&'e Event>,
    /// From when it could be begun, its beginning, its submission and acknowledgement.
    others: Vec<(u64, &'e Event, [&'e Event; 2])>,
}

/// What happened while others waited.
#[derive(Default)]
struct Rate {
    starts: usize,
    nanos: u64,
}

impl<'e> Function<'e> {
    fn poison(&mut self, task: &Task<'e>) {
        if let (Some(first), Some(end)) = (task.attempts.first(), task.terminals.first()) {
            self.poisons.push((first.event.at, end.event.at));
            let asked = task.accepted().flat_map(|(asked, ack, _)| [asked.event, ack]);
            self.shown.extend(asked);
            for attempt in &task.attempts {
                self.shown.push(attempt.event);
                self.shown.extend(attempt.end.map(|(event, _)| event));
            }
            self.shown.push(end.event);
        }
    }

    fn judge(&self, name: &str, config: &JudgeConfig) -> Option<Violation> {
        let (with, without) = self.rates();
        if without.starts < config.poison_starts_min || with.nanos == 0 || without.nanos == 0 {
            return None;
        }
        let expected = without.starts as f64 / without.nanos as f64 * with.nanos as f64;
        if expected < config.poison_starts_min as f64 {
            return None;
        }
        let least = 0.9 * expected - 3.0 * expected.sqrt();
        ((with.starts as f64) < least).then(|| {
            let what = format!(
                "function '{name}': with poison under way {} others started while others waited, \
                 {expected:.0} would have without",
                with.starts
            );
            let others = self
                .others
                .iter()
                .flat_map(|(_, begin, asked)| asked.iter().copied().chain([*begin]));
            violation(Invariant::I11, what, others.chain(self.shown.iter().copied()))
        })
    }

    /// With a poison under way, and without.
    fn rates(&self) -> (Rate, Rate) {
        let poisoned = Spans::new(self.poisons.clone());
        // At each of these instants somebody begins to wait or to run, or poison comes or goes.
        let mut changes: BTreeMap<u64, i64> = BTreeMap::new();
        for (ready, begin, _) in &self.others {
            *changes.entry(*ready).or_default() += 1;
            *changes.entry(begin.at).or_default() -= 1;
        }
        for edge in self.poisons.iter().flat_map(|(begin, end)| [*begin, *end]) {
            changes.entry(edge).or_default();
        }
        let (mut with, mut without) = (Rate::default(), Rate::default());
        let (mut since, mut waiting) = (0, 0);
        for (at, change) in changes {
            if waiting > 0 {
                let rate = if poisoned.touch(since, at) { &mut with } else { &mut without };
                rate.nanos += at - since;
            }
            waiting += change;
            since = at;
        }
        for (ready, begin, _) in &self.others {
            // Who did not wait says nothing of the rate.
            if *ready < begin.at {
                let during = poisoned.touch(begin.at.saturating_sub(1), begin.at);
                (if during { &mut with } else { &mut without }).starts += 1;
            }
        }
        (with, without)
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Ending, Event, Invariant, Outcome, Submission, What};

    /// 400 tasks that wait from the beginning; one starts each 10 ms, with poison under way from second
    /// 1 to 2 each `slow` ms.
    fn history(slow: u64) -> Script {
        let mut script = Script::default();
        let mut now = 10;
        for number in 0..400 {
            let (id, task) = (format!("s{number}"), format!("o{number}"));
            script =
                script.at(0, What::Submit(Submission::new(&id, &task, "p"))).at(1, What::ack(id));
            now += if (1000..2000).contains(&now) { slow } else { 10 };
            let (instance, payload) = ("i".into(), "p".into());
            script = script.at(now, What::AttemptBegin { task, n: 1, instance, fence: 1, payload });
        }
        script
            .accepted(5, |_| {})
            .begin(1000, 1)
            .end(1500, 1, Outcome::FunctionError)
            .terminal(2000, Ending::Failed)
    }

    #[test]
    fn i11_others_keep_nine_tenths_of_their_rate() {
        assert_eq!(history(10).breaks(Invariant::I11), 0);
        assert_eq!(history(11).breaks(Invariant::I11), 0);
        assert_eq!(history(20).breaks(Invariant::I11), 1);
        assert_eq!(history(1000).breaks(Invariant::I11), 1);
    }

    #[test]
    fn i11_what_succeeds_is_no_poison() {
        let mut healthy = history(1000);
        let end = What::Terminal { task: "t".into(), kind: Ending::Succeeded, result: None };
        healthy.events.pop();
        healthy.events.push(Event::new(2_000_000_000, end));
        assert_eq!(healthy.breaks(Invariant::I11), 0);
    }
}
