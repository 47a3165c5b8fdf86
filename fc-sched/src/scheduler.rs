//! The scheduler: one call path from an authorised invocation to an instance.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{
    AccountId, Catalog, Clock, Context, Deadline, Error, FunctionVersion, Instant, Invocation,
    Invoke, Limits, LogType, Network, Reply, RequestIds, Result, Runtime, Target,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Gate;
use crate::core::PoolUse;
use crate::core::quota::{AccountQuota, AccountUse};
use crate::reaper::Reaper;
use crate::run;
use crate::shell::{Accounts, Acquired, Granted, PoolShell, Surroundings, Waiting};

/// What a scheduler is told once.
#[derive(Clone, Debug, Default)]
pub struct SchedulerConfig {
    /// The limits it enforces.
    pub limits: Limits,
    /// What each account may hold and how fast it may grow; `None`: no quota of accounts.
    pub account_quota: Option<AccountQuota>,
}

/// What a scheduler works with.
#[derive(Clone, Debug)]
pub struct SchedulerPorts {
    /// Which functions there are.
    pub catalog: Arc<dyn Catalog>,
    /// Where instances run: at most one of each kind is used, the first.
    pub runtimes: Vec<Arc<dyn Runtime>>,
    /// What gives them a network.
    pub network: Arc<dyn Network>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids for instances and for work of the platform's own.
    pub request_ids: Arc<RequestIds>,
}

/// Takes an authorised invocation to an instance of its function, and its answer back.
///
/// Cloning is cheap and gives the same scheduler. Dropping the last clone does not stop instances:
/// call [`Scheduler::shutdown`].
///
/// # Requires
///
/// A tokio runtime around every call.
#[derive(Clone, Debug)]
pub struct Scheduler {
    around: Arc<Surroundings>,
}

