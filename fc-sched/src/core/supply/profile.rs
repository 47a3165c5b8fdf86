//! What a supply is told of a pool, asks of it, and answers.

use fc_core::{AccountId, Error, FunctionName, Instant, Isolation, Resources, RuntimeKind};

use crate::core::placement::{Demand, NodeKey, Tenancy, Unplaceable};
use crate::core::quota::Exceeded;
use crate::core::{InstanceKey, Worth};

/// What one pool's instances are like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Whose they are.
    pub account: AccountId,
    /// Their function, the same for all its versions.
    pub function: FunctionName,
    /// How large one is.
    pub size: Resources,
    /// What runs them.
    pub runtime: RuntimeKind,
    /// What must stand between them and others, at least.
    pub isolation: Isolation,
    /// Whether their node is theirs alone.
    pub tenancy: Tenancy,
}

impl Profile {
    pub(super) fn demand(&self) -> Demand {
        Demand {
            account: self.account,
            size: self.size,
            runtime: self.runtime,
            isolation: self.isolation,
            tenancy: self.tenancy,
        }
    }
}

/// The pools, as a supply sees them. Each call is about a pool's state at that moment; a shell that
/// locks pools one by one takes a pool's lock in each call, under the supply's.
pub trait Pools<K> {
    /// [`Pool::told`](crate::core::Pool::told); 0 if there is no such pool.
    fn wanted(&mut self, pool: K) -> u32;
    /// [`Pool::grant`](crate::core::Pool::grant).
    fn grant(&mut self, pool: K, node: NodeKey, now: Instant) -> Option<InstanceKey>;
    /// [`Pool::refuse`](crate::core::Pool::refuse), with the reason for those who fail.
    fn refuse(&mut self, pool: K, why: &Blocked);
    /// [`Pool::worth`](crate::core::Pool::worth).
    fn worth(&mut self, pool: K, instance: InstanceKey, now: Instant) -> Worth;
    /// [`Pool::evict`](crate::core::Pool::evict).
    fn evict(&mut self, pool: K, instance: InstanceKey, now: Instant) -> bool;
}

/// Why there is no instance now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// A quota of the account.
    Quota(Exceeded),
    /// No node takes it.
    NoRoom(Unplaceable),
}

impl Blocked {
    /// Whether waiting may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Quota(_) => true,
            Self::NoRoom(unplaceable) => !matches!(
                unplaceable,
                Unplaceable::NoRuntime(_)
                    | Unplaceable::NoIsolation { .. }
                    | Unplaceable::NoTenancy(_)
                    | Unplaceable::TooLarge { .. }
            ),
        }
    }

    pub(super) fn is_quota(&self) -> bool {
        matches!(self, Self::Quota(_))
    }

    /// What stands in the way: a quota's name, or the nodes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Quota(exceeded) => exceeded.quota.name(),
            Self::NoRoom(_) => "nodes",
        }
    }

    /// Whether all functions of the account are blocked alike.
    pub(super) fn is_of_account(&self) -> bool {
        matches!(self, Self::Quota(exceeded) if exceeded.quota.is_of_account())
    }

    /// The error of those whom it concerns.
    pub fn error(&self) -> Error {
        match self {
            Self::Quota(exceeded) => (*exceeded).into(),
            Self::NoRoom(unplaceable) => (*unplaceable).into(),
        }
    }
}
