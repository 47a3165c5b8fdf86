//! Sees what happens to requests and instances, and judges it without asking the engine.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use fc_core::Instant;

use super::{Broken, Invariant};
use crate::core::{Class, StopReason};

/// What the witness is told of a pool: what was configured, not what the engine thinks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contract {
    pub(super) account: u32,
    pub(super) concurrency: u32,
    pub(super) idle: Duration,
    pub(super) life: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    Waits,
    Runs,
    Over,
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Instance {
    pool: u32,
    running: u32,
    born: Instant,
    idle_since: Instant,
    provisioned: bool,
    frozen: bool,
    broken: Option<Instant>,
    stopped: bool,
}

/// What an account may hold at once, and what it holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    burst: u64,
    per_minute: u64,
    /// In all.
    pub(super) max: Option<u64>,
    held: u64,
    /// When instances were started.
    started: Vec<Instant>,
}

impl Account {
    pub(super) fn new(max: Option<u64>, burst: u64, per_minute: u64) -> Self {
        Self { burst, per_minute, max, held: 0, started: Vec::new() }
    }
}

/// The largest burst of a life over its slowest growth: nothing older can matter.
const REFILLED: Duration = Duration::from_secs(60);

/// Sees what happens, and judges it.
#[derive(Debug, Default)]
pub(in crate::sim) struct Witness {
    pub(super) contracts: Vec<Contract>,
    pub(super) accounts: Vec<Account>,
    requests: HashMap<u32, Request>,
    instances: HashMap<u32, Instance>,
    /// Instances may go before their time: evicted, their node emptied, their version replaced.
    pub(super) may_go_early: bool,
    pub(super) broken: Option<Broken>,
    /// What happened, a line each: the same seed gives the same bytes.
    pub(super) log: Option<String>,
    pub(super) answers: u64,
    pub(super) submitted: u64,
    now: Instant,
}

