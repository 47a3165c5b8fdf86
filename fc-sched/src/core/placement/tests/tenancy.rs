//! NOD-2: who may be on which node.

use super::*;

#[test]
fn nod_2_a_shared_node_takes_several_accounts_and_must_be_sandboxed() {
    let mut cluster = cluster([node("n")]);
    for name in ["alice", "bob"] {
        let demand = Demand { account: account(name), ..demand(SMALL) };
        assert_eq!(place(&mut cluster, &demand).unwrap(), "n");
    }
    for isolation in [Isolation::None, Isolation::Process] {
        let weak = NodeSpec { isolation, ..node("weak") };
        let error = cluster.add(weak.clone(), NOW).unwrap_err();
        assert!(error.message().starts_with("tenancy: "), "{error:?}");
        // The integrator's word makes it one for all accounts; a strict function is not put there.
        let trusting = NodeSpec { accounts_trust_each_other: true, ..weak };
        let node = cluster.add(trusting, NOW).unwrap();
        cluster.remove(node).unwrap();
    }
    cluster.add(NodeSpec { isolation: Isolation::VirtualMachine, ..node("vm") }, NOW).unwrap();
}

#[test]
fn nod_2_a_local_node_without_isolation_serves_one_account_or_by_declaration_all() {
    let local = NodeSpec { isolation: Isolation::None, ..dedicated("local") };
    let mut one = cluster([local.clone()]);
    let asked = |name| Demand { isolation: Isolation::None, ..demand_of(name) };
    assert_eq!(place(&mut one, &asked("alice")).unwrap(), "local");
    assert_eq!(place(&mut one, &asked("bob")).unwrap_err(), Unplaceable::OthersOnly);
    let trusting = NodeSpec { tenancy: Tenancy::Shared, accounts_trust_each_other: true, ..local };
    let mut all = cluster([trusting]);
    for name in ["alice", "bob"] {
        let asked = Demand { tenancy: Tenancy::Shared, ..asked(name) };
        assert_eq!(place(&mut all, &asked).unwrap(), "local");
        let strict = Demand { isolation: Isolation::Process, ..asked };
        let refused = place(&mut all, &strict).unwrap_err();
        let expected =
            Unplaceable::NoIsolation { asked: Isolation::Process, most: Isolation::None };
        assert_eq!(refused, expected);
    }
}

#[test]
fn nod_2_a_dedicated_node_is_its_first_accounts_for_ever() {
    let mut cluster = cluster([dedicated("n")]);
    let mut spread = Spread::EMPTY;
    let node = cluster.place(&demand_of("alice"), &mut spread, NOW).unwrap();
    assert_eq!(cluster.node(node).unwrap().owner(), Some(&account("alice")));
    assert_eq!(place(&mut cluster, &demand_of("bob")).unwrap_err(), Unplaceable::OthersOnly);
    // Empty again, it still is.
    cluster.release(node, SMALL, &mut spread).unwrap();
    assert_eq!(place(&mut cluster, &demand_of("bob")).unwrap_err(), Unplaceable::OthersOnly);
    assert_eq!(place(&mut cluster, &demand_of("alice")).unwrap(), "n");
}

#[test]
fn nod_2_a_binding_outlives_the_scheduler() {
    let mut of = cluster([dedicated("n")]);
    let mut spread = Spread::EMPTY;
    let node = of.place(&demand_of("alice"), &mut spread, NOW).unwrap();
    of.release(node, SMALL, &mut spread).unwrap();
    let spec = of.remove(node).unwrap();
    assert_eq!(spec.owner, Some(account("alice")));
    let mut again = cluster([spec]);
    assert_eq!(place(&mut again, &demand_of("bob")).unwrap_err(), Unplaceable::OthersOnly);
    assert_eq!(place(&mut again, &demand_of("alice")).unwrap(), "n");
    let owned = NodeSpec { owner: Some(account("alice")), ..in_zone("shared", "a") };
    assert!(again.add(owned, NOW).unwrap_err().message().starts_with("owner: "));
}

#[test]
fn nod_2_neither_tenancy_takes_the_others_instances() {
    let mut of = cluster([node("shared")]);
    let refused = place(&mut of, &demand_of("alice")).unwrap_err();
    assert_eq!(refused, Unplaceable::NoTenancy(Tenancy::Dedicated));
    let mut of = cluster([dedicated("own")]);
    let refused = place(&mut of, &demand(SMALL)).unwrap_err();
    assert_eq!(refused, Unplaceable::NoTenancy(Tenancy::Shared));
    of.add(node("shared"), NOW).unwrap();
    assert_eq!(place(&mut of, &demand_of("alice")).unwrap(), "own");
    assert_eq!(place(&mut of, &demand(SMALL)).unwrap(), "shared");
}

#[test]
fn nod_2_an_own_node_is_filled_before_another_is_bound() {
    let tight = NodeSpec { capacity: Capacity::Limited(SMALL), ..dedicated("tight") };
    let mut cluster = cluster([dedicated("own")]);
    assert_eq!(place(&mut cluster, &demand_of("alice")).unwrap(), "own");
    cluster.add(tight, NOW).unwrap();
    for _ in 0..3 {
        assert_eq!(place(&mut cluster, &demand_of("alice")).unwrap(), "own");
    }
    assert_eq!(place(&mut cluster, &demand_of("alice")).unwrap(), "tight");
    let refused = place(&mut cluster, &demand_of("alice")).unwrap_err();
    let roomiest = size(0, 0, NODE.disk_mb - 4 * SMALL.disk_mb);
    assert_eq!(refused, Unplaceable::Full { asked: SMALL, roomiest });
}
