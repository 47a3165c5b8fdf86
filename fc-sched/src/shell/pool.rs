//! One function version's pool: the lock around its core, and the hands that do its effects.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Context, Error, ErrorKind, FunctionVersion, Instant, Result, Retry};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Running, Surroundings};
use crate::core::{
    Acquire, Effect, InstanceKey, Phase, Pool, PoolRules, PoolUse, Refusal, Release, SlotKey,
    WaiterKey,
};
use crate::lease::SlotLease;
use crate::reaper::Look;

pub(super) type Waiter = oneshot::Sender<Result<SlotLease>>;
pub(super) type Core = Pool<Arc<Running>, Waiter>;
pub(super) type Effects = Vec<Effect<Arc<Running>, Waiter>>;

/// A slot, and how it came.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) lease: SlotLease,
    /// When it came.
    pub(crate) at: Instant,
    /// Whether the request waited for an instance to start.
    pub(crate) cold: bool,
}

impl Granted {
    /// A slot that was free.
    pub(crate) fn warm(lease: SlotLease, at: Instant) -> Self {
        Self { lease, at, cold: false }
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

/// A place in the line. Dropping it leaves the line.
pub(crate) struct Waiting {
    pool: Arc<PoolShell>,
    key: WaiterKey,
    grant: oneshot::Receiver<Result<SlotLease>>,
    since: Instant,
}

/// What a request's own deadline has before its slot is taken: by then the caller who still listens
/// knows of the time-out (I17: an instance that timed out is dead within a second).
const OVERDUE_GRACE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct PoolShell {
    pub(super) version: Arc<FunctionVersion>,
    pub(super) around: Arc<Surroundings>,
    state: Mutex<State>,
    prepared: tokio::sync::OnceCell<()>,
}

#[derive(Debug)]
struct State {
    core: Core,
    /// Which looks the reaper was asked for, by [`Look`].
    armed: [bool; 2],
}

impl PoolShell {
    pub(crate) fn new(version: Arc<FunctionVersion>, around: Arc<Surroundings>) -> Arc<Self> {
        let limits = &around.limits;
        let rules = PoolRules {
            concurrency: version.instance_concurrency(),
            instance_max: version.instance_max(),
            waiting_max: limits.waiting_per_function_max,
            idle: version.idle_timeout(),
            life: Duration::from_secs(limits.instance_life_s_max.into()),
            overdue: version.timeout() + OVERDUE_GRACE,
        };
        let state = Mutex::new(State { core: Pool::new(rules), armed: [false; 2] });
        Arc::new(Self { version, around, state, prepared: tokio::sync::OnceCell::new() })
    }

    pub(crate) fn now(&self) -> Instant {
        self.around.clock.now()
    }

    pub(crate) fn usage(&self) -> PoolUse {
        self.state.lock().core.usage()
    }

    pub(crate) fn is_serving(&self, key: InstanceKey) -> bool {
        let state = self.state.lock().core.slots().state(key);
        state.is_some_and(|state| state.phase() == Phase::Serving)
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

    /// A slot, or a place in the line.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` if the line is full or the function may have no instance.
    pub(crate) fn acquire(self: &Arc<Self>, now: Instant) -> Result<Acquired> {
        let mut receiver = None;
        let mut state = self.state.lock();
        let acquired = state.core.acquire(now, || {
            let (sender, grant) = oneshot::channel();
            receiver = Some(grant);
            sender
        });
        let effects = state.core.take_effects();
        self.arm(&mut state);
        drop(state);
        if !effects.is_empty() {
            self.perform(effects, None);
        }
        match (acquired, receiver) {
            (Acquire::Slot(key, running), _) => {
                Ok(Acquired::Slot(SlotLease::new(self.clone(), key, running)))
            }
            (Acquire::Wait(key), Some(grant)) => {
                Ok(Acquired::Wait(Waiting { pool: self.clone(), key, grant, since: now }))
            }
            (Acquire::Refused(Refusal::Closed), _) | (Acquire::Wait(_), None) => {
                Ok(Acquired::Closed)
            }
            (Acquire::Refused(Refusal::LineFull(limit)), _) => Err(self.exhausted(format!(
                "{limit} requests wait for an instance, which is the limit (waiting_per_function_max)"
            ))),
            (Acquire::Refused(Refusal::Disabled), _) => {
                Err(self.exhausted("instance_max is 0, which stops invocation"))
            }
        }
    }

    fn exhausted(&self, what: impl std::fmt::Display) -> Error {
        let message = format!("function '{}': {what}", self.version.name());
        Error::new(ErrorKind::ResourceExhausted, message)
    }

    pub(crate) fn release(self: &Arc<Self>, key: SlotKey, how: Release) {
        let now = self.now();
        self.update(None, |core| core.release(key, how, now));
    }

    /// Looks for what is due, and asks for the next look.
    pub(crate) fn look(self: &Arc<Self>, for_what: Look) {
        let now = self.now();
        let mut state = self.state.lock();
        let next = match for_what {
            Look::Idle => state.core.expire(now),
            Look::Overdue => state.core.expel_overdue(now),
        };
        state.armed[for_what as usize] = next.is_some();
        let effects = state.core.take_effects();
        drop(state);
        if let Some(at) = next {
            self.around.reaper.wake_at(at, self, for_what);
        }
        self.perform(effects, None);
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
    pub(super) fn update(
        self: &Arc<Self>,
        failure: Option<&Error>,
        change: impl FnOnce(&mut Core),
    ) {
        let mut state = self.state.lock();
        change(&mut state.core);
        let usage = state.core.usage();
        if usage.instances == 0 && usage.waiting == 0 {
            state.core.close_if_unused();
        }
        let effects = state.core.take_effects();
        self.arm(&mut state);
        drop(state);
        if !effects.is_empty() {
            self.perform(effects, failure);
        }
    }

    /// Asks the reaper for the looks that are not asked for already.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let [idle, overdue] = &mut state.armed;
        if !*idle && state.core.slots().serving() > 0 {
            *idle = true;
            let at = self.now() + self.version.idle_timeout();
            self.around.reaper.wake_at(at, self, Look::Idle);
        }
        if !*overdue && let Some(at) = state.core.first_overdue() {
            *overdue = true;
            self.around.reaper.wake_at(at, self, Look::Overdue);
        }
    }

    pub(super) fn with_core(&self, change: impl FnOnce(&mut Core)) {
        change(&mut self.state.lock().core);
    }

    fn perform(self: &Arc<Self>, effects: Effects, failure: Option<&Error>) {
        for effect in effects {
            match effect {
                Effect::Start(key) => self.begin_start(key),
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
    }

    fn forget(self: &Arc<Self>) {
        let is_self = |_: &u64, pool: &Arc<Self>| Arc::ptr_eq(pool, self);
        // Another pool of the same version may stand there already: it stays.
        let _ = self.around.pools.pin().remove_if(&self.version.uid(), is_self);
        self.around.pool_closed.notify_waiters();
    }

    /// Makes the version startable, once per pool.
    pub(super) async fn prepare(&self, cx: Context) -> Result<()> {
        let runtime = self.around.runtime(self.version.runtime().kind())?;
        self.prepared.get_or_try_init(|| runtime.prepare(cx, &self.version)).await?;
        Ok(())
    }
}

impl Waiting {
    /// Waits for a slot until `deadline`, but for capacity that nobody is starting only for the
    /// limit's time (SCH-9).
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` when the wait is over; the error of a start that failed.
    pub(crate) async fn granted(mut self, deadline: Instant) -> Result<Granted> {
        let around = self.pool.around.clone();
        let pause = Duration::from_millis(around.limits.capacity_wait_ms_max);
        let mut until = (self.since + pause).min(deadline);
        loop {
            let granted = around.clock.with_deadline(until, &mut self.grant).await;
            let Err(_) = granted else {
                let lost = || Error::internal("the pool was dropped under a waiting request");
                let lease = granted.ok().and_then(|granted| granted.ok()).ok_or_else(lost)??;
                let cold = lease.running().born >= self.since;
                return Ok(Granted { lease, cold, at: around.clock.now() });
            };
            let now = around.clock.now();
            if now >= deadline || self.pool.usage().starting == 0 {
                return Err(self.too_late(now));
            }
            until = (now + pause).min(deadline);
        }
    }

    fn too_late(&self, now: Instant) -> Error {
        let usage = self.pool.usage();
        let waited = (now - self.since).as_millis();
        self.pool
            .exhausted(format!(
                "waited {waited} ms for an instance: {} of at most {} (instance_max) exist, {} \
                 requests wait",
                usage.instances,
                self.pool.version.instance_max(),
                usage.waiting
            ))
            .with_retry(Retry::After(Duration::from_secs(1)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.update(None, |core| {
            core.leave(self.key);
        });
        // A grant that was sent meanwhile is in the channel, and frees its slot as it is dropped.
    }
}
