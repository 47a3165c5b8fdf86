//! One function version's pool: the lock around its core, and the hands that do its effects.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Context, Error, ErrorKind, FunctionVersion, Instant, Result};

use super::{NodeShell, Running, Surroundings, Waiting};
use crate::concurrency::{AccountExecutions, ExecutionPermit};
use crate::core::placement::NodeKey;
use crate::core::supply::Profile;
use crate::core::{
    Acquire, Effect, InstanceKey, Keeper, Pool, PoolRules, PoolUse, Refusal, Release, SlotKey,
    WaitsFor,
};
use crate::lease::SlotLease;
use crate::sync::{Mutex, OnceCell, oneshot};

pub(super) type Waiter = oneshot::Sender<Result<SlotLease>>;
pub(crate) type Core = Pool<Arc<Running>, Waiter>;
pub(super) type Effects = Vec<Effect<Arc<Running>, Waiter>>;

/// A slot, and how it came.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) lease: SlotLease,
    /// When it came.
    pub(crate) at: Instant,
    /// Whether the request waited for an instance to start.
    pub(crate) cold: bool,
    /// What it waited for, if it waited.
    pub(crate) waited_for: Option<WaitsFor>,
}

impl Granted {
    /// A slot that was free.
    pub(crate) fn warm(lease: SlotLease, at: Instant) -> Self {
        Self { lease, at, cold: false, waited_for: None }
    }
}

/// What a request gets of a pool.
pub(crate) enum Acquired {
    /// A slot.
    Slot(SlotLease),
    /// A wait for one.
    Wait(Waiting),
    /// The pool is no more: look for the version's pool again.
    Closed,
}

/// What a request's own deadline has before its slot is taken: by then the caller who still listens
/// knows of the time-out (I17: an instance that timed out is dead within a second).
const OVERDUE_GRACE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct PoolShell {
    pub(crate) version: Arc<FunctionVersion>,
    pub(super) around: Arc<Surroundings>,
    state: Mutex<State>,
    /// What the account runs at once, if accounts have quotas: looked up once (QUO-3).
    executions: Option<Arc<AccountExecutions>>,
    prepared: Mutex<Prepared>,
}

/// By node: several starts wait for one preparation.
type Prepared = Vec<(NodeKey, Arc<OnceCell<()>>)>;

#[derive(Debug)]
struct State {
    core: Core,
    /// The next look that the reaper was asked for.
    armed: Instant,
}

impl PoolShell {
    pub(crate) fn new(version: Arc<FunctionVersion>, around: Arc<Surroundings>) -> Arc<Self> {
        let limits = &around.limits;
        let (mut runs, mut freezes, mut boosts) = (false, true, false);
        for node in around.nodes.pin().values() {
            // Nodes on which it never runs have no say.
            if let Ok(runtime) = node.runtime(version.runtime().kind()) {
                let capabilities = runtime.capabilities();
                runs = true;
                // One that cannot be frozen would end as it is tried: all must be able to.
                freezes &= capabilities.suspend;
                boosts |= capabilities.enforces.cpu;
            }
        }
        let boost_s = if boosts { limits.cpu_boost_s_max } else { 0 };
        let rules = PoolRules {
            concurrency: version.instance_concurrency(),
            instance_max: version.instance_max(),
            waiting_max: limits.waiting_per_function_max,
            idle: version.idle_timeout(),
            life: Duration::from_secs(limits.instance_life_s_max.into()),
            overdue: version.timeout() + OVERDUE_GRACE,
            freeze: around.policies.freeze_after.filter(|_| runs && freezes),
            boost: Duration::from_secs(boost_s.into()),
        };
        let core = match &around.policies.keep_alive {
            None => Pool::new(rules),
            Some(policy) => {
                let (size, idle) = (version.resources(), version.idle_timeout());
                Pool::with_keeper(rules, Keeper::new(policy.begin(), size, idle, rules.concurrency))
            }
        };
        let state = Mutex::new(State { core, armed: Instant::MAX });
        let executions = around.executions.of(version.account());
        Arc::new(Self { version, around, state, executions, prepared: Mutex::default() })
    }

