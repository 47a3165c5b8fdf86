//! What an instance can reach, and who can reach it.

use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;

use crate::{Context, InstanceId, Result};

/// What a network driver can enforce.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NetworkCapabilities {
    /// Instances cannot reach each other, the node or the platform (NET-5).
    pub isolates: bool,
    /// Outbound modes (NET-1) are enforced.
    pub egress_policy: bool,
}

/// What an instance may reach (NET-1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkPolicy {
    /// The Internet.
    pub internet: bool,
    /// The function's own VPC.
    pub vpc: bool,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { internet: true, vpc: false }
    }
}

/// Identifies an attachment within its driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttachmentId(pub u64);

/// An instance's network identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// What `detach` takes.
    pub id: AttachmentId,
    /// Where the platform reaches the instance's server.
    pub address: IpAddr,
    /// Whether the address is the instance's alone, so that it may use its configured port. If not,
    /// the runtime chooses a free port of the host.
    pub own_address: bool,
    /// The network namespace the instance is to run in, if the driver made one.
    pub namespace: Option<std::path::PathBuf>,
}

/// Gives instances a network identity and enforces what they may reach.
#[async_trait]
pub trait Network: Debug + Send + Sync + 'static {
    /// What is enforced. A policy that asks for more is refused by `attach`.
    fn capabilities(&self) -> NetworkCapabilities;

    /// Attaches `instance`. Idempotent: a second call for the same instance gives the first's
    /// attachment.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a policy that the driver cannot enforce, `ResourceExhausted` if no address
    /// is left.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have attached: `detach` or `reconcile` frees it.
    async fn attach(
        &self,
        cx: Context,
        instance: InstanceId,
        policy: &NetworkPolicy,
    ) -> Result<Attachment>;

    /// Frees an attachment. Idempotent: an unknown one is freed already.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from freeing it; it may be tried again.
    async fn detach(&self, cx: Context, id: AttachmentId) -> Result<()>;

    /// After a crash: frees what belongs to none of `live`, and says how many that were.
    ///
    /// # Errors
    ///
    /// Whatever keeps the driver from looking.
    async fn reconcile(&self, cx: Context, live: &[InstanceId]) -> Result<u32>;
}
