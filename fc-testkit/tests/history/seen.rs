//! What a history holds, for whoever plants bugs into it.

use std::collections::BTreeMap;

use fc_testkit::history::{Ending, Event, Outcome, What};

use crate::model::MS;
use crate::random::Random;

/// What a task has seen.
#[derive(Default)]
pub(crate) struct One {
    pub(crate) asked: u32,
    pub(crate) asked_at: u64,
    pub(crate) acked: u32,
    pub(crate) acked_at: u64,
    pub(crate) refused: u32,
    pub(crate) unknown: u32,
    pub(crate) delay_ms: u64,
    pub(crate) payload: String,
    pub(crate) begins: Vec<u64>,
    pub(crate) ends: Vec<u64>,
    /// The first failure, directly behind the first attempt, and the next beginning.
    pub(crate) failed: Option<(u64, u64)>,
    pub(crate) ended: u64,
    pub(crate) kind: Option<Ending>,
    pub(crate) expiries: u32,
    pub(crate) told_well: bool,
    pub(crate) letters: u32,
}

impl One {
    /// Asked for once, run once, succeeded.
    pub(crate) fn is_simple(&self) -> bool {
        let once = (self.asked, self.acked, self.begins.len(), self.ends.len()) == (1, 1, 1, 1);
        once && self.kind == Some(Ending::Succeeded) && self.expiries == 0 && self.unknown == 0
    }
}

pub(crate) struct Seen {
    pub(crate) tasks: BTreeMap<String, One>,
    pub(crate) crashes: Vec<u64>,
    /// Host, begin, end.
    pub(crate) drains: Vec<(String, u64, u64)>,
    pub(crate) faults: Vec<u64>,
    /// Long behind all that happened.
    pub(crate) last: u64,
}

impl Seen {
    pub(crate) fn new(events: &[Event]) -> Self {
        let mut tasks: BTreeMap<String, One> = BTreeMap::new();
        let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
        let (mut crashes, mut drains, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for event in events {
            if let What::Submit(submission) = &event.what {
                ids.insert(&submission.id, &submission.task);
            }
        }
        for event in events {
            let name = match &event.what {
                What::Ack { id, .. } | What::Nack { id, .. } | What::Unknown { id } => {
                    ids[id.as_str()]
                }
                what => what.task().unwrap_or_default(),
            };
            let one = tasks.entry(name.to_owned()).or_default();
            let at = event.at;
            match &event.what {
                What::Submit(submission) => {
                    if one.asked == 0 {
                        (one.asked_at, one.delay_ms) = (at, submission.delay_ms);
                        one.payload.clone_from(&submission.payload);
                    }
                    one.asked += 1;
                }
                What::Ack { .. } => (one.acked, one.acked_at) = (one.acked + 1, at),
                What::Nack { code: 500, .. } | What::Unknown { .. } => one.unknown += 1,
                What::Nack { .. } => one.refused += 1,
                What::AttemptBegin { .. } => {
                    if let ([_], Some((_, next @ 0))) = (&one.begins[..], &mut one.failed) {
                        *next = at;
                    }
                    one.begins.push(at);
                }
                What::AttemptEnd { outcome, .. } => {
                    if one.ends.is_empty() && one.begins.len() == 1 && outcome.is_failure() {
                        one.failed = Some((at, 0));
                    }
                    one.unknown += u32::from(*outcome == Outcome::Unknown);
                    one.ends.push(at);
                }
                What::Terminal { kind, .. } => (one.ended, one.kind) = (at, Some(*kind)),
                What::Dest { ok, .. } => one.told_well |= *ok,
                What::Dlq { .. } => one.letters += 1,
                What::LeaseExpired { .. } => one.expiries += 1,
                What::CrashBegin => crashes.push(at),
                What::DrainBegin { .. } => drains.push((event.host.clone(), at, u64::MAX)),
                What::DrainEnd => {
                    let mut of = drains.iter_mut().rev().filter(|drain| drain.0 == event.host);
                    of.next().unwrap().2 = at;
                }
                What::FaultBegin { .. } | What::FaultEnd { .. } | What::CrashEnd => faults.push(at),
                What::StopRequested { .. } => {}
            }
        }
        tasks.remove("");
        for one in tasks.values_mut() {
            one.failed = one.failed.filter(|(_, next)| *next > 0);
        }
        faults.extend(&crashes);
        let last = events.iter().map(|event| event.at).max().unwrap_or(0) + 100_000 * MS;
        Self { tasks, crashes, drains, faults, last }
    }

    pub(crate) fn pick(&self, random: &mut Random, fits: impl Fn(&One) -> bool) -> Option<String> {
        let all: Vec<_> =
            self.tasks.iter().filter(|(_, one)| fits(one)).map(|(name, _)| name).collect();
        random.pick(&all).cloned()
    }

    pub(crate) fn crashed(&self, from: u64, until: u64) -> bool {
        self.crashes.iter().any(|at| (from..=until).contains(at))
    }

    pub(crate) fn draining(&self, from: u64, until: u64) -> bool {
        self.drains.iter().any(|(_, begin, end)| *begin <= until && from <= *end)
    }

    /// A drain without a fault anywhere near.
    pub(crate) fn calm_drain(&self, random: &mut Random) -> Option<(String, u64, u64)> {
        let near = |at: &u64, from: u64, until: u64| {
            (from.saturating_sub(5000 * MS)..=until + 5000 * MS).contains(at)
        };
        let calm = self.drains.iter().filter(|(_, from, until)| {
            let others =
                self.drains.iter().filter(|(_, begin, _)| near(begin, *from, *until)).count();
            others == 1 && !self.faults.iter().any(|at| near(at, *from, *until))
        });
        random.pick(&calm.collect::<Vec<_>>()).cloned()
    }
}
