//! The rows NOD-1 to NOD-5, both sides of each boundary.

mod life;
mod packing;
mod policy;
mod tenancy;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    AccountId, Error, ErrorKind, Instant, Isolation, NodeId, Resources, Retry, RuntimeKind,
};

pub(super) use super::*;

const NOW: Instant = Instant::ORIGIN;
const HOUR: Duration = Duration::from_secs(3_600);
const SMALL: Resources = size(1_000, 2_048, 512);
const NODE: Resources = size(4_000, 8_192, 20_480);

const fn size(cpu_milli: u32, memory_mb: u32, disk_mb: u32) -> Resources {
    Resources { cpu_milli, memory_mb, disk_mb }
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn node(id: &str) -> NodeSpec {
    NodeSpec {
        id: NodeId::new(id).unwrap(),
        capacity: Capacity::Limited(NODE),
        zone: Zone::new("a").unwrap(),
        tenancy: Tenancy::Shared,
        isolation: Isolation::Sandbox,
        runtimes: RuntimeSet::of(RuntimeKind::Container),
        owner: None,
        accounts_trust_each_other: false,
    }
}

fn in_zone(id: &str, zone: &str) -> NodeSpec {
    NodeSpec { zone: Zone::new(zone).unwrap(), ..node(id) }
}

fn of_size(id: &str, of: Resources) -> NodeSpec {
    NodeSpec { capacity: Capacity::Limited(of), ..node(id) }
}

fn dedicated(id: &str) -> NodeSpec {
    NodeSpec { tenancy: Tenancy::Dedicated, isolation: Isolation::Process, ..node(id) }
}

fn demand(of: Resources) -> Demand {
    Demand {
        account: account("alice"),
        size: of,
        runtime: RuntimeKind::Container,
        isolation: Isolation::Process,
        tenancy: Tenancy::Shared,
    }
}

fn demand_of(name: &str) -> Demand {
    Demand { account: account(name), tenancy: Tenancy::Dedicated, ..demand(SMALL) }
}

fn cluster(nodes: impl IntoIterator<Item = NodeSpec>) -> Cluster {
    let mut cluster = Cluster::new(ClusterRules::default()).unwrap();
    for node in nodes {
        cluster.add(node, NOW).unwrap();
    }
    cluster
}

/// Places one instance of a function of its own; gives the node's id.
fn place(cluster: &mut Cluster, demand: &Demand) -> Result<String, Unplaceable> {
    let node = cluster.place(demand, &mut Spread::default(), NOW)?;
    Ok(cluster.node(node).unwrap().spec().id.to_string())
}

fn key(cluster: &Cluster, id: &str) -> NodeKey {
    cluster.find(&NodeId::new(id).unwrap()).unwrap()
}

fn free(cluster: &Cluster, id: &str) -> Resources {
    match cluster.node(key(cluster, id)).unwrap().free() {
        Capacity::Limited(free) => free,
        Capacity::Unlimited => panic!("no limit"),
    }
}
