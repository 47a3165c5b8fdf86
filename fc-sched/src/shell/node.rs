//! A node as the shell knows it: what runs there.

use std::sync::Arc;

use fc_core::{Error, ErrorKind, Isolation, NodeId, Result, Runtime, RuntimeKind};

use crate::core::placement::{Capacity, NodeSpec, RuntimeSet, Tenancy, Zone};
use crate::sync::CancellationToken;

/// A node: how large it is, where it stands, and the runtimes that start instances there.
///
/// A node of another machine is a set of runtimes that speak to an agent.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) spec: NodeSpec,
    pub(crate) runtimes: Vec<Arc<dyn Runtime>>,
}

impl Node {
    /// The node of an embedder that runs everything itself: of no size that is known, for whatever
    /// accounts there are.
    ///
    /// # Errors
    ///
    /// As [`Node::new`].
    pub fn local(runtimes: Vec<Arc<dyn Runtime>>) -> Result<Self> {
        let capabilities = || runtimes.iter().map(|runtime| runtime.capabilities());
        let spec = NodeSpec {
            id: NodeId::new("local")?,
            capacity: Capacity::Unlimited,
            zone: Zone::new("local")?,
            tenancy: Tenancy::Shared,
            isolation: capabilities().map(|each| each.isolation).min().unwrap_or(Isolation::None),
            runtimes: capabilities().map(|each| each.kind).collect(),
            owner: None,
            // They are the embedder's, in its own process.
            accounts_trust_each_other: true,
        };
        Self::new(spec, runtimes)
    }

    /// A node of this size and kind.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field: two runtimes of one kind (nobody could say which of
    /// them is meant), or a specification that promises kinds or an isolation that no runtime has.
    pub fn new(spec: NodeSpec, runtimes: Vec<Arc<dyn Runtime>>) -> Result<Self> {
        spec.validate()?;
        let mut kinds = Vec::new();
        for capabilities in runtimes.iter().map(|runtime| runtime.capabilities()) {
            if kinds.contains(&capabilities.kind) {
                let what = format!("there are two of kind {:?}", capabilities.kind);
                return Err(Error::invalid("runtimes", what));
            }
            if spec.runtimes.contains(capabilities.kind) && capabilities.isolation < spec.isolation
            {
                let what = format!(
                    "{:?} is promised, and runtime {:?} has {:?}",
                    spec.isolation, capabilities.kind, capabilities.isolation
                );
                return Err(Error::invalid("isolation", what));
            }
            kinds.push(capabilities.kind);
        }
        let all: RuntimeSet = kinds.into_iter().collect();
        if all != spec.runtimes {
            let what = format!("{:?} are declared, and the node has {all:?}", spec.runtimes);
            return Err(Error::invalid("runtimes", what));
        }
        Ok(Self { spec, runtimes })
    }
}

/// A node in use.
#[derive(Debug)]
pub(crate) struct NodeShell {
    pub(crate) id: NodeId,
    runtimes: Vec<Arc<dyn Runtime>>,
    /// The node is lost: whatever is under way there is given up.
    pub(crate) lost: CancellationToken,
}

impl NodeShell {
    pub(crate) fn new(node: Node) -> Self {
        Self { id: node.spec.id, runtimes: node.runtimes, lost: CancellationToken::new() }
    }

    pub(crate) fn runtime(&self, kind: RuntimeKind) -> Result<&Arc<dyn Runtime>> {
        let offered = |runtime: &&Arc<dyn Runtime>| runtime.capabilities().kind == kind;
        self.runtimes.iter().find(offered).ok_or_else(|| {
            let message = format!("runtime: node '{}' has none of kind {kind:?}", self.id);
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }
}
