//! A node as it is declared.

use fc_core::{AccountId, Error, Isolation, NodeId, Resources, Result, RuntimeKind};

use super::index::{BOUNDLESS, Room, room};
use super::{RuntimeSet, Zone};

/// What a node can hold, or what is free of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capacity {
    /// So much.
    Limited(Resources),
    /// Whatever comes: for an embedder whose one local node needs no bookkeeping. Instances are
    /// counted, their sizes are not. Best fit takes such a node last, and of several any.
    Unlimited,
}

impl Capacity {
    /// Whether an instance of this size has room in it.
    pub const fn holds(&self, size: Resources) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Limited(of) => {
                size.cpu_milli <= of.cpu_milli
                    && size.memory_mb <= of.memory_mb
                    && size.disk_mb <= of.disk_mb
            }
        }
    }

    pub(super) const fn room(self) -> Room {
        match self {
            Self::Limited(of) => room(of),
            Self::Unlimited => BOUNDLESS,
        }
    }
}

/// Who a node serves, or where an instance may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tenancy {
    /// Node: instances of any accounts side by side. Instance: on such a node.
    Shared,
    /// Node: bound to the first account that it serves, as long as it lives, also when it is empty
    /// again (NOD-2). Instance: on a node of its account, or on one that is not bound yet.
    Dedicated,
}

/// A node as it is declared.
///
/// ```
/// use fc_core::{Isolation, NodeId, Resources, RuntimeKind};
/// use fc_sched::core::placement::{Capacity, NodeSpec, RuntimeSet, Tenancy, Zone};
///
/// let mut spec = NodeSpec {
///     id: NodeId::new("n-1")?,
///     capacity: Capacity::Limited(Resources { cpu_milli: 96_000, memory_mb: 196_608, disk_mb: 1_000_000 }),
///     zone: Zone::new("a")?,
///     tenancy: Tenancy::Shared,
///     isolation: Isolation::VirtualMachine,
///     runtimes: RuntimeSet::of(RuntimeKind::Container),
///     owner: None,
///     accounts_trust_each_other: false,
/// };
/// spec.validate()?;
/// // Processes of strangers are not put side by side …
/// spec.isolation = Isolation::Process;
/// assert!(spec.validate().unwrap_err().message().starts_with("tenancy: "));
/// // … but they may be colleagues.
/// spec.accounts_trust_each_other = true;
/// spec.validate()?;
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSpec {
    /// Its id, of which a cluster has one at a time.
    pub id: NodeId,
    /// What it can hold.
    pub capacity: Capacity,
    /// Its zone.
    pub zone: Zone,
    /// Who it serves.
    pub tenancy: Tenancy,
    /// What stands between two of its instances.
    pub isolation: Isolation,
    /// What it can run.
    pub runtimes: RuntimeSet,
    /// The account that a dedicated node is bound to already: a scheduler that starts again must
    /// not forget it (NOD-2). `None`: the first that comes.
    pub owner: Option<AccountId>,
    /// The integrator's word that all accounts may see each other, as in a program that embeds fc
    /// for functions of its own. Only with it is a node shared whose isolation is less than
    /// [`Isolation::Sandbox`]. Without it, such a node is dedicated to one account.
    pub accounts_trust_each_other: bool,
}

impl NodeSpec {
    /// Proves that a cluster can use it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names `capacity`, `tenancy`, `runtimes` or `owner`.
    pub fn validate(&self) -> Result<()> {
        if let Capacity::Limited(of) = self.capacity {
            // A node may have no disk of its own to give; nothing runs without the two others.
            for (field, value) in [("cpu_milli", of.cpu_milli), ("memory_mb", of.memory_mb)] {
                if value == 0 {
                    return Err(Error::invalid(&format!("capacity.{field}"), "0 must be over 0"));
                }
            }
        }
        let kept_apart = self.isolation >= Isolation::Sandbox || self.accounts_trust_each_other;
        if self.tenancy == Tenancy::Shared && !kept_apart {
            let what = format_args!(
                "a node with isolation {:?} cannot be Shared, which takes Sandbox, \
                 unless accounts_trust_each_other",
                self.isolation
            );
            return Err(Error::invalid("tenancy", what));
        }
        if self.runtimes.is_empty() {
            return Err(Error::invalid("runtimes", "must name at least one"));
        }
        if self.tenancy == Tenancy::Shared && self.owner.is_some() {
            return Err(Error::invalid("owner", "a Shared node has none"));
        }
        Ok(())
    }
}

/// What nodes may have in common, so that any of them serves the same demands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offer {
    pub(super) tenancy: Tenancy,
    pub(super) isolation: Isolation,
    pub(super) runtimes: RuntimeSet,
}

impl Offer {
    pub(super) fn of(spec: &NodeSpec) -> Self {
        Self { tenancy: spec.tenancy, isolation: spec.isolation, runtimes: spec.runtimes }
    }

    pub(super) fn serves(&self, demand: &Demand) -> bool {
        self.tenancy == demand.tenancy
            && self.isolation >= demand.isolation
            && self.runtimes.contains(demand.runtime)
    }
}

/// What one new instance needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Whose it is.
    pub account: AccountId,
    /// Its size.
    pub size: Resources,
    /// What runs it.
    pub runtime: RuntimeKind,
    /// The least that must stand between it and others.
    pub isolation: Isolation,
    /// Which nodes may hold it.
    pub tenancy: Tenancy,
}
