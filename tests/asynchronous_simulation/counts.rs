//! What engines count, against what clients, functions and the queue's callers saw (I32).
//!
//! Nothing here asks an engine what it has done but for the numbers that are judged.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use fc::core::ErrorKind;
use fc::core::port::queue::{LeaseToken, Leased, Settlement, Verdict};
use fc::queue::EngineCounters;
use fc::queue::core::envelope::Envelope;
use fc::queue::core::retry::Progress;
use fc::{Error, Result};
use fc_testkit::history::{Ending, Event, Outcome, What};

use crate::truth::record_of;

/// Numbers of one life by name.
pub(crate) type Numbers = HashMap<&'static str, u64>;

/// What was seen of one process at its edges.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What clients were told, what functions were asked, what the queue confirmed.
    numbers: Numbers,
    /// Leases that it has, and the note that each came with.
    leases: HashMap<LeaseToken, Lease>,
}

#[derive(Debug, Default)]
struct Lease {
    attempts: u32,
    /// A settlement of it had no answer.
    may_be_settled: bool,
}

impl Seen {
    fn add(&mut self, name: &'static str) {
        *self.numbers.entry(name).or_default() += 1;
    }

    pub(crate) fn answered<T>(&mut self, answer: &Result<T>) {
        self.add(match answer.as_ref().map_err(Error::kind) {
            Ok(_) => "accepted",
            Err(ErrorKind::TaskAlreadyExists) => "duplicates",
            Err(ErrorKind::ResourceExhausted | ErrorKind::ResourceThrottled) => "refused for now",
            Err(ErrorKind::Unknown) => "unknown",
            Err(_) => "refused",
        });
    }

    pub(crate) fn asked(&mut self) {
        self.add("begun");
    }

    pub(crate) fn leased(&mut self, leased: &[Leased]) {
        for one in leased {
            self.add("leases");
            let lease = Lease { attempts: attempts_of(&one.note), may_be_settled: false };
            self.leases.insert(one.token.clone(), lease);
        }
    }

    pub(crate) fn cancelled(&mut self) {
        self.add("cancelled");
    }

    /// An answer to a settlement; `recorded` is how the task ended by its record. The outer `None`: no
    /// record is kept of it.
    pub(crate) fn settled(
        &mut self,
        token: &LeaseToken,
        settlement: &Settlement,
        answer: &Result<()>,
        recorded: Option<Option<Ending>>,
    ) {
        let lease = self.leases.entry(token.clone()).or_default();
        match answer.as_ref().map_err(Error::kind) {
            Ok(()) => {}
            Err(ErrorKind::Conflict) if lease.may_be_settled => {}
            Err(ErrorKind::Unknown) => {
                lease.may_be_settled = true;
                return;
            }
            Err(_) => return,
        }
        let before = lease.attempts;
        self.add("settled");
        let name = match &settlement.verdict {
            Verdict::Retry { note, .. } if attempts_of(note) > before => "retries",
            Verdict::Retry { .. } => "given back",
            Verdict::Bury { .. } | Verdict::Done => {
                if matches!(settlement.verdict, Verdict::Bury { .. }) {
                    self.add("dead letters");
                }
                let ending = match (recorded.flatten(), ending_of(settlement)) {
                    (Some(recorded), _) => Some(recorded),
                    (None, Some(told)) => Some(told),
                    // Without a record that is kept of it: it may be one that was taken back.
                    (None, None) => recorded.is_none().then_some(Ending::Succeeded),
                };
                match ending {
                    Some(Ending::Succeeded) => "succeeded",
                    Some(Ending::Failed) => "failed",
                    Some(Ending::Expired) => "expired",
                    Some(Ending::Cancelled) => "stopped",
                    None => "unclear",
                }
            }
        };
        self.add(name);
    }

    pub(crate) fn numbers(&self) -> Numbers {
        self.numbers.clone()
    }
}

fn attempts_of(note: &Bytes) -> u32 {
    if note.is_empty() { 0 } else { Progress::decode(note).unwrap().attempts() }
}

/// How a task has ended by what its settlement says, if that says it.
fn ending_of(settlement: &Settlement) -> Option<Ending> {
    let told = settlement.follow_ups.first().and_then(|follow_up| {
        let envelope = Envelope::decode(&follow_up.task.payload).unwrap();
        record_of(&envelope.body)
    });
    match (&settlement.verdict, told) {
        (_, Some(told)) => Some(told.ending),
        (Verdict::Bury { reason, .. }, None) if reason.starts_with("Expired") => {
            Some(Ending::Expired)
        }
        (Verdict::Bury { .. }, None) => Some(Ending::Failed),
        (_, None) => None,
    }
}

