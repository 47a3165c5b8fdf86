//! A history by its tasks.

use std::collections::{BTreeMap, HashMap};

use super::spans::Spans;
use super::{Branch, Ending, Event, Outcome, Submission, What};

/// A history by its tasks: what the rules look things up in.
pub(super) struct Timeline<'e> {
    /// In the order of time.
    pub(super) events: Vec<&'e Event>,
    pub(super) tasks: BTreeMap<&'e str, Task<'e>>,
    /// Where crashes begin.
    crashes: Vec<&'e Event>,
    /// By host, in the order of their beginnings.
    pub(super) drains: BTreeMap<&'e str, Vec<Drain<'e>>>,
    /// Crashes and injected faults.
    pub(super) faults: Spans,
    /// Drains.
    pub(super) draining: Spans,
    /// All attempts.
    pub(super) running: Spans,
}

/// What is known of one task.
#[derive(Default)]
pub(super) struct Task<'e> {
    pub(super) asked: Vec<Asked<'e>>,
    /// In the order of their beginnings.
    pub(super) attempts: Vec<Attempt<'e>>,
    pub(super) terminals: Vec<Terminal<'e>>,
    pub(super) dests: Vec<Dest<'e>>,
    pub(super) dlq: Vec<&'e Event>,
    pub(super) expiries: Vec<&'e Event>,
    pub(super) stops: Vec<&'e Event>,
    /// The last event that names it.
    pub(super) last: u64,
    /// Attempts without an end, by their token.
    open: HashMap<u64, Vec<usize>>,
}

/// A submission and its answer.
pub(super) struct Asked<'e> {
    pub(super) event: &'e Event,
    pub(super) submission: &'e Submission,
    pub(super) answer: Answer<'e>,
}

#[derive(Clone, Copy)]
pub(super) enum Answer<'e> {
    /// 202, and the handle.
    Accepted(&'e Event, Option<&'e str>),
    /// Said not to be done.
    Refused(&'e Event),
    /// Nobody knows.
    Open(Option<&'e Event>),
}

pub(super) struct Attempt<'e> {
    pub(super) event: &'e Event,
    pub(super) fence: u64,
    pub(super) payload: &'e str,
    pub(super) end: Option<(&'e Event, Outcome)>,
}

pub(super) struct Terminal<'e> {
    pub(super) event: &'e Event,
    pub(super) kind: Ending,
    pub(super) result: Option<&'e str>,
}

pub(super) struct Dest<'e> {
    pub(super) event: &'e Event,
    pub(super) branch: Branch,
    pub(super) ok: bool,
    pub(super) body: Option<&'e str>,
}

pub(super) struct Drain<'e> {
    pub(super) begin: &'e Event,
    /// When the last of the running must be over.
    pub(super) deadline: u64,
    pub(super) end: Option<&'e Event>,
}

impl<'e> Drain<'e> {
    pub(super) fn over(&self) -> u64 {
        self.end.map_or(u64::MAX, |end| end.at)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &'e Event> + use<'e> {
        [self.begin].into_iter().chain(self.end)
    }
}

pub(super) const MS: u64 = 1_000_000;

impl<'e> Timeline<'e> {
    pub(super) fn new(events: &'e [Event]) -> Self {
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by_key(|event| event.at);
        let mut tasks: BTreeMap<&str, Task<'_>> = BTreeMap::new();
        let answers = answers(&sorted);
        for event in &sorted {
            if let Some(name) = event.what.task() {
                tasks.entry(name).or_default().note(event, &answers);
            }
        }
        let (crashes, faults) = faults(&sorted);
        let drains = drains(&sorted);
        let draining =
            drains.values().flatten().map(|drain| (drain.begin.at, drain.over())).collect();
        let running = tasks.values().flat_map(|task| &task.attempts);
        let running = running.map(|one| (one.event.at, over(one, &crashes))).collect();
        Self {
            events: sorted,
            tasks,
            crashes,
            drains,
            faults: Spans::new(faults),
            draining: Spans::new(draining),
            running: Spans::new(running),
        }
    }

    /// The crashes that began in `from..=until`.
    pub(super) fn crashes(&self, from: u64, until: u64) -> &[&'e Event] {
        let first = self.crashes.partition_point(|event| event.at < from);
        let end = self.crashes.partition_point(|event| event.at <= until);
        &self.crashes[first..end.max(first)]
    }

