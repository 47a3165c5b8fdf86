//! Who gets an instance: quotas of accounts, room on nodes, a fair line, and what gives way.

mod evictable;
mod make_room;
mod profile;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use fc_core::{AccountId, Instant, Resources};

pub use profile::{Blocked, Pools, Profile};

use self::evictable::Evictable;
use super::InstanceKey;
use super::fair::FairLine;
use super::placement::{Capacity, Cluster, NodeKey, NodeView, Spread};
use super::quota::{AccountLedger, AccountQuota, AccountUse};

/// How many hungry functions in a row are tried in vain before the rest waits for the next turn.
const FAILURES_MAX: u32 = 32;

/// What a supply decides by.
#[derive(Clone, Debug, Default)]
pub struct SupplyRules {
    /// What each account may hold, unless it has a quota of its own; `None`: no quota.
    pub quota: Option<AccountQuota>,
    /// A request over a quota waits for it as it waits for room on a node, instead of being refused
    /// at once, as the clouds do.
    pub wait_for_quota: bool,
    /// Idle on-demand instances give way to requests that would find no room.
    pub evict: bool,
}

/// Instances that may exist: who gets the next, on which node, and who waits for it.
///
/// `K` names a pool. Asked on cold starts and when instances go, never by a warm request. What a pool
/// wants is a level, not a number of calls, so that nothing is lost or doubled: [`Supply::settle`]
/// asks the pool what it wants now, and grants, refuses or keeps it in the fair line.
#[derive(Debug)]
pub struct Supply<K> {
    rules: SupplyRules,
    accounts: HashMap<AccountId, Account<K>, foldhash::fast::RandomState>,
    cluster: Cluster,
    /// Pools that hold or want something.
    /// Boxed: the table has room for twice as many.
    holders: HashMap<K, Box<Holder>, foldhash::fast::RandomState>,
    line: FairLine<K>,
    /// Some node is of limited size.
    bounded: bool,
    evictable: Evictable<K>,
    /// Instances on their way out, and for whom.
    evicted: HashMap<(K, InstanceKey), K, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Account<K> {
    ledger: AccountLedger,
    evictable: Evictable<K>,
}

#[derive(Debug)]
struct Holder {
    profile: Profile,
    held: u32,
    /// Instances on their way out so that this one's may come.
    evicting: u32,
    spread: Spread,
    blocked: Option<Box<Blocked>>,
}

impl<K: Copy + Ord + Hash + Debug> Supply<K> {
    /// Instances of `cluster` under `rules`.
    pub fn new(rules: SupplyRules, cluster: Cluster) -> Self {
        let limited = |node: NodeView<'_>| node.free() != Capacity::Unlimited;
        let bounded = cluster.nodes().any(limited);
        Self {
            rules,
            accounts: HashMap::default(),
            cluster,
            holders: HashMap::default(),
            line: FairLine::default(),
            bounded,
            evictable: Evictable::new(),
            evicted: HashMap::default(),
        }
    }

    /// The nodes.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The nodes, to be drained, lost or removed.
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// A node was added to the cluster: its room goes to who waits for it.
    pub fn node_added(&mut self, node: NodeKey, pools: &mut impl Pools<K>, now: Instant) {
        let node = self.cluster.node(node);
        self.bounded |= node.is_some_and(|node| node.free() != Capacity::Unlimited);
        self.serve(pools, now);
    }

    /// An account's ledger, to be changed; `None` if accounts have no quota.
    pub fn ledger(&mut self, account: AccountId, now: Instant) -> Option<&mut AccountLedger> {
        let quota = self.rules.quota?;
        let account = self.accounts.entry(account).or_insert_with(|| Account::new(quota, now));
        Some(&mut account.ledger)
    }

    /// Another quota of one account; whether accounts have any.
    pub fn set_quota(
        &mut self,
        account: AccountId,
        quota: AccountQuota,
        pools: &mut impl Pools<K>,
        now: Instant,
    ) -> bool {
        let Some(ledger) = self.ledger(account, now) else {
            return false;
        };
        ledger.set_quota(quota, now);
        self.serve(pools, now);
        true
    }