impl Scheduler {
    /// A scheduler without instances.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(config: SchedulerConfig, ports: SchedulerPorts) -> Self {
        let around = Arc::new(Surroundings {
            clock: ports.clock,
            catalog: ports.catalog,
            network: ports.network,
            runtimes: ports.runtimes,
            request_ids: ports.request_ids,
            limits: config.limits,
            gate: Gate::default(),
            accounts: Accounts::new(config.account_quota),
            reaper: Arc::new(Reaper::default()),
            pools: papaya::HashMap::default(),
            pool_closed: tokio::sync::Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let reaper = around.reaper.clone();
        around.tasks.spawn(reaper.run(around.clock.clone(), around.stop.clone()));
        Self { around }
    }

    /// The version is no longer served: its idle instances stop now, its busy ones when their
    /// requests are over, and those that wait for it are still served (INV-10).
    pub fn retire(&self, version: &FunctionVersion) {
        let pool = self.around.pools.pin().get(&version.uid()).cloned();
        if let Some(pool) = pool {
            pool.close();
        }
    }

    /// What a version uses now.
    pub fn usage(&self, version: &FunctionVersion) -> PoolUse {
        let pool = self.around.pools.pin().get(&version.uid()).cloned();
        pool.map(|pool| pool.usage()).unwrap_or_default()
    }

    /// What an account holds now of its quota; nothing if accounts have none.
    pub fn account_use(&self, account: AccountId) -> AccountUse {
        self.around.accounts.used(account)
    }

    /// Takes nothing new, lets what runs finish, stops all instances; whatever is left at `by` is
    /// stopped under its requests. When it returns, no instance and no task is left.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has begun to shut down: call again to go on.
    pub async fn shutdown(&self, by: Instant) {
        let around = &self.around;
        around.gate.close();
        for pool in self.pools() {
            pool.close();
        }
        let drained = async {
            // Pools go one by one as their last instance does.
            loop {
                let closed = around.pool_closed.notified();
                if around.pools.is_empty() {
                    return;
                }
                closed.await;
            }
        };
        if around.clock.with_deadline(by, drained).await.is_err() {
            tracing::warn!("shutdown: the time is up, stopping instances under their requests");
            around.stop.cancel();
            for pool in self.pools() {
                pool.abandon();
            }
        }
        around.stop.cancel();
        around.tasks.close();
        around.tasks.wait().await;
    }

    fn pools(&self) -> Vec<Arc<PoolShell>> {
        self.around.pools.pin().values().cloned().collect()
    }

    fn resolve(&self, target: &Target) -> Result<Arc<FunctionVersion>> {
        match target {
            Target::Resolved { version, .. } => Ok(version.clone()),
            Target::Named { account, function, qualifier } => {
                self.around.catalog.resolve(account, function.as_str(), qualifier)
            }
        }
    }

    /// The pool of `version`, and whether it was made just now.
    fn route(&self, version: &Arc<FunctionVersion>) -> (Arc<PoolShell>, bool) {
        let pools = self.around.pools.pin();
        if let Some(pool) = pools.get(&version.uid()) {
            return (pool.clone(), false);
        }
        let new = || PoolShell::new(version.clone(), self.around.clone());
        (pools.get_or_insert_with(version.uid(), new).clone(), true)
    }

    /// A slot of an instance of `version`, or a place in its line.
    fn acquire(&self, version: &Arc<FunctionVersion>, now: Instant) -> Result<Acquired> {
        loop {
            let (pool, made) = self.route(version);
            // A shutdown may have looked at the pools before this one was there to be seen.
            if made && let Err(refused) = self.around.gate.admit() {
                pool.close();
                return Err(refused);
            }
            let acquired = pool.acquire(now);
            // So may whoever retired the version. This request was accepted before, and is served.
            if made && !self.around.catalog.is_current(version) {
                pool.close();
            }
            match acquired? {
                // The pool was forgotten for want of use, between the look-up and now.
                Acquired::Closed => continue,
                acquired => return Ok(acquired),
            }
        }
    }

    /// Waits in the line. Keeps the invocation meanwhile, so that a warm request's future is not
    /// made larger by what it does not do.
    async fn wait(
        &self,
        cx: Context,
        version: &Arc<FunctionVersion>,
        waiting: Waiting,
        invocation: Invocation,
    ) -> Result<(Granted, Invocation)> {
        let until = self.wait_until(cx, version, self.around.clock.now());
        let mut acquired = Acquired::Wait(waiting);
        loop {
            let granted = match acquired {
                Acquired::Slot(lease) => Granted::warm(lease, self.around.clock.now()),
                Acquired::Wait(waiting) => waiting.granted(until).await?,
                Acquired::Closed => return Err(Error::internal("a closed pool was given")),
            };
            // Between the grant and this task's turn the instance may have failed (I17).
            if granted.lease.is_good() {
                return Ok((granted, invocation));
            }
            acquired = self.acquire(version, self.around.clock.now())?;
        }
    }

    /// When a request stops waiting for an instance: its own deadline, or else the longest that one
    /// start with its initializer may take behind another.
    fn wait_until(&self, cx: Context, version: &FunctionVersion, now: Instant) -> Instant {
        let limits = &self.around.limits;
        let initializer = version.lifecycle().and_then(|config| config.initializer.as_ref());
        let initializer_s = initializer.map_or(0, |hook| u64::from(hook.timeout));
        let start = Duration::from_millis(limits.ready_ms_max)
            + Duration::from_secs(initializer_s)
            + Duration::from_millis(limits.capacity_wait_ms_max);
        (now + start).min(cx.deadline.soft)
    }
}

#[async_trait]
impl Invoke for Scheduler {
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let around = &*self.around;
        let accepted = around.clock.now();
        let tail = invocation.log == LogType::Tail;

        let version = self.resolve(&invocation.target)?;
        around.gate.admit()?;
        let (granted, invocation) = match self.acquire(&version, accepted)? {
            Acquired::Slot(lease) => (Granted::warm(lease, accepted), invocation),
            Acquired::Wait(waiting) => {
                Box::pin(self.wait(cx, &version, waiting, invocation)).await?
            }
            Acquired::Closed => return Err(Error::internal("a closed pool was given")),
        };
        let Granted { mut lease, cold, at: began } = granted;

        let by = run::deadline(cx, &version, began);
        let cx = cx.with_deadline(Deadline::at(by));
        let instance = lease.running().instance.clone();
        let answer = instance.invoke(cx, invocation);
        lease.begin();
        let outcome = around.clock.with_deadline(by, answer).await;
        let mut reply = match run::settle(&mut lease, &version, outcome) {
            Ok(reply) => reply,
            Err(error) if tail => {
                let log = run::log_tail(&lease, cx, &around.limits);
                return Err(error.with_log_tail(Box::pin(log).await));
            }
            Err(error) => return Err(error),
        };

        reply.report.instance = Some(lease.running().id);
        reply.report.version = version.id();
        reply.report.cold = cold;
        reply.report.waited = began - accepted;
        reply.report.ran = lease.now() - began;
        if cold {
            reply.report.initialized = lease.running().initialized;
        }
        if tail {
            let limits = &around.limits;
            let read = run::with_log_tail(&around.clock, cx, &mut lease, &version, reply, limits);
            reply = Box::pin(read).await?;
        }
        Ok(run::hand_over(&around.clock, by, &version, reply, lease))
    }
}