    pub(crate) fn now(&self) -> Instant {
        self.around.clock.now()
    }

    pub(crate) fn usage(&self) -> PoolUse {
        self.state.lock().core.usage()
    }

    pub(crate) fn is_serving(&self, key: InstanceKey) -> bool {
        let state = self.state.lock().core.slots().state(key);
        state.is_some_and(|state| state.phase().serves())
    }

    /// A request's share of what its account may run at once, if that is counted.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted`: as much runs as may.
    pub(crate) fn permit(&self) -> Result<Option<ExecutionPermit>> {
        Ok(self.executions.as_ref().map(ExecutionPermit::take).transpose()?)
    }

    /// What becomes of an instance whose request was cancelled (INV-8): with one request at a time
    /// it is rebuilt, unless a health check vouches for it; an instance that serves others goes on
    /// (`alibaba-fc.md` 2.5).
    pub(crate) fn when_cancelled(&self) -> Release {
        if self.version.instance_concurrency() == 1 && !self.version.has_health_check() {
            Release::Revoke { replace: true }
        } else {
            Release::Reuse
        }
    }

    /// What the supply is told of this pool's instances.
    pub(crate) fn profile(&self) -> Profile {
        let version = &self.version;
        let needs = self.around.policies.needs.as_ref();
        let needs = needs.map(|needs| needs.of(version)).unwrap_or_default();
        Profile {
            account: version.account(),
            function: version.name().clone(),
            size: version.resources(),
            runtime: version.runtime().kind(),
            isolation: needs.isolation,
            tenancy: needs.tenancy,
        }
    }

    /// A slot, or a place in the line.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` if the line is full or the function may have no instance.
    pub(crate) fn acquire(self: &Arc<Self>, now: Instant) -> Result<Acquired> {
        let mut receiver = None;
        let (acquired, effects) = self.change(|core| {
            core.acquire(now, || {
                let (sender, grant) = oneshot::channel();
                receiver = Some(grant);
                sender
            })
        });
        // First, so that a panic on the way gives the slot, or the place in the line, back.
        let acquired = match (acquired, receiver) {
            (Acquire::Slot(key, running), _) => {
                Ok(Acquired::Slot(SlotLease::new(self.clone(), key, running)))
            }
            (Acquire::Wait(key, waits_for), Some(grant)) => {
                Ok(Acquired::Wait(Waiting::new(self.clone(), key, grant, waits_for, now)))
            }
            (Acquire::Refused(Refusal::Closed), _) | (Acquire::Wait(..), None) => {
                Ok(Acquired::Closed)
            }
            (Acquire::Refused(Refusal::LineFull(limit)), _) => Err(self.exhausted(format!(
                "{limit} requests wait for an instance, which is the limit (waiting_per_function_max)"
            ))),
            (Acquire::Refused(Refusal::Disabled), _) => {
                Err(self.exhausted("instance_max is 0, which stops invocation"))
            }
            (Acquire::Refused(Refusal::OnDemandDisabled), _) => Err(self.exhausted(
                "on-demand instances are disabled (on_demand_disabled) and the target of \
                 provisioned ones is 0",
            )),
        };
        if !effects.is_empty() {
            self.perform(effects, None);
        }
        acquired
    }

    /// A slot that is free now.
    pub(crate) fn acquire_free(self: &Arc<Self>, now: Instant) -> Option<SlotLease> {
        let (slot, effects) = self.change(|core| core.acquire_free(now));
        let lease = slot.map(|(key, running)| SlotLease::new(self.clone(), key, running));
        if !effects.is_empty() {
            self.perform(effects, None);
        }
        lease
    }

    pub(super) fn exhausted(&self, what: impl std::fmt::Display) -> Error {
        let message = format!("function '{}': {what}", self.version.name());
        Error::new(ErrorKind::ResourceExhausted, message)
    }

    pub(crate) fn release(self: &Arc<Self>, key: SlotKey, how: Release) {
        let now = self.now();
        self.update(None, |core| core.release(key, how, now));
    }

