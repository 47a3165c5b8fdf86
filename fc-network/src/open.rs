//! No isolation: every instance is on the host's loopback.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use fc_core::{
    Attachment, AttachmentId, Context, Error, ErrorKind, InstanceId, Network, NetworkCapabilities,
    NetworkPolicy, Result,
};

/// A network without isolation: instances share the host's loopback, and reach all that it reaches.
///
/// The only policy it takes is [`NetworkPolicy::default`]; any other is refused with `Unsupported`,
/// because it would not be enforced. An attachment costs one map entry of 56 bytes, no system call.
///
/// An attachment's id is its instance's: attaching the same instance after a detach gives the same
/// id again.
///
/// ```
/// use fc_core::Network;
/// let network = fc_network::OpenNetwork::new();
/// assert!(!network.capabilities().isolates);
/// ```
#[derive(Default)]
pub struct OpenNetwork {
    /// What turns an instance's name into its attachment's id.
    ids: RandomState,
    attached: DashMap<AttachmentId, InstanceId>,
}

impl OpenNetwork {
    /// A network without attachments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attachments that nobody has freed.
    pub fn attachments(&self) -> usize {
        self.attached.len()
    }
}

#[async_trait]
impl Network for OpenNetwork {
    fn capabilities(&self) -> NetworkCapabilities {
        NetworkCapabilities { isolates: false, egress_policy: false }
    }

    async fn attach(
        &self,
        _: Context,
        instance: InstanceId,
        policy: &NetworkPolicy,
    ) -> Result<Attachment> {
        if *policy != NetworkPolicy::default() {
            return Err(refuse(policy));
        }
        let id = AttachmentId(self.ids.hash_one(instance));
        match self.attached.entry(id) {
            // 64 keyed bits: of a million attachments two collide once in 37 million tries.
            Entry::Occupied(other) if *other.get() != instance => {
                return Err(Error::internal("instance_id: its hash is another instance's"));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(instance);
            }
        }
        Ok(Attachment {
            id,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            own_address: false,
            namespace: None,
        })
    }

    async fn detach(&self, _: Context, id: AttachmentId) -> Result<()> {
        self.attached.remove(&id);
        Ok(())
    }

    async fn reconcile(&self, _: Context, live: &[InstanceId]) -> Result<u32> {
        let live: HashSet<&InstanceId> = live.iter().collect();
        let mut freed = 0u32;
        self.attached.retain(|_, instance| {
            let keep = live.contains(instance);
            freed = freed.saturating_add(u32::from(!keep));
            keep
        });
        self.attached.shrink_to_fit();
        Ok(freed)
    }
}

impl fmt::Debug for OpenNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenNetwork").field("attachments", &self.attachments()).finish()
    }
}

fn refuse(policy: &NetworkPolicy) -> Error {
    let field = if policy.internet { "vpc" } else { "internet" };
    let asked = if policy.internet { policy.vpc } else { policy.internet };
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "network policy: {field} = {asked} cannot be enforced by a network without isolation"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fc_core::RequestId;

    use super::*;

    const CX: Context = Context::new(RequestId::NIL);

    fn instance(number: u32) -> InstanceId {
        InstanceId::new(&format!("c-{number}")).unwrap()
    }

    async fn attach(network: &OpenNetwork, number: u32) -> Attachment {
        network.attach(CX, instance(number), &NetworkPolicy::default()).await.unwrap()
    }

    #[tokio::test]
    async fn it_promises_no_isolation_and_gives_loopback() {
        let network = OpenNetwork::new();
        let promised = NetworkCapabilities { isolates: false, egress_policy: false };
        assert_eq!(network.capabilities(), promised);
        let attachment = attach(&network, 1).await;
        assert_eq!(attachment.address, IpAddr::from([127, 0, 0, 1]));
        assert!(!attachment.own_address && attachment.namespace.is_none());
    }

    /// NET-1: only the default mode, Internet only, can be had; the others are refused, by name.
    #[tokio::test]
    async fn net_1_a_policy_it_cannot_enforce_is_refused() {
        let network = OpenNetwork::new();
        for (internet, vpc, field) in
            [(false, false, "internet"), (false, true, "internet"), (true, true, "vpc")]
        {
            let policy = NetworkPolicy { internet, vpc };
            let refused = network.attach(CX, instance(1), &policy).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.message().contains(field), "{refused}");
        }
        assert_eq!(network.attachments(), 0);
    }

    #[tokio::test]
    async fn attach_and_detach_are_idempotent() {
        let network = OpenNetwork::new();
        let (first, other) = (attach(&network, 1).await, attach(&network, 2).await);
        assert_eq!(attach(&network, 1).await, first);
        assert_ne!(other.id, first.id);
        assert_eq!(network.attachments(), 2);
        for _ in 0..2 {
            network.detach(CX, first.id).await.unwrap();
            assert_eq!(network.attachments(), 1);
        }
        assert_eq!(attach(&network, 2).await, other);
    }

    #[tokio::test]
    async fn reconcile_frees_what_is_not_live_and_counts_it() {
        let network = OpenNetwork::new();
        for number in 0..10 {
            attach(&network, number).await;
        }
        let live: Vec<InstanceId> = (7..13).map(instance).collect();
        assert_eq!(network.reconcile(CX, &live).await.unwrap(), 7);
        assert_eq!(network.reconcile(CX, &live).await.unwrap(), 0);
        assert_eq!(network.attachments(), 3);
        assert_eq!(network.reconcile(CX, &[]).await.unwrap(), 3);
        assert_eq!(network.attachments(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn racing_attaches_of_one_instance_give_one_attachment() {
        let network = Arc::new(OpenNetwork::new());
        for number in 0..100 {
            let race = || {
                let network = network.clone();
                tokio::spawn(async move { attach(&network, number).await })
            };
            let (one, two) = (race(), race());
            assert_eq!(one.await.unwrap(), two.await.unwrap());
        }
        assert_eq!(network.attachments(), 100);
    }
}