impl Witness {
    fn find(&mut self, invariant: Invariant, what: String) {
        let at = self.now;
        self.note(format_args!("BROKEN {}: {what}", invariant.id()));
        self.broken.get_or_insert(Broken { invariant, at, what });
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{} {what}", self.now.as_nanos());
        }
    }

    pub(in crate::sim) fn time(&mut self, now: Instant) {
        self.now = now;
    }

    pub(in crate::sim) fn submitted(&mut self, request: u32, pool: u32) {
        self.submitted += 1;
        self.requests.insert(request, Request::Waits);
        self.note(format_args!("submit {request} to {pool}"));
    }

    pub(in crate::sim) fn began(&mut self, request: u32, pool: u32, instance: u32, now: Instant) {
        self.now = now;
        self.note(format_args!("begin {request} of {pool} in {instance}"));
        match self.requests.insert(request, Request::Runs) {
            // An arrival that is served at once is seen here first.
            None | Some(Request::Waits | Request::Over) => {}
            Some(Request::Refused) => {
                self.find(Invariant::RefusedNeverRuns, format!("request {request} was refused"));
            }
            Some(Request::Runs) => {
                self.find(Invariant::OneAnswer, format!("request {request} ran twice"));
            }
        }
        let contract = self.contracts[pool as usize];
        let Some(state) = self.instances.get_mut(&instance) else {
            let what = format!("request {request} ran in instance {instance}, which is not there");
            return self.find(Invariant::BrokenServesNobody, what);
        };
        state.running += 1;
        let seen = *state;
        if seen.pool != pool {
            let what = format!("instance {instance} of {} served {pool}", seen.pool);
            self.find(Invariant::OneIdentity, what);
        }
        if seen.running > contract.concurrency {
            let what = format!("{} of {} in {instance}", seen.running, contract.concurrency);
            self.find(Invariant::Concurrency, what);
        }
        if seen.frozen {
            self.find(Invariant::FrozenServesNobody, format!("{instance} was given {request}"));
        }
        if seen.broken.is_some() || seen.stopped {
            self.find(Invariant::BrokenServesNobody, format!("{instance} was given {request}"));
        }
        if now - seen.born >= contract.life {
            let what = format!("{instance} is {:?} old and was given {request}", now - seen.born);
            self.find(Invariant::IdleRelease, what);
        }
    }

    pub(in crate::sim) fn finished(
        &mut self,
        request: u32,
        instance: u32,
        broke: bool,
        now: Instant,
    ) {
        self.now = now;
        self.note(format_args!("end {request} in {instance}, broke: {broke}"));
        self.answer(request, Request::Over);
        if let Some(state) = self.instances.get_mut(&instance) {
            state.running = state.running.saturating_sub(1);
            state.idle_since = now;
            if broke {
                state.broken.get_or_insert(now);
            }
        }
    }

    /// One outcome of a request.
    pub(super) fn answer(&mut self, request: u32, with: impl Into<Outcome>) {
        let Outcome(outcome) = with.into();
        self.answers += 1;
        let before = self.requests.insert(request, outcome);
        if matches!(before, Some(Request::Over | Request::Refused)) {
            self.find(Invariant::OneAnswer, format!("request {request} was answered twice"));
        }
    }

    pub(in crate::sim) fn answer_again(&mut self, request: u32) {
        self.answer(request, Request::Over);
    }

    pub(in crate::sim) fn refused(&mut self, request: u32, what: &str) {
        self.note(format_args!("refuse {request}: {what}"));
        self.answer(request, Request::Refused);
    }

    pub(in crate::sim) fn left(&mut self, request: u32) {
        self.note(format_args!("leave {request}"));
        self.answer(request, Request::Over);
    }

    pub(in crate::sim) fn started(&mut self, pool: u32, now: Instant) {
        self.now = now;
        self.note(format_args!("start for {pool}"));
        let account = &mut self.accounts[self.contracts[pool as usize].account as usize];
        // After so long even a pool of the largest burst is full again.
        account.started.retain(|begin| now - *begin <= REFILLED);
        account.held += 1;
        if account.max.is_some_and(|max| account.held > max) {
            let what = format!("{} held of {:?}", account.held, account.max);
            return self.find(Invariant::Quota, what);
        }
        account.started.push(now);
        let (burst, per_minute) = (account.burst, account.per_minute);
        // Over every window that ends now, by the definition.
        let over = account.started.iter().rev().enumerate().find(|(count, begin)| {
            let may = u128::from(burst) * 60_000_000_000
                + (now - **begin).as_nanos() * u128::from(per_minute);
            (*count as u128 + 1) * 60_000_000_000 > may
        });
        if let Some((count, begin)) = over {
            let what = format!("{} starts since {begin:?}, burst {burst}", count + 1);
            self.find(Invariant::Quota, what);
        }
    }

    pub(in crate::sim) fn given(&mut self, pool: u32) {
        let account = &mut self.accounts[self.contracts[pool as usize].account as usize];
        account.held = account.held.saturating_sub(1);
    }

    pub(in crate::sim) fn created(&mut self, instance: u32, pool: u32, class: Class, now: Instant) {
        self.now = now;
        self.note(format_args!("ready {instance} for {pool}"));
        let provisioned = class == Class::Provisioned;
        let state = Instance {
            pool,
            running: 0,
            born: now,
            idle_since: now,
            provisioned,
            frozen: false,
            broken: None,
            stopped: false,
        };
        let before = self.instances.insert(instance, state);
        if before.is_some_and(|before| !before.stopped) {
            self.find(Invariant::NoLeak, format!("instance {instance} is there already"));
        }
    }

    pub(in crate::sim) fn freezing(&mut self, instance: u32) {
        self.note(format_args!("freeze {instance}"));
        let Some(state) = self.instances.get_mut(&instance) else {
            return;
        };
        state.frozen = true;
        if state.running > 0 {
            let what = format!("instance {instance} runs {} requests", state.running);
            self.find(Invariant::FrozenServesNobody, what);
        }
    }

    pub(in crate::sim) fn thawed(&mut self, instance: u32) {
        self.note(format_args!("thaw {instance}"));
        if let Some(state) = self.instances.get_mut(&instance) {
            state.frozen = false;
        }
    }

    pub(in crate::sim) fn stopped(&mut self, instance: u32, reason: StopReason, now: Instant) {
        self.now = now;
        self.note(format_args!("stop {instance}: {reason:?}"));
        let Some(state) = self.instances.get_mut(&instance) else {
            return;
        };
        state.stopped = true;
        let seen = *state;
        if seen.running > 0 {
            let what = format!("instance {instance} was stopped under {} requests", seen.running);
            self.find(Invariant::OneAnswer, what);
        }
        if let StopReason::Retired { .. } = reason
            && !self.may_go_early
        {
            let contract = self.contracts[seen.pool as usize];
            let old = now - seen.born >= contract.life;
            let idled = now - seen.idle_since >= contract.idle && !seen.provisioned;
            if !old && !idled {
                let what = format!("{instance} idled for {:?}", now - seen.idle_since);
                self.find(Invariant::IdleRelease, what);
            }
        }
    }

    /// After all is over.
    pub(super) fn judge_the_end(&mut self) {
        let alive = self.instances.values().filter(|instance| !instance.stopped).count();
        if alive > 0 {
            self.find(Invariant::NoLeak, format!("{alive} instances are left"));
        }
        let held: u64 = self.accounts.iter().map(|account| account.held).sum();
        if held > 0 {
            self.find(Invariant::NoLeak, format!("{held} shares are held"));
        }
        if self.answers != self.submitted {
            let what = format!("{} requests, {} answers", self.submitted, self.answers);
            self.find(Invariant::OneAnswer, what);
        }
    }

    /// What the engine says that it still holds.
    pub(super) fn left_over(&mut self, what: String) {
        self.find(Invariant::NoLeak, what);
    }
}

/// How a request ended, for the witness alone to know.
pub(super) struct Outcome(Request);

impl From<Request> for Outcome {
    fn from(request: Request) -> Self {
        Self(request)
    }
}
