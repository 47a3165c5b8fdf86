//! A tiny model of a correct queue: random valid histories, one for each seed.

use std::collections::VecDeque;

use fc_testkit::history::{Destinations, Ending, Event, Outcome, Submission, What};

use crate::random::Random;

pub(crate) const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const DAY: u64 = 24 * 3600 * SECOND;

/// When a host is not there: it crashed, or drains.
struct Down {
    host: &'static str,
    from: u64,
    until: u64,
    crash: bool,
}

/// A task that somebody asks for.
struct Wish {
    name: String,
    at: u64,
    parent: Option<String>,
    /// How many of its line still follow.
    line: u32,
}

pub(crate) struct Model {
    random: Random,
    prefix: String,
    events: Vec<Event>,
    downs: Vec<Down>,
    fence: u64,
    wishes: VecDeque<Wish>,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let prefix = String::new();
        let (events, downs, wishes) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { random: Random::new(seed), prefix, events, downs, fence: 0, wishes }
    }

    /// With this in front of all names.
    pub(crate) fn named(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    pub(crate) fn run(mut self) -> Vec<Event> {
        self.troubles();
        let count = self.random.range(20, 60);
        for number in 0..count {
            let at = self.random.range(SECOND, 60 * SECOND);
            let name = format!("{}t{number}", self.prefix);
            let line = if self.random.percent(2) { 16 } else { 0 };
            self.wishes.push_back(Wish { name, at, parent: None, line });
        }
        while let Some(wish) = self.wishes.pop_front() {
            self.task(&wish);
        }
        self.events.sort_by_key(|event| event.at);
        self.events
    }

    fn say(&mut self, at: u64, host: &str, what: What) {
        self.events.push(Event { at, wall: at / MS, host: host.to_owned(), what });
    }

    fn troubles(&mut self) {
        for host in ["a", "b"] {
            for _ in 0..self.random.range(0, 3) {
                let from = self.random.range(SECOND, 70 * SECOND);
                let crash = self.random.percent(60);
                let until =
                    from + if crash { self.random.range(100 * MS, 3 * SECOND) } else { 4 * SECOND };
                // One trouble of a host at a time.
                if self.downs.iter().any(|down| {
                    down.host == host
                        && down.from < until + 5 * SECOND
                        && from < down.until + 5 * SECOND
                }) {
                    continue;
                }
                let (begins, ends) = if crash {
                    (What::CrashBegin, What::CrashEnd)
                } else {
                    (What::DrainBegin { deadline_ms: 3000 }, What::DrainEnd)
                };
                self.say(from, host, begins);
                self.say(until, host, ends);
                self.downs.push(Down { host, from, until, crash });
            }
        }
        if self.random.percent(30) {
            let from = self.random.range(SECOND, 60 * SECOND);
            let kind = "disk".to_owned();
            self.say(from, "a", What::FaultBegin { kind: kind.clone() });
            self.say(from + 2 * SECOND, "b", What::FaultEnd { kind });
        }
    }

    /// When, from then on, which host is there.
    fn host(&mut self, mut at: u64) -> (u64, &'static str) {
        loop {
            let up = |host: &&str| {
                !self
                    .downs
                    .iter()
                    .any(|down| down.host == *host && (down.from..=down.until).contains(&at))
            };
            let hosts: Vec<_> = ["a", "b"].into_iter().filter(up).collect();
            if let Some(host) = self.random.pick(&hosts) {
                return (at, host);
            }
            let ends = self.downs.iter().map(|down| down.until).filter(|until| *until >= at);
            at = ends.min().unwrap_or(at) + MS;
        }
    }

    fn crash_within(&self, host: &str, from: u64, until: u64) -> Option<&Down> {
        self.downs
            .iter()
            .find(|down| down.crash && down.host == host && (from..=until).contains(&down.from))
    }

    fn is_draining(&self, at: u64) -> bool {
        self.downs.iter().any(|down| !down.crash && (down.from..=down.until).contains(&at))
    }

    fn task(&mut self, wish: &Wish) {
        let random = &mut self.random;
        let mut submission = Submission::new(
            format!("{}#1", wish.name),
            wish.name.clone(),
            format!("hash of {}", wish.name),
        );
        submission.function = format!("f{}", random.range(0, 3));
        submission.parent.clone_from(&wish.parent);
        if random.percent(30) {
            submission.delay_ms = random.range(1, 20_000);
        }
        if random.percent(25) {
            submission.ttl_ms = Some(random.range(1000, 30_000));
        }
        let (success, failure, dlq) = (random.percent(60), random.percent(60), random.percent(50));
        submission.destinations = Destinations { success, failure, dlq };
        let Some(accepted) = self.ask(&submission, wish) else { return };
        if let Some((at, kind)) = self.work(&submission, accepted) {
            self.report(&submission, at, kind, wish);
        }
    }

    /// Submits, once or twice; when it was accepted, if it was.
    fn ask(&mut self, submission: &Submission, wish: &Wish) -> Option<u64> {
        let at = wish.at;
        self.say(at, "client", What::Submit(submission.clone()));
        let handle = Some(format!("handle of {}", submission.task));
        let id = submission.id.clone();
        let answered = at + self.random.range(MS, 20 * MS);
        let chance = if wish.parent.is_some() { 99 } else { self.random.range(0, 100) };
        let unknown = chance < 16 && !self.is_draining(answered);
        if chance < 8 {
            let code = self.random.pick(&[400, 429, 503, 413]).unwrap();
            self.say(answered, "client", What::Nack { id, code });
            return None;
        }
        let mut accepted = Some(self.random.range(at, answered));
        if unknown {
            if self.random.percent(50) {
                self.say(answered, "client", What::Unknown { id });
            } else {
                self.say(answered, "client", What::Nack { id, code: 500 });
            }
            if self.random.percent(40) {
                accepted = None;
            }
        } else {
            self.say(answered, "client", What::Ack { id, handle: handle.clone() });
        }
        // The client asks again: to be sure, or by mistake.
        if unknown || self.random.percent(10) {
            let mut again = submission.clone();
            again.id = format!("{}#2", submission.task);
            let at = answered + self.random.range(MS, 500 * MS);
            let id = again.id.clone();
            let answered = at + 2 * MS;
            if accepted.is_some() && self.random.percent(50) {
                again.payload.push_str(", another");
                self.say(answered, "client", What::Nack { id, code: 409 });
            } else {
                accepted = accepted.or(Some(at + MS));
                self.say(answered, "client", What::Ack { id, handle });
            }
            self.say(at, "client", What::Submit(again));
        }
        accepted
    }

    /// Runs it until it ends; when and how.
    fn work(&mut self, submission: &Submission, accepted: u64) -> Option<(u64, Ending)> {
        let task = submission.task.clone();
        let due = accepted + submission.delay_ms * MS;
        let dies = accepted + submission.ttl_ms.map_or(5 * 3600 * SECOND, |ttl| ttl * MS);
        let stop =
            self.random.percent(8).then(|| accepted + self.random.range(30 * MS, 20 * SECOND));
        let mut failures = [0_u32; 3];
        let mut now = due + self.random.range(0, 200 * MS);
        for n in 1_u32.. {
            let host;
            (now, host) = self.host(now);
            if let Some(stop) = stop.filter(|stop| *stop <= now && *stop < dies) {
                self.say(stop, "client", What::StopRequested { task });
                return Some((stop + MS, Ending::Cancelled));
            }
            if now > dies {
                return Some((dies.max(accepted + 60 * MS) + MS, Ending::Expired));
            }
            self.fence += 1;
            let fence = self.fence;
            self.say(
                now,
                host,
                What::AttemptBegin {
                    task: task.clone(),
                    n,
                    instance: format!("i{}", fence % 7),
                    fence,
                    payload: submission.payload.clone(),
                },
            );
            let ends = now + self.random.range(MS, 1500 * MS);
            let settled = ends + self.random.range(MS, 5 * MS);
            let end = |outcome| What::AttemptEnd { task: task.clone(), fence, outcome };
            if let Some(crash) = self.crash_within(host, now, settled) {
                // It may have ended, and nobody has heard.
                let (died, again) = (crash.from, crash.until);
                if ends < died {
                    self.say(ends, host, end(Outcome::Success));
                }
                now = again + self.random.range(MS, SECOND);
                continue;
            }
            if let Some(stop) = stop.filter(|stop| *stop < ends) {
                self.say(stop, "client", What::StopRequested { task: task.clone() });
                self.say(stop + MS, host, end(Outcome::Stopped));
                return Some((stop + 2 * MS, Ending::Cancelled));
            }
            if self.random.percent(4) && ends - now > 100 * MS {
                // It was held too long: another takes it, and what this one says is refused.
                self.say(ends, host, end(Outcome::Success));
                now += 50 * MS;
                self.say(now, host, What::LeaseExpired { task: task.clone() });
                now += MS;
                continue;
            }
            let (outcome, class) = match self.random.range(0, 100) {
                0..15 => (Outcome::FunctionError, 0),
                15..24 => (Outcome::Throttled, 1),
                24..32 => (Outcome::SystemError, 2),
                32..36 => (Outcome::Unknown, 3),
                _ => (Outcome::Success, 4),
            };
            self.say(ends, host, end(outcome));
            match class {
                4 => return Some((settled, Ending::Succeeded)),
                3 => now = settled,
                _ => {
                    failures[class] += 1;
                    if failures[0] > 3 {
                        return Some((settled, Ending::Failed));
                    }
                    let least = (500 * MS) << (failures[class] - 1);
                    now = ends + least + self.random.range(0, least / 5);
                }
            }
        }
        None
    }

    /// Records the end, and tells whoever is to know.
    fn report(&mut self, submission: &Submission, at: u64, kind: Ending, wish: &Wish) {
        let task = submission.task.clone();
        let result = Some(format!("result of {task}"));
        self.say(at, "a", What::Terminal { task: task.clone(), kind, result: result.clone() });
        let branch = kind.branch();
        let to = submission.destinations;
        let configured = match branch {
            fc_testkit::history::Branch::Success => to.success,
            fc_testkit::history::Branch::Failure => to.failure,
        };
        let mut now = at + self.random.range(MS, 2 * SECOND);
        if configured {
            let mut sends = self.random.range(1, 4);
            while sends > 0 {
                sends -= 1;
                let ok = sends == 0 && !self.random.percent(10);
                let body = result.clone();
                self.say(now, "a", What::Dest { task: task.clone(), branch, ok, body });
                now += 500 * MS;
                if sends == 0 && !ok {
                    self.say(now, "a", What::Dlq { task: task.clone() });
                }
            }
        } else if kind == Ending::Expired && to.dlq {
            self.say(now, "a", What::Dlq { task: task.clone() });
        }
        let follows = wish.line > 0 || (wish.parent.is_none() && self.random.percent(10));
        if kind == Ending::Succeeded && follows && at < DAY {
            let name = format!("{task}>");
            let line = wish.line.saturating_sub(1);
            self.wishes.push_back(Wish { name, at: now, parent: Some(task), line });
        }
    }
}