    /// The drain of its host that was under way when an attempt began.
    pub(super) fn drain_at(&self, begin: &Event) -> Option<&Drain<'e>> {
        let drains = self.drains.get(begin.host.as_str())?;
        let index = drains.partition_point(|drain| drain.begin.at < begin.at).checked_sub(1)?;
        Some(&drains[index]).filter(|drain| begin.at < drain.over())
    }

    /// The first drain of its host behind the beginning of an attempt.
    pub(super) fn drain_behind(&self, begin: &Event) -> Option<&Drain<'e>> {
        let drains = self.drains.get(begin.host.as_str())?;
        drains.get(drains.partition_point(|drain| drain.begin.at < begin.at))
    }

    /// What may have made the platform run a task once more, until then: crashes, expired leases,
    /// outcomes that nobody knows.
    pub(super) fn excuses(&self, task: &Task<'e>, until: u64) -> Vec<&'e Event> {
        let from = task.asked.iter().map(|asked| asked.event.at);
        let from = from.chain(task.attempts.first().map(|first| first.event.at)).min();
        let mut excuses = self.crashes(from.unwrap_or(0), until).to_vec();
        excuses.extend(task.expiries.iter().filter(|event| event.at <= until));
        let unknown = task.attempts.iter().filter_map(|attempt| match attempt.end {
            Some((event, Outcome::Unknown)) if event.at <= until => Some(event),
            _ => None,
        });
        excuses.extend(unknown);
        excuses.extend(task.asked.iter().filter_map(|asked| match asked.answer {
            Answer::Open(event) => Some(event.unwrap_or(asked.event)),
            _ => None,
        }));
        excuses
    }
}

impl<'e> Task<'e> {
    fn note(&mut self, event: &'e Event, answers: &HashMap<&'e str, Answer<'e>>) {
        self.last = event.at;
        match &event.what {
            What::Submit(submission) => {
                let answer = answers.get(submission.id.as_str()).copied();
                let answer = answer.unwrap_or(Answer::Open(None));
                if let Answer::Accepted(event, _) | Answer::Refused(event) = answer {
                    self.last = self.last.max(event.at);
                }
                self.asked.push(Asked { event, submission, answer });
            }
            What::AttemptBegin { fence, payload, .. } => {
                self.open.entry(*fence).or_default().push(self.attempts.len());
                self.attempts.push(Attempt { event, fence: *fence, payload, end: None });
            }
            What::AttemptEnd { fence, outcome, .. } => {
                if let Some(index) = self.open.get_mut(fence).and_then(Vec::pop) {
                    self.attempts[index].end = Some((event, *outcome));
                }
            }
            What::Terminal { kind, result, .. } => {
                self.terminals.push(Terminal { event, kind: *kind, result: result.as_deref() });
            }
            What::Dest { branch, ok, body, .. } => {
                self.dests.push(Dest { event, branch: *branch, ok: *ok, body: body.as_deref() });
            }
            What::Dlq { .. } => self.dlq.push(event),
            What::StopRequested { .. } => self.stops.push(event),
            What::LeaseExpired { .. } => self.expiries.push(event),
            _ => {}
        }
    }

    /// Submissions that were acknowledged, and the acknowledgements.
    pub(super) fn accepted(
        &self,
    ) -> impl Iterator<Item = (&Asked<'e>, &'e Event, Option<&'e str>)> {
        self.asked.iter().filter_map(|asked| match asked.answer {
            Answer::Accepted(event, handle) => Some((asked, event, handle)),
            _ => None,
        })
    }

    /// All submissions and their answers.
    pub(super) fn asking(&self) -> impl Iterator<Item = &'e Event> {
        self.asked.iter().flat_map(|asked| {
            let answer = match asked.answer {
                Answer::Accepted(event, _) | Answer::Refused(event) => Some(event),
                Answer::Open(event) => event,
            };
            [asked.event].into_iter().chain(answer)
        })
    }

    /// Submissions that may be done.
    pub(super) fn not_refused(&self) -> impl Iterator<Item = &Asked<'e>> {
        self.asked.iter().filter(|asked| !matches!(asked.answer, Answer::Refused(_)))
    }

    /// Whether several tasks go by this name: then I10 is broken, and what counts per task cannot be
    /// counted.
    pub(super) fn is_several(&self) -> bool {
        let mut handles: Vec<_> = self.accepted().filter_map(|(_, _, handle)| handle).collect();
        handles.sort_unstable();
        handles.dedup();
        handles.len() > 1 || self.payloads().len() > 1
    }

    /// The first attempt for each payload that was submitted and not refused.
    pub(super) fn payloads(&self) -> BTreeMap<&'e str, (&'e Event, &'e Event)> {
        let mut run = BTreeMap::new();
        for asked in self.not_refused() {
            let payload = asked.submission.payload.as_str();
            let first = self.attempts.iter().find(|attempt| attempt.payload == payload);
            if let Some(first) = first {
                run.entry(payload).or_insert((asked.event, first.event));
            }
        }
        run
    }

    /// The first attempt behind the end of it all whose token is newer than all before.
    pub(super) fn risen(&self) -> Option<&Attempt<'e>> {
        let over = self.terminals.first()?.event.at;
        let (before, behind): (Vec<_>, Vec<_>) =
            self.attempts.iter().partition(|attempt| attempt.event.at <= over);
        let newest = before.iter().map(|attempt| attempt.fence).max();
        behind.into_iter().find(|attempt| newest.is_none_or(|newest| attempt.fence > newest))
    }

    /// The attempts that are not behind the end of it all: those are I9's.
    pub(super) fn live(&self) -> &[Attempt<'e>] {
        let risen = self.risen().map(|risen| risen.event);
        let until = risen.and_then(|risen| {
            self.attempts.iter().position(|attempt| std::ptr::eq(attempt.event, risen))
        });
        &self.attempts[..until.unwrap_or(self.attempts.len())]
    }
}