/// One life of a process that is over, or of one that is idle.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) host: String,
    /// It died: what it was about to count it has not.
    pub(crate) has_died: bool,
    /// It was told to finish.
    pub(crate) has_drained: bool,
    pub(crate) seen: Numbers,
    pub(crate) counters: EngineCounters,
}

/// What the counters of all lives say that is not so.
pub(crate) fn judge(lives: &[Counted], events: &[Event], is_calm: bool) -> Vec<String> {
    let mut wrong: Vec<String> = lives.iter().flat_map(|life| of_life(life, events)).collect();
    let sum = |of: fn(&EngineCounters) -> u64| lives.iter().map(|life| of(&life.counters)).sum();
    let count =
        |of: &dyn Fn(&Event) -> bool| events.iter().filter(|event| of(event)).count() as u64;
    let mut equal = |name: &str, counted: u64, happened: u64| {
        if counted != happened {
            wrong.push(format!("I32: {name}: {counted} counted, {happened} in the history"));
        }
    };
    let acks = count(&|event| event.host == "client" && matches!(event.what, What::Ack { .. }));
    equal("acknowledged", sum(|c| c.submissions.accepted), acks);
    let nacks = count(&|event| matches!(event.what, What::Nack { code: 409, .. }));
    equal("duplicates", sum(|c| c.submissions.duplicates), nacks);
    if !is_calm {
        return wrong;
    }
    // Nothing was cut off, lost or done twice: all of the platform's own events were counted.
    let ended = |ending: Ending| {
        count(&|event| matches!(event.what, What::Terminal { kind, .. } if kind == ending))
    };
    equal("succeeded", sum(|c| c.ended.succeeded), ended(Ending::Succeeded));
    equal("failed", sum(|c| c.ended.failed + c.ended.invalid), ended(Ending::Failed));
    equal("expired", sum(|c| c.ended.expired), ended(Ending::Expired));
    equal("stopped", sum(|c| c.ended.stopped), ended(Ending::Cancelled));
    equal("dead letters", sum(|c| c.dead_letters), count(&|e| matches!(e.what, What::Dlq { .. })));
    let expired = count(&|event| matches!(event.what, What::LeaseExpired { .. }));
    equal("leases lost", sum(|c| c.leases_lost), expired);
    wrong
}

/// Where a number is.
pub(crate) type Place = fn(&mut EngineCounters) -> &mut u64;

/// Every number that there is, by name.
pub(crate) const ALL: [(&str, Place); 27] = [
    ("submissions.accepted", |c| &mut c.submissions.accepted),
    ("submissions.duplicates", |c| &mut c.submissions.duplicates),
    ("submissions.too_large", |c| &mut c.submissions.too_large),
    ("submissions.throttled", |c| &mut c.submissions.throttled),
    ("submissions.refused", |c| &mut c.submissions.refused),
    ("submissions.unknown", |c| &mut c.submissions.unknown),
    ("leases", |c| &mut c.leases),
    ("leases_lost", |c| &mut c.leases_lost),
    ("attempts.begun", |c| &mut c.attempts.begun),
    ("attempts.succeeded", |c| &mut c.attempts.succeeded),
    ("attempts.function_errors", |c| &mut c.attempts.function_errors),
    ("attempts.throttled", |c| &mut c.attempts.throttled),
    ("attempts.system_errors", |c| &mut c.attempts.system_errors),
    ("attempts.invalid", |c| &mut c.attempts.invalid),
    ("attempts.cut", |c| &mut c.attempts.cut),
    ("retries", |c| &mut c.retries),
    ("given_back", |c| &mut c.given_back),
    ("ended.succeeded", |c| &mut c.ended.succeeded),
    ("ended.failed", |c| &mut c.ended.failed),
    ("ended.expired", |c| &mut c.ended.expired),
    ("ended.stopped", |c| &mut c.ended.stopped),
    ("ended.invalid", |c| &mut c.ended.invalid),
    ("withdrawn", |c| &mut c.withdrawn),
    ("dead_letters", |c| &mut c.dead_letters),
    ("deliveries.done", |c| &mut c.deliveries.done),
    ("deliveries.retried", |c| &mut c.deliveries.retried),
    ("deliveries.dead", |c| &mut c.deliveries.dead),
];

