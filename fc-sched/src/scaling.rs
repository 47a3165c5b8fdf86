//! How many instances there should be: asks the policies in time, and tells the pools (SCH-4, SCH-11).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fc_core::{AccountId, Error, FunctionName, FunctionVersion, Instant, Qualifier, Result};

use crate::Scheduler;
use crate::core::placement::NodeKey;
use crate::core::policy::{Load, ProvisionConfig, ScalingState};
use crate::core::{Levels, LoadReading};
use crate::shell::{PoolShell, Surroundings};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Notify, select};

/// Whose instances are provisioned: a function, as a qualifier names it.
type Subject = (AccountId, FunctionName, Qualifier);

/// What scaling knows between two ticks.
#[derive(Debug, Default)]
pub(crate) struct Scaled {
    provisions: Mutex<HashMap<Subject, Provision>>,
    /// By version: what the policy for all functions has learned.
    forecasts: Mutex<HashMap<u64, Box<dyn ScalingState>>>,
    /// Until when nodes that drain keep what is not replaced.
    drains: Mutex<Vec<(Instant, NodeKey)>>,
    /// Versions that have levels.
    levelled: Mutex<HashMap<u64, Arc<PoolShell>>>,
    changed: Notify,
    /// Those who wait for time alone are looked at soon anyway.
    ticking: AtomicBool,
}

#[derive(Debug)]
struct Provision {
    config: ProvisionConfig,
    state: Box<dyn ScalingState>,
    target: u32,
    error: Option<Error>,
}

/// What became of a provision.
#[derive(Clone, Debug)]
pub struct ProvisionStatus {
    /// What was asked for.
    pub config: ProvisionConfig,
    /// How many instances there should be now.
    pub target: u32,
    /// How many there are that are not on their way out.
    pub current: u32,
    /// Why there are fewer, if something stands in the way.
    pub current_error: Option<String>,
}

/// How often those who wait for a quota's growth are looked at: 300 a minute are one in 200 ms.
const HUNGRY_TICK: Duration = Duration::from_millis(200);

/// How often accounts of which nothing need be known are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

impl Scheduler {
    /// Keeps instances of a function whatever its requests (SCH-4); an empty configuration ends it.
    ///
    /// The qualifier is LATEST or an alias: what it means may change, and the instances follow.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field; `ResourceExhausted` if the account's provisioned
    /// instances were over their share of its concurrency (QUO-3). Nothing is changed then.
    pub fn provision(
        &self,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
        config: ProvisionConfig,
    ) -> Result<()> {
        if matches!(qualifier, Qualifier::Version(version) if *version != fc_core::VersionId::LATEST)
        {
            return Err(Error::invalid("qualifier", "must be LATEST or an alias"));
        }
        let compiled = config.compile()?;
        let scaled = &self.around.scaled;
        let subject = (account, function.clone(), qualifier.clone());
        {
            let mut provisions = scaled.provisions.lock();
            // The ledger knows functions: all qualifiers of this one together.
            let others = provisions.iter().filter(|((of, name, qualifier), _)| {
                (*of, name) == (account, function) && *qualifier != subject.2
            });
            let others = others.map(|(_, provision)| most_of(&provision.config));
            let most = others.fold(most_of(&config), u32::saturating_add);
            let mut supply = self.around.supply.lock();
            if let Some(ledger) = supply.ledger(account, self.around.clock.now()) {
                ledger.provision(function, most)?;
            }
            drop(supply);
            if config == ProvisionConfig::default() {
                provisions.remove(&subject);
            } else {
                let state = crate::core::policy::Scaling::begin(&compiled);
                let provision = Provision { config, state, target: 0, error: None };
                provisions.insert(subject, provision);
            }
        }
        self.around.scale();
        scaled.changed.notify_one();
        Ok(())
    }