    /// Forgets accounts of which nothing need be known. As slow as there are many.
    pub fn forget_unused_accounts(&mut self, now: Instant) {
        let quota = self.rules.quota;
        self.accounts.retain(|_, account| {
            Some(*account.ledger.quota()) != quota || !account.ledger.is_unused(now)
        });
    }

    /// What an account holds.
    pub fn used(&self, account: AccountId) -> AccountUse {
        self.accounts.get(&account).map(|account| account.ledger.used()).unwrap_or_default()
    }

    /// Why a pool does not get what it wants, if it waits for something.
    pub fn blocked(&self, pool: K) -> Option<&Blocked> {
        self.holders.get(&pool)?.blocked.as_deref()
    }

    /// How many functions wait for instances.
    pub fn hungry(&self) -> usize {
        self.line.len()
    }

    /// Gives `pool` what it wants now, as far as there is; what is left waits in the line or is
    /// refused.
    pub fn settle(&mut self, pool: K, profile: &Profile, pools: &mut impl Pools<K>, now: Instant) {
        let wanted = pools.wanted(pool);
        self.line.want(profile.account, pool, wanted);
        if wanted == 0 {
            self.unblocked(pool);
            self.forget_if_unused(pool);
            return;
        }
        self.holders.entry(pool).or_insert_with(|| Box::new(Holder::new(profile.clone())));
        self.serve(pools, now);
        self.refuse_if_hopeless(pool, pools);
    }

    /// An instance is gone: its share goes to whoever is next.
    pub fn give(
        &mut self,
        pool: K,
        instance: InstanceKey,
        node: NodeKey,
        pools: &mut impl Pools<K>,
        now: Instant,
    ) {
        let Some(holder) = self.holders.get_mut(&pool) else {
            debug_assert!(false, "a pool gave back what it did not hold");
            return;
        };
        holder.held = holder.held.saturating_sub(1);
        let Profile { account, function, size, .. } = holder.profile.clone();
        release(&mut self.cluster, node, size, &mut holder.spread);
        let alive = |pools: &mut _, pool, key| is_alive(pools, pool, key, now);
        self.evictable.one_gone(|pool, key| alive(pools, pool, key));
        if let Some(account) = self.accounts.get_mut(&account) {
            account.ledger.give(&function, size);
            account.evictable.one_gone(|pool, key| alive(pools, pool, key));
        }
        let evicted_for = self.evicted.remove(&(pool, instance));
        if let Some(hungry) = evicted_for.and_then(|pool| self.holders.get_mut(&pool)) {
            hungry.evicting = hungry.evicting.saturating_sub(1);
        }
        self.serve(pools, now);
        if let Some(hungry) = evicted_for {
            self.refuse_if_hopeless(hungry, pools);
        }
        self.forget_if_unused(pool);
    }

    /// Gives what there is to those who wait, in fair order.
    pub fn serve(&mut self, pools: &mut impl Pools<K>, now: Instant) {
        let mut failures = 0;
        self.line.begin_pass();
        while failures < FAILURES_MAX
            && let Some(pool) = self.line.head()
        {
            match self.grant(pool, pools, now) {
                Granted::Yes(cost) => {
                    failures = 0;
                    self.line.served(pool, cost);
                }
                Granted::NotWanted => {
                    self.line.leave(pool);
                    self.unblocked(pool);
                }
                Granted::No(blocked) => {
                    failures += 1;
                    self.make_room(pool, &blocked, pools, now);
                    if blocked.is_of_account() {
                        self.line.pass_over_account(pool);
                    } else {
                        self.line.pass_over(pool);
                    }
                    if let Some(holder) = self.holders.get_mut(&pool) {
                        holder.blocked = Some(Box::new(blocked));
                    }
                }
            }
        }
    }