fn of(numbers: &Numbers, name: &str) -> u64 {
    numbers.get(name).copied().unwrap_or_default()
}

/// What one life has counted, against what was seen of it.
fn of_life(life: &Counted, events: &[Event]) -> Vec<String> {
    let Counted { host, has_died, has_drained, seen, counters } = life;
    let EngineCounters { submissions, attempts, ended, deliveries, .. } = counters;
    let mut wrong = Vec::new();
    let mut within = |name: &str, counted: u64, seen: RangeInclusive<u64>| {
        if !seen.contains(&counted) {
            wrong.push(format!("I32: {host}: {name}: {counted} counted, {seen:?} seen"));
        }
    };
    let exactly = |seen: u64| seen..=seen;
    within("accepted", submissions.accepted, exactly(of(seen, "accepted")));
    within("duplicates", submissions.duplicates, exactly(of(seen, "duplicates")));
    within("refused for now", submissions.throttled, exactly(of(seen, "refused for now")));
    within("unknown", submissions.unknown, exactly(of(seen, "unknown")));
    // No payload is too large here.
    within("too large", submissions.too_large, exactly(0));
    within("refused", submissions.refused, exactly(of(seen, "refused")));

    within("attempts begun", attempts.begun, exactly(of(seen, "begun")));
    let here = || events.iter().filter(|event| event.host == *host);
    let ends = |is: Outcome| {
        let ends = here().filter(
            |event| matches!(event.what, What::AttemptEnd { outcome, .. } if outcome == is),
        );
        ends.count() as u64
    };
    within("attempts succeeded", attempts.succeeded, exactly(ends(Outcome::Success)));
    within("function errors", attempts.function_errors, exactly(ends(Outcome::FunctionError)));
    within("attempts throttled", attempts.throttled, exactly(ends(Outcome::Throttled)));
    within("system errors", attempts.system_errors, exactly(ends(Outcome::SystemError)));
    within("attempts invalid", attempts.invalid, exactly(0));
    let cut = ends(Outcome::Unknown);
    let answered =
        here().filter(|event| matches!(event.what, What::AttemptEnd { .. })).count() as u64;
    // A life that dies while it drains may have let go of more that very moment; nobody was told.
    let most = if *has_died { cut + of(seen, "begun").saturating_sub(answered) } else { cut };
    within("attempts cut", attempts.cut, cut..=most);

    within("dead letters", counters.dead_letters, exactly(of(seen, "dead letters")));
    within("deliveries", deliveries.done + deliveries.retried, exactly(0));
    within("deliveries given up", deliveries.dead, exactly(0));
    let put_back = of(seen, "retries") + of(seen, "given back");
    within("put back", counters.retries + counters.given_back, exactly(put_back));
    if !has_drained {
        // What a drain lets go of looks like one more attempt.
        within("retries", counters.retries, exactly(of(seen, "retries")));
    }
    within("failed", ended.failed, exactly(of(seen, "failed")));
    within("expired", ended.expired, exactly(of(seen, "expired")));
    within("invalid", ended.invalid, exactly(0));
    let unclear = of(seen, "unclear");
    let over = ended.succeeded + ended.stopped + counters.withdrawn;
    let stopped = of(seen, "stopped") + of(seen, "cancelled");
    within("over", over, exactly(of(seen, "succeeded") + stopped + unclear));
    let begun = here().filter(|event| matches!(event.what, What::AttemptBegin { .. })).count();
    let most = if *has_died { attempts.begun } else { begun as u64 };
    within("attempts that functions saw", attempts.begun, begun as u64..=most);
    let succeeded = of(seen, "succeeded");
    within("succeeded", ended.succeeded, succeeded..=succeeded + unclear);
    within("stopped", ended.stopped, stopped..=stopped + unclear);

    // One that has died may not have looked at what it leased.
    let most = of(seen, "leases");
    within("leases", counters.leases, if *has_died { 0 } else { most }..=most);
    let ran = attempts.succeeded + attempts.function_errors;
    let did_not = attempts.throttled + attempts.system_errors + attempts.cut;
    if !has_died && !has_drained && attempts.begun == ran + did_not {
        let lost = of(seen, "leases").saturating_sub(of(seen, "settled"));
        within("leases lost", counters.leases_lost, exactly(lost));
    }
    wrong
}
