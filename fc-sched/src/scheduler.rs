//! The scheduler: one call path from an authorised invocation to an instance.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{
    AccountId, Context, Deadline, Error, ErrorKind, FunctionVersion, Instant, Invocation, Invoke,
    LogType, Reply, Result, Target,
};

use crate::admission::Gate;
use crate::concurrency::{ExecutionPermit, Executions};
use crate::config::{SchedulerConfig, SchedulerPorts};
use crate::core::placement::{Cluster, ClusterRules};
use crate::core::quota::AccountUse;
use crate::core::supply::{Supply, SupplyRules};
use crate::core::{PoolUse, WaitsFor};
use crate::decision::{Decision, Outcome};
use crate::reaper::Reaper;
use crate::run;
use crate::scaling::Scaled;
use crate::shell::{Acquired, Granted, NodeShell, PoolShell, Surroundings, Waiting};
use crate::sync::{CancellationToken, Mutex, Notify, Planted, TaskTracker, planted, table};

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
    pub(crate) around: Arc<Surroundings>,
}

impl Scheduler {
    /// A scheduler without instances.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` or `Conflict` for nodes that do not go together, naming the field.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(config: SchedulerConfig, ports: SchedulerPorts) -> Result<Self> {
        let SchedulerConfig { limits, account_quota, policies, decisions } = config;
        let clock = ports.clock;
        let rules = ClusterRules { node_life: policies.node_life, ..ClusterRules::default() };
        let mut cluster = match &policies.placement {
            None => Cluster::new(rules)?,
            Some(policy) => Cluster::with_policy(rules, policy.clone())?,
        };
        let nodes = table();
        for node in ports.nodes {
            let key = cluster.add(node.spec.clone(), clock.now())?;
            nodes.pin().insert(key, Arc::new(NodeShell::new(node)));
        }
        let supply = SupplyRules {
            quota: account_quota,
            wait_for_quota: policies.wait_for_quota,
            evict: policies.evict,
        };
        let around = Arc::new(Surroundings {
            clock,
            catalog: ports.catalog,
            network: ports.network,
            request_ids: ports.request_ids,
            limits,
            policies,
            decisions,
            gate: Gate::default(),
            supply: Mutex::new(Supply::new(supply, cluster)),
            nodes,
            executions: Executions::new(account_quota.map(|quota| quota.concurrency)),
            scaled: Scaled::default(),
            reaper: Arc::new(Reaper::default()),
            pools: table(),
            pool_closed: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let reaper = around.reaper.clone();
        around.tasks.spawn(reaper.run(around.clock.clone(), around.stop.clone()));
        around.tasks.spawn(crate::scaling::run(around.clone()));
        Ok(Self { around })
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
        self.around.supply.lock().used(account)
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
        for pool in around.all_pools() {
            pool.close();
        }
        let drained = || async {
            // Pools go one by one as their last instance does.
            loop {
                let closed = around.pool_closed.notified();
                if around.pools.is_empty() {
                    return;
                }
                closed.await;
            }
        };
        if around.clock.with_deadline(by, drained()).await.is_err() {
            tracing::warn!("shutdown: the time is up, stopping instances under their requests");
            around.stop.cancel();
            for pool in around.all_pools() {
                pool.abandon();
            }
            // The tasks alone would not do: a start or a stop that was just decided on a request's
            // thread has none yet.
            let stopped = around.clock.now() + crate::shell::STOPPED_WITHIN;
            if around.clock.with_deadline(stopped, drained()).await.is_err() {
                tracing::error!("shutdown: instances could not be stopped");
            }
        }
        around.stop.cancel();
        around.tasks.close();
        around.tasks.wait().await;
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
    pub(crate) fn route(&self, version: &Arc<FunctionVersion>) -> (Arc<PoolShell>, bool) {
        let pools = self.around.pools.pin();
        if let Some(pool) = pools.get(&version.uid()) {
            return (pool.clone(), false);
        }
        let new = || PoolShell::new(version.clone(), self.around.clone());
        (pools.get_or_insert_with(version.uid(), new).clone(), true)
    }

    /// A slot of an instance of `version`, or a place in its line, for a request that is new or that
    /// holds an instance which just failed.
    ///
    /// A new request takes its share of what its account may run at once (QUO-3), and one that failed
    /// has it already.
    fn acquire(
        &self,
        version: &Arc<FunctionVersion>,
        now: Instant,
        new: bool,
    ) -> Result<(Acquired, Option<ExecutionPermit>)> {
        loop {
            let (pool, made) = self.route(version);
            // A shutdown may have looked at the pools before this one was there to be seen, whoever
            // made it. What a request holds, a shutdown waits for, so its pool was seen.
            if (made || new)
                && !planted(Planted::OpensPoolLate)
                && let Err(refused) = self.around.gate.admit()
            {
                if made {
                    pool.close();
                }
                return Err(refused);
            }
            if made && self.around.policies.scaling.is_some() {
                self.around.scaled.pool_made();
            }
            let permit = match if new { pool.permit() } else { Ok(None) } {
                Ok(permit) => permit,
                Err(refused) => {
                    // Nobody else may ever ask for it.
                    if made {
                        pool.close();
                    }
                    return Err(refused);
                }
            };
            let acquired = pool.acquire(now);
            // So may whoever retired the version. This request was accepted before, and is served.
            if made && !self.around.catalog.is_current(version) {
                pool.close();
            }
            match acquired? {
                // The pool was closed for want of use, between the look-up and now. Whoever did that
                // may not have come to forget it yet, and is not waited for.
                Acquired::Closed => pool.forget(),
                acquired => return Ok((acquired, permit)),
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
        since: Instant,
        invocation: Invocation,
    ) -> Result<(Granted, Invocation)> {
        let until = self.wait_until(cx, version, self.around.clock.now());
        let waits_for = waiting.waits_for;
        let mut left = Left { scheduler: self, cx, version, waits_for, since, waits: true };
        let mut acquired = Acquired::Wait(waiting);
        let granted = async {
            loop {
                let granted = match acquired {
                    Acquired::Slot(lease) => Granted::warm(lease, self.around.clock.now()),
                    Acquired::Wait(waiting) => waiting.granted(until).await?,
                    Acquired::Closed => return Err(Error::internal("a closed pool was given")),
                };
                // Between the grant and this task's turn the instance may have failed (I17).
                if granted.lease.is_good() {
                    return Ok(Granted { waited_for: Some(waits_for), ..granted });
                }
                (acquired, _) = self.acquire(version, self.around.clock.now(), false)?;
            }
        };
        let granted = granted.await;
        left.waits = false;
        Ok((granted?, invocation))
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

impl Scheduler {
    /// A slot, a place in the line, or a refusal that is on record (OBS-6).
    fn admit_and_acquire(
        &self,
        cx: Context,
        version: &Arc<FunctionVersion>,
        accepted: Instant,
    ) -> Result<(Acquired, Option<ExecutionPermit>)> {
        let admitted = || {
            self.around.gate.admit()?;
            self.acquire(version, accepted, true)
        };
        admitted().map_err(|error| self.refused(cx, version, accepted, None, error))
    }

    fn refused(
        &self,
        cx: Context,
        version: &FunctionVersion,
        accepted: Instant,
        waited_for: Option<WaitsFor>,
        error: Error,
    ) -> Error {
        let waited = self.around.clock.now() - accepted;
        let (request_id, outcome) = (cx.request_id, Outcome::Refused(&error));
        self.record(&Decision { request_id, version, outcome, waited, waited_for });
        error
    }

    fn record(&self, decision: &Decision<'_>) {
        decision.trace();
        if let Some(sink) = &self.around.decisions {
            sink.decided(decision);
        }
    }

    fn record_slot(
        &self,
        cx: Context,
        version: &FunctionVersion,
        granted: &Granted,
        accepted: Instant,
    ) {
        let running = granted.lease.running();
        let outcome = Outcome::Slot {
            instance: running.id,
            node: &running.node.id,
            cold: granted.cold,
            initialized: running.initialized,
        };
        let (request_id, waited_for) = (cx.request_id, granted.waited_for);
        let waited = granted.at - accepted;
        self.record(&Decision { request_id, version, outcome, waited, waited_for });
    }
}

/// An invocation that waits. Dropped while it does, its caller has left, which is on record too.
struct Left<'w> {
    scheduler: &'w Scheduler,
    cx: Context,
    version: &'w FunctionVersion,
    waits_for: WaitsFor,
    since: Instant,
    waits: bool,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if self.waits {
            let message = "the caller left while it waited for an instance";
            let error = Error::new(ErrorKind::ClientClosedRequest, message);
            let waits_for = Some(self.waits_for);
            self.scheduler.refused(self.cx, self.version, self.since, waits_for, error);
        }
    }
}

#[async_trait]
impl Invoke for Scheduler {
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let around = &*self.around;
        let accepted = around.clock.now();
        let tail = invocation.log == LogType::Tail;
        if invocation.asynchronous.is_some() {
            return Err(no_queue());
        }

        let version = self.resolve(&invocation.target)?;
        let (acquired, permit) = self.admit_and_acquire(cx, &version, accepted)?;
        let (granted, invocation) = match acquired {
            Acquired::Slot(lease) => (Granted::warm(lease, accepted), invocation),
            Acquired::Wait(waiting) => {
                let waits_for = Some(waiting.waits_for);
                let waited = Box::pin(self.wait(cx, &version, waiting, accepted, invocation)).await;
                waited.map_err(|error| self.refused(cx, &version, accepted, waits_for, error))?
            }
            Acquired::Closed => return Err(Error::internal("a closed pool was given")),
        };
        self.record_slot(cx, &version, &granted, accepted);
        let Granted { mut lease, cold, at: began, .. } = granted;
        lease.hold(permit);

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

/// What runs at once keeps nothing: to run it all the same would be a promise that nobody holds.
#[cold]
fn no_queue() -> Error {
    let message = "the scheduler runs invocations at once, and queues no asynchronous one";
    Error::new(ErrorKind::Unsupported, message)
}