    /// What became of a provision; `None` if there is none.
    pub fn provisioned(
        &self,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Option<ProvisionStatus> {
        let subject = (account, function.clone(), qualifier.clone());
        let (config, target, error) = {
            let provisions = self.around.scaled.provisions.lock();
            let provision = provisions.get(&subject)?;
            let error = provision.error.as_ref().map(ToString::to_string);
            (provision.config.clone(), provision.target, error)
        };
        let version = self.around.catalog.resolve(&account, function.as_str(), qualifier).ok();
        let uid = version.map(|version| version.uid());
        let pool = uid.and_then(|uid| self.around.pools.pin().get(&uid).cloned());
        let current = pool.map_or(0, |pool| pool.usage().provisioned);
        let blocked = uid.filter(|_| current < target).and_then(|uid| {
            self.around.supply.lock().blocked(uid).map(|blocked| blocked.error().to_string())
        });
        Some(ProvisionStatus { config, target, current, current_error: error.or(blocked) })
    }
}

/// The most instances that a configuration may ever ask for.
fn most_of(config: &ProvisionConfig) -> u32 {
    let actions = config.scheduled_actions.iter().map(|action| action.target);
    let policies = config.target_tracking_policies.iter().map(|policy| policy.max_capacity);
    actions.chain(policies).chain([config.default_target]).max().unwrap_or(0)
}

impl Scaled {
    /// What is left on a node at `by` is let go.
    pub(crate) fn drained_by(&self, node: NodeKey, by: Instant) {
        self.drains.lock().push((by, node));
        self.changed.notify_one();
    }

    /// Somebody waits for what only time brings.
    pub(crate) fn someone_waits(&self) {
        if !self.ticking.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }

    /// There is a pool that the policy for all functions is to be asked about.
    pub(crate) fn pool_made(&self) {
        self.changed.notify_one();
    }

    fn due_drains(&self, now: Instant) -> Vec<NodeKey> {
        let mut drains = self.drains.lock();
        let due = drains.iter().filter(|(by, _)| *by <= now).map(|(_, node)| *node).collect();
        drains.retain(|(by, _)| *by > now);
        due
    }
}

/// Asks the policies in time, until the scheduler stops.
pub(crate) async fn run(around: Arc<Surroundings>) {
    let mut forget = around.clock.now() + FORGET_EVERY;
    // The next tick of the policies, if there are any. Whatever else there is to do in between does
    // not put it off, nor ask them more often.
    let mut tick = around.clock.now() + around.policies.scaling_tick;
    loop {
        let now = around.clock.now();
        // First: whoever begins to wait after the look finds this, and wakes the loop.
        around.scaled.ticking.store(false, Ordering::Relaxed);
        let next = around.next_look(now, tick);
        around.scaled.ticking.store(next <= now + HUNGRY_TICK, Ordering::Relaxed);
        select! {
            () = around.clock.sleep_until(next) => {},
            () = around.scaled.changed.notified() => continue,
            () = around.stop.cancelled() => return,
        }
        let now = around.clock.now();
        let expired = around.supply.lock().cluster_mut().expire(now);
        expired.into_iter().for_each(|node| around.empty(node));
        for node in around.scaled.due_drains(now) {
            for pool in around.all_pools() {
                pool.update(None, |core| core.leave_node(node));
            }
        }
        if tick <= now {
            around.scale();
            tick = now + around.policies.scaling_tick;
        }
        around.with_supply(|supply, pools, now| supply.serve(pools, now));
        around.forget_empty_nodes();
        if now >= forget {
            forget = now + FORGET_EVERY;
            around.supply.lock().forget_unused_accounts(now);
        }
    }
}

impl Surroundings {
    fn next_look(&self, now: Instant, tick: Instant) -> Instant {
        let policies = self.policies.scaling.is_some() && !self.pools.is_empty();
        let mut next = Instant::MAX;
        if policies || !self.scaled.provisions.lock().is_empty() {
            next = tick;
        }
        let supply = self.supply.lock();
        if supply.hungry() > 0 {
            next = next.min(now + HUNGRY_TICK);
        }
        let drains = self.scaled.drains.lock().iter().map(|(by, _)| *by).min();
        [supply.cluster().next_expiry(), drains].into_iter().flatten().fold(next, Instant::min)
    }