impl Attempt<'_> {
    pub(super) fn ended(&self) -> Option<u64> {
        self.end.map(|(event, _)| event.at)
    }

    /// When it failed, if it did.
    pub(super) fn failed(&self) -> Option<u64> {
        self.end.filter(|(_, outcome)| outcome.is_failure()).map(|(event, _)| event.at)
    }
}

/// When an attempt was over: with its end, or with its host's process.
fn over(attempt: &Attempt<'_>, crashes: &[&Event]) -> u64 {
    let began = attempt.event;
    attempt.ended().unwrap_or_else(|| {
        let behind = crashes.partition_point(|crash| crash.at < began.at);
        let crash = crashes[behind..].iter().find(|crash| crash.host == began.host);
        crash.map_or(u64::MAX, |crash| crash.at)
    })
}

fn answers<'e>(events: &[&'e Event]) -> HashMap<&'e str, Answer<'e>> {
    let mut answers: HashMap<&str, Answer<'_>> = HashMap::new();
    for event in events {
        let (id, answer) = match &event.what {
            What::Ack { id, handle } => (id, Answer::Accepted(event, handle.as_deref())),
            What::Nack { id, code: 400..=499 | 503 } => (id, Answer::Refused(event)),
            What::Nack { id, .. } | What::Unknown { id } => (id, Answer::Open(Some(event))),
            _ => continue,
        };
        let known = answers.entry(id).or_insert(answer);
        if matches!(known, Answer::Open(_)) {
            *known = answer;
        }
    }
    answers
}

type Stretches = Vec<(u64, u64)>;

/// Where crashes begin, and the stretches of crashes and faults.
fn faults<'e>(events: &[&'e Event]) -> (Vec<&'e Event>, Stretches) {
    let mut crashes = Vec::new();
    let mut spans: Stretches = Vec::new();
    let mut open: HashMap<(&str, &str), usize> = HashMap::new();
    for event in events {
        let (begins, kind) = match &event.what {
            What::CrashBegin => (true, ""),
            What::CrashEnd => (false, ""),
            What::FaultBegin { kind } => (true, kind.as_str()),
            What::FaultEnd { kind } => (false, kind.as_str()),
            _ => continue,
        };
        // A fault may be ended by another host than the one where it began; a crash not.
        let key = (if kind.is_empty() { event.host.as_str() } else { "" }, kind);
        if begins {
            if kind.is_empty() {
                crashes.push(*event);
            }
            open.insert(key, spans.len());
            spans.push((event.at, u64::MAX));
        } else if let Some(index) = open.remove(&key) {
            spans[index].1 = event.at;
        }
    }
    (crashes, spans)
}

fn drains<'e>(events: &[&'e Event]) -> BTreeMap<&'e str, Vec<Drain<'e>>> {
    let mut drains: BTreeMap<&str, Vec<Drain<'_>>> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::DrainBegin { deadline_ms } => {
                let deadline = event.at.saturating_add(deadline_ms.saturating_mul(MS));
                let drain = Drain { begin: event, deadline, end: None };
                drains.entry(&event.host).or_default().push(drain);
            }
            What::DrainEnd => {
                let of = drains.get_mut(event.host.as_str());
                if let Some(last) = of.and_then(|drains| drains.last_mut()) {
                    last.end.get_or_insert(event);
                }
            }
            _ => {}
        }
    }
    drains
}
