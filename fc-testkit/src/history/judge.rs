//! Who says what is broken.

use std::fmt;
use std::time::Duration;

use super::rules;
use super::timeline::Timeline;
use super::{Event, What};

/// What can be broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Invariant {
    /// Not a broken promise: the run shows too little to be believed.
    Vacuous,
    /// No acknowledged invocation is lost: exactly one end for each.
    I1,
    /// No phantom, nothing altered.
    I2,
    /// At least once, with bounded duplicates.
    I3,
    /// Refused means never executed.
    I4,
    /// A delay is never cut short, and at idle is hardly exceeded.
    I5,
    /// Back-off, and the number of attempts.
    I6,
    /// Nothing begins after its time to live; what expires is reported.
    I7,
    /// Destinations: at least once, the right one, with what was recorded.
    I8,
    /// The end is final.
    I9,
    /// One id, one task.
    I10,
    /// What is poison does not starve the rest.
    I11,
    /// Chains end at their depth.
    I12,
    /// A drain loses nothing.
    I28,
}

/// What was broken, and where it shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which invariant.
    pub invariant: Invariant,
    /// How.
    pub explanation: String,
    /// The smallest part of the history that shows it, in the order of time. Judged alone, it is
    /// broken in the same way. Beside what is wrong it holds what might have excused it.
    pub events: Vec<Event>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.explanation)?;
        for event in &self.events {
            let line = serde_json::to_string(event).map_err(|_| fmt::Error)?;
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// The gaps before attempts of one class: the k-th is at least `base · growth^(k-1)`, or `cap`. Jitter
/// only adds; a class whose jitter takes away has a `base` of zero here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Before the first retry.
    pub base: Duration,
    /// By what each gap is longer than the one before.
    pub growth: u32,
    /// No gap need be longer.
    pub cap: Duration,
}

impl Schedule {
    /// Doubling from `base` to `cap`.
    pub const fn doubling(base: Duration, cap: Duration) -> Self {
        Self { base, growth: 2, cap }
    }

    /// The shortest gap before the k-th retry, ns.
    pub(super) fn gap(&self, k: u32) -> u64 {
        let grown = u64::from(self.growth).saturating_pow(k.saturating_sub(1));
        nanos(self.base).saturating_mul(grown).min(nanos(self.cap))
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What was promised.
#[derive(Clone, Debug)]
pub struct JudgeConfig {
    /// How often a function is run again after it has failed. Default 3.
    pub function_retries: u32,
    /// After errors of the function. Default: 0.5 s doubling to 5 min.
    pub function: Schedule,
    /// After throttling. The same default.
    pub throttled: Schedule,
    /// After errors of the platform. The same default.
    pub system: Schedule,
    /// For submissions that name none. Default 5 h.
    pub ttl: Duration,
    /// Longest chain of destinations; what a caller submits has depth 0. Default 16.
    pub depth_max: u32,
    /// How late an idle platform may be. Default 1 s; `None` where lateness is not judged.
    pub late_max: Option<Duration>,
    /// What the clocks of platform and witness may differ by. Default zero: they are one.
    pub slack: Duration,
    /// Starts that must be seen with and without poison before their rates are compared. Default 50.
    pub poison_starts_min: usize,
    /// Percent of the submissions that must be acknowledged for a run to count. Default 50.
    pub acked_percent_min: u32,
    /// The faults that must have fired for a run to count; `crash` is one.
    pub faults: Vec<String>,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        let doubling = Schedule::doubling(Duration::from_millis(500), Duration::from_secs(300));
        Self {
            function_retries: 3,
            function: doubling,
            throttled: doubling,
            system: doubling,
            ttl: Duration::from_secs(5 * 3600),
            depth_max: 16,
            late_max: Some(Duration::from_secs(1)),
            slack: Duration::ZERO,
            poison_starts_min: 50,
            acked_percent_min: 50,
            faults: Vec::new(),
        }
    }
}

/// Judges histories.
#[derive(Clone, Debug)]
pub struct Judge {
    config: JudgeConfig,
}

impl Judge {
    /// By these promises.
    pub fn new(config: JudgeConfig) -> Self {
        Self { config }
    }

    /// What a history breaks; the order of its events does not matter. O(n log n).
    pub fn judge(&self, events: &[Event]) -> Vec<Violation> {
        let timeline = Timeline::new(events);
        let mut violations: Vec<_> = self.vacuous(&timeline).into_iter().collect();
        for (_, rule) in rules::ALL {
            violations.extend(rule(&timeline, &self.config));
        }
        violations
    }

    /// What a history breaks of one invariant.
    pub fn judge_by(&self, invariant: Invariant, events: &[Event]) -> Vec<Violation> {
        let timeline = Timeline::new(events);
        let rules = rules::ALL.iter().filter(|(of, _)| *of == invariant);
        rules.flat_map(|(_, rule)| rule(&timeline, &self.config)).collect()
    }

    fn vacuous(&self, timeline: &Timeline<'_>) -> Option<Violation> {
        let asked: usize = timeline.tasks.values().map(|task| task.asked.len()).sum();
        let acked: usize = timeline.tasks.values().map(|task| task.accepted().count()).sum();
        let fired = |fault: &&String| {
            !timeline.events.iter().any(|event| match &event.what {
                What::FaultBegin { kind } => kind == *fault,
                What::CrashBegin => *fault == "crash",
                _ => false,
            })
        };
        let missing: Vec<_> = self.config.faults.iter().filter(fired).collect();
        let percent = self.config.acked_percent_min as usize;
        let explanation = if asked == 0 || acked * 100 < asked * percent {
            format!("{acked} of {asked} submissions were acknowledged, {percent} % must be")
        } else if !missing.is_empty() {
            format!("these faults never fired: {missing:?}")
        } else {
            return None;
        };
        Some(Violation { invariant: Invariant::Vacuous, explanation, events: Vec::new() })
    }
}

/// A violation that these events show.
pub(super) fn violation<'e>(
    invariant: Invariant,
    explanation: String,
    events: impl IntoIterator<Item = &'e Event>,
) -> Violation {
    let mut events: Vec<&Event> = events.into_iter().collect();
    events.sort_by_key(|event| event.at);
    let mut seen = std::collections::HashSet::new();
    events.retain(|event| seen.insert(std::ptr::from_ref(*event)));
    Violation { invariant, explanation, events: events.into_iter().cloned().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Submission;

    fn vacuous(events: &[Event], faults: &[&str]) -> bool {
        let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
        let judge = Judge::new(JudgeConfig { faults, ..JudgeConfig::default() });
        judge.judge(events).iter().any(|found| found.invariant == Invariant::Vacuous)
    }

    #[test]
    fn a_run_that_shows_nothing_is_vacuous() {
        let submit = |id: &str| Event::new(1, What::Submit(Submission::new(id, id, "p")));
        let half = [submit("a"), submit("b"), Event::new(2, What::ack("a"))];
        assert!(vacuous(&[], &[]));
        assert!(!vacuous(&half, &[]));
        assert!(vacuous(&[half.to_vec(), vec![submit("c")]].concat(), &[]));
        let fault = Event::new(3, What::FaultBegin { kind: "disk".into() });
        let with = [half.to_vec(), vec![fault]].concat();
        assert!(!vacuous(&with, &["disk"]));
        assert!(vacuous(&with, &["disk", "crash"]));
        let crashed = [with, vec![Event::new(4, What::CrashBegin)]].concat();
        assert!(!vacuous(&crashed, &["disk", "crash"]));
    }
}