    /// Asks every policy, and tells the pools.
    pub(crate) fn scale(self: &Arc<Self>) {
        if self.gate.is_closed() {
            return;
        }
        let mut wanted: HashMap<u64, (Arc<PoolShell>, Levels)> = HashMap::new();
        let mut readings: HashMap<u64, Load> = HashMap::new();
        self.ask_provisions(&mut wanted, &mut readings);
        self.ask_forecasts(&mut wanted, &mut readings);
        let mut levelled = self.scaled.levelled.lock();
        for (uid, pool) in std::mem::take(&mut *levelled) {
            if !wanted.contains_key(&uid) {
                pool.update(None, |core| core.set_levels(Levels::default()));
            }
        }
        for (uid, (pool, levels)) in wanted {
            pool.update(None, |core| core.set_levels(levels));
            levelled.insert(uid, pool);
        }
    }

    fn ask_provisions(
        self: &Arc<Self>,
        wanted: &mut HashMap<u64, (Arc<PoolShell>, Levels)>,
        readings: &mut HashMap<u64, Load>,
    ) {
        for ((account, function, qualifier), provision) in &mut *self.scaled.provisions.lock() {
            let version = match self.catalog.resolve(account, function.as_str(), qualifier) {
                Ok(version) => version,
                Err(error) => {
                    (provision.target, provision.error) = (0, Some(error));
                    continue;
                }
            };
            provision.error = None;
            let pool = self.pool_of(&version);
            let load = *readings.entry(version.uid()).or_insert_with(|| self.load(&pool));
            provision.target = provision.state.target(&load).unwrap_or(0);
            let (_, levels) =
                wanted.entry(version.uid()).or_insert_with(|| (pool, Levels::default()));
            levels.provisioned = levels.provisioned.max(provision.target);
            levels.on_demand_disabled |= provision.config.on_demand_disabled;
            levels.freeze_provisioned |= !provision.config.always_allocate_cpu;
        }
    }

    fn ask_forecasts(
        self: &Arc<Self>,
        wanted: &mut HashMap<u64, (Arc<PoolShell>, Levels)>,
        readings: &mut HashMap<u64, Load>,
    ) {
        let Some(policy) = &self.policies.scaling else {
            return;
        };
        let mut forecasts = self.scaled.forecasts.lock();
        let pools = self.all_pools();
        for pool in pools.iter().filter(|pool| !pool.with_core(|core| core.is_closing())) {
            let uid = pool.version.uid();
            let load = *readings.entry(uid).or_insert_with(|| self.load(pool));
            let state = forecasts.entry(uid).or_insert_with(|| policy.begin());
            let floor = state.target(&load).unwrap_or(0);
            let new = || (pool.clone(), Levels::default());
            wanted.entry(uid).or_insert_with(new).1.floor = floor;
        }
        let here = self.pools.pin();
        forecasts.retain(|uid, _| here.contains_key(uid));
    }

    /// The pool of a version that is to have instances, though nobody may have asked for it yet.
    fn pool_of(self: &Arc<Self>, version: &Arc<FunctionVersion>) -> Arc<PoolShell> {
        let new = || PoolShell::new(version.clone(), self.clone());
        let pool = self.pools.pin().get_or_insert_with(version.uid(), new).clone();
        // A shutdown, or a change of the function, may not have seen it.
        if self.gate.is_closed() || !self.catalog.is_current(version) {
            pool.close();
        }
        pool
    }

    fn load(&self, pool: &PoolShell) -> Load {
        let now = self.clock.now();
        let (reading, usage, start_cost) =
            pool.with_core(|core| (core.read_load(now), core.usage(), core.start_cost()));
        let LoadReading { running_mean, running_peak, arrivals, .. } = reading;
        Load {
            now,
            wall: self.clock.wall(),
            instances: usage.instances,
            provisioned: usage.provisioned,
            concurrency: pool.version.instance_concurrency(),
            running_mean,
            running_peak,
            arrivals,
            start_cost,
            tick: self.policies.scaling_tick,
        }
    }
}