    fn grant(&mut self, pool: K, pools: &mut impl Pools<K>, now: Instant) -> Granted {
        let Some(holder) = self.holders.get_mut(&pool) else {
            return Granted::NotWanted;
        };
        let Profile { account, function, size, .. } = &holder.profile;
        let (account, size) = (*account, *size);
        let quota = self.rules.quota;
        let node = match self.cluster.place(&holder.profile.demand(), &mut holder.spread, now) {
            Ok(node) => node,
            Err(unplaceable) => return Granted::No(Blocked::NoRoom(unplaceable)),
        };
        if let Some(quota) = quota {
            let new = || Account::new(quota, now);
            let ledger = &mut self.accounts.entry(account).or_insert_with(new).ledger;
            if let Err(exceeded) = ledger.take(function, size, now) {
                release(&mut self.cluster, node, size, &mut holder.spread);
                return Granted::No(Blocked::Quota(exceeded));
            }
        }
        let Some(instance) = pools.grant(pool, node, now) else {
            release(&mut self.cluster, node, size, &mut holder.spread);
            if let Some(account) = self.accounts.get_mut(&account) {
                account.ledger.untake(function, size, now);
            }
            return Granted::NotWanted;
        };
        holder.held += 1;
        holder.blocked = None;
        self.remember(pool, instance, node, account, size);
        Granted::Yes(u64::from(size.memory_mb))
    }

    fn remember(
        &mut self,
        pool: K,
        instance: InstanceKey,
        node: NodeKey,
        account: AccountId,
        size: Resources,
    ) {
        if !self.rules.evict {
            return;
        }
        if self.bounded {
            self.evictable.add(pool, instance, node, size);
        }
        if let Some(account) = self.accounts.get_mut(&account) {
            account.evictable.add(pool, instance, node, size);
        }
    }

    /// Nobody waits for what time alone does not bring.
    fn refuse_if_hopeless(&mut self, pool: K, pools: &mut impl Pools<K>) {
        let Some(holder) = self.holders.get(&pool) else {
            return;
        };
        let account = holder.profile.account;
        if let Some(blocked) = &holder.blocked
            && holder.evicting == 0
            && (!blocked.may_pass() || (blocked.is_quota() && !self.rules.wait_for_quota))
        {
            pools.refuse(pool, blocked);
            // Levels are wanted on: they wait without a request.
            let wanted = pools.wanted(pool);
            self.line.want(account, pool, wanted);
            if wanted == 0 {
                self.unblocked(pool);
            }
            self.forget_if_unused(pool);
        }
    }

    /// What stood in the way explains nothing that is wanted later.
    fn unblocked(&mut self, pool: K) {
        if let Some(holder) = self.holders.get_mut(&pool) {
            holder.blocked = None;
        }
    }

    fn forget_if_unused(&mut self, pool: K) {
        let unused = |holder: &Holder| holder.held == 0 && holder.evicting == 0;
        if self.line.level(pool) == 0
            && self.holders.get(&pool).is_some_and(|holder| unused(holder))
        {
            self.holders.remove(&pool);
        }
    }
}

enum Granted {
    /// With what it weighs in the fair line.
    Yes(u64),
    No(Blocked),
    NotWanted,
}

impl<K: Copy + Ord> Account<K> {
    fn new(quota: AccountQuota, now: Instant) -> Self {
        Self { ledger: AccountLedger::new(quota, now), evictable: Evictable::new() }
    }
}

impl Holder {
    fn new(profile: Profile) -> Self {
        Self { profile, held: 0, evicting: 0, spread: Spread::default(), blocked: None }
    }
}

/// What was placed is there to be released: anything else is a bug, which costs the node's books, not
/// the caller.
fn release(cluster: &mut Cluster, node: NodeKey, size: Resources, spread: &mut Spread) {
    let released = cluster.release(node, size, spread);
    debug_assert!(released.is_ok(), "{released:?}");
    if let Err(error) = released {
        tracing::error!(?node, %error, "an instance was not where it was placed");
    }
}

fn is_alive<K>(pools: &mut impl Pools<K>, pool: K, instance: InstanceKey, now: Instant) -> bool {
    pools.worth(pool, instance, now) != super::Worth::Gone
}