    /// Does what is due, if the look at `due` was not overtaken by an earlier one.
    pub(crate) fn look(self: &Arc<Self>, due: Instant) {
        let now = self.now();
        {
            let mut state = self.state.lock();
            if state.armed != due {
                return;
            }
            state.armed = Instant::MAX;
        }
        self.update(None, |core| core.look(now));
    }

    /// The version is no longer served.
    pub(crate) fn close(self: &Arc<Self>) {
        self.update(None, Pool::close);
    }

    /// Ends what still runs or waits.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let error = Error::new(ErrorKind::ResourceThrottled, "the platform has shut down");
        let now = self.now();
        self.update(Some(&error), |core| core.abandon(now));
    }

    /// Changes the core, then does what follows. `failure` is what waiters fail with.
    pub(crate) fn update(
        self: &Arc<Self>,
        failure: Option<&Error>,
        change: impl FnOnce(&mut Core),
    ) {
        let ((), effects) = self.change(|core| {
            change(core);
            let usage = core.usage();
            if usage.instances == 0 && usage.waiting == 0 {
                core.close_if_unused();
            }
        });
        if !effects.is_empty() {
            self.perform(effects, failure);
        }
    }

    /// Changes the core; what follows is the caller's to perform.
    pub(super) fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut Core) -> R) -> (R, Effects) {
        let mut state = self.state.lock();
        let result = change(&mut state.core);
        let effects = state.core.take_effects();
        let next = state.core.next_look();
        if next < state.armed {
            state.armed = next;
            self.around.reaper.wake_at(next, self);
        }
        (result, effects)
    }

    pub(crate) fn with_core<R>(&self, change: impl FnOnce(&mut Core) -> R) -> R {
        change(&mut self.state.lock().core)
    }

    pub(super) fn perform(self: &Arc<Self>, effects: Effects, failure: Option<&Error>) {
        let mut wants = false;
        for effect in effects {
            match effect {
                Effect::Want => wants = true,
                Effect::Start(key) => self.spawn_start(key),
                Effect::Freeze(key, running) => self.spawn_freeze(key, running),
                Effect::Thaw(key, running) => self.spawn_thaw(key, running),
                Effect::EndBoost(_, running) => self.spawn_end_boost(running),
                Effect::Stop(key, running, reason) => self.spawn_stop(key, running, reason),
                Effect::Grant(waiter, key, running) => {
                    // A waiter that left meanwhile drops the lease, which frees the slot.
                    let _ = waiter.send(Ok(SlotLease::new(self.clone(), key, running)));
                }
                Effect::Fail(waiter) => {
                    let error = failure.map_or_else(
                        || Error::internal("an instance could not be started"),
                        Error::duplicate,
                    );
                    let _ = waiter.send(Err(error));
                }
                Effect::Closed => self.forget(),
            }
        }
        if wants {
            let (uid, profile) = (self.version.uid(), self.profile());
            self.around.with_supply(|supply, pools, now| supply.settle(uid, &profile, pools, now));
        }
    }

    /// Makes room for another pool of the version. The pool is closed; a second time does nothing.
    pub(crate) fn forget(self: &Arc<Self>) {
        let is_self = |_: &u64, pool: &Arc<Self>| Arc::ptr_eq(pool, self);
        // Another pool of the same version may stand there already: it stays.
        let _ = self.around.pools.pin().remove_if(&self.version.uid(), is_self);
        self.around.pool_closed.notify_waiters();
    }

    /// Makes the version startable, once per node.
    pub(super) async fn prepare(&self, cx: Context, key: NodeKey, node: &NodeShell) -> Result<()> {
        let runtime = node.runtime(self.version.runtime().kind())?;
        let prepared = {
            let mut prepared = self.prepared.lock();
            match prepared.iter().find(|(node, _)| *node == key) {
                Some((_, once)) => once.clone(),
                None => {
                    let once = Arc::default();
                    let nodes = self.around.nodes.pin();
                    prepared.retain(|(node, _)| nodes.contains_key(node));
                    prepared.reserve_exact(1);
                    prepared.push((key, Arc::clone(&once)));
                    once
                }
            }
        };
        prepared.get_or_try_init(|| runtime.prepare(cx, &self.version)).await?;
        Ok(())
    }
}
