//! NOD-3, NOD-5: age, failure, draining.

use super::*;

#[test]
fn nod_3_a_node_takes_work_until_it_is_120_hours_old() {
    let mut cluster = cluster([]);
    assert_eq!(cluster.next_expiry(), None);
    cluster.add(node("old"), NOW).unwrap();
    cluster.add(node("new"), NOW + HOUR).unwrap();
    let due = NOW + 120 * HOUR;
    assert_eq!(cluster.next_expiry(), Some(due));
    let before = Instant::from_nanos(due.as_nanos() - 1);
    assert!(cluster.expire(before).is_empty());
    assert_eq!(cluster.totals().ready, 2);
    let old = key(&cluster, "old");
    assert_eq!(cluster.expire(due), [old]);
    assert_eq!(
        (cluster.state(old), cluster.next_expiry()),
        (NodeState::Draining, Some(due + HOUR))
    );
    assert!(cluster.expire(due).is_empty(), "each once");
    assert_eq!(place(&mut cluster, &demand(NODE)).unwrap(), "new");
    assert!(cluster.node(old).unwrap().is_removable());
}

#[test]
fn nod_3_nothing_is_placed_on_a_node_of_its_age_though_the_timer_is_late() {
    let mut cluster = cluster([node("n")]);
    let (due, mut spread) = (NOW + 120 * HOUR, Spread::EMPTY);
    let before = Instant::from_nanos(due.as_nanos() - 1);
    let n = cluster.place(&demand(SMALL), &mut spread, before).unwrap();
    let refused = cluster.place(&demand(SMALL), &mut spread, due).unwrap_err();
    assert_eq!(refused, Unplaceable::NoneReady { draining: 1, lost: 0 });
    assert_eq!(cluster.next_expiry(), Some(due));
    assert_eq!(cluster.expire(due), [n], "and the timer still hears of it");
    assert_eq!(cluster.next_expiry(), None);
    let rules = ClusterRules { node_life: None, ..ClusterRules::default() };
    let mut ageless = Cluster::new(rules).unwrap();
    ageless.add(node("n"), NOW).unwrap();
    assert_eq!(ageless.next_expiry(), None);
    assert!(ageless.place(&demand(SMALL), &mut spread, Instant::MAX).is_ok());
}

#[test]
fn nod_3_a_failed_node_is_lost_before_its_age() {
    let mut cluster = cluster([node("n")]);
    let n = key(&cluster, "n");
    let mut spread = Spread::EMPTY;
    cluster.place(&demand(SMALL), &mut spread, NOW).unwrap();
    assert!(!cluster.lose(n).unwrap());
    assert_eq!(cluster.next_expiry(), None);
    let refused = place(&mut cluster, &demand(SMALL)).unwrap_err();
    assert_eq!(refused, Unplaceable::NoneReady { draining: 0, lost: 1 });
    let error = cluster.drain(n).unwrap_err();
    assert_eq!(error.message(), "node: it is Lost and cannot become Draining");
    assert!(cluster.release(n, SMALL, &mut spread).unwrap(), "nothing is left: remove it");
    cluster.remove(n).unwrap();
    assert_eq!(cluster.state(n), NodeState::Removed);
    assert_eq!(place(&mut cluster, &demand(SMALL)).unwrap_err(), Unplaceable::NoNode);
}

#[test]
fn nod_5_a_draining_node_gives_its_instances_a_place_elsewhere_first() {
    let mut cluster = cluster([node("old"), node("new")]);
    let mut spread = Spread::EMPTY;
    let old = cluster.place(&demand(SMALL), &mut spread, NOW).unwrap();
    assert!(!cluster.drain(old).unwrap(), "it holds an instance");
    assert_eq!(cluster.remove(old).unwrap_err().kind(), ErrorKind::PreconditionFailed);
    // The next one stands before the last one goes.
    let new = cluster.place(&demand(SMALL), &mut spread, NOW).unwrap();
    assert_ne!(new, old);
    assert_eq!(spread.total(), 2);
    assert!(cluster.release(old, SMALL, &mut spread).unwrap(), "it may be removed now");
    assert!(cluster.drain(old).unwrap(), "said again");
    cluster.remove(old).unwrap();
    assert_eq!((cluster.node(old).is_none(), spread.total()), (true, 1));
    assert_eq!(cluster.totals().ready, 1);
}

#[test]
fn nod_5_nothing_is_left_of_nodes_that_are_gone() {
    let mut of = cluster([]);
    for round in 0..3 {
        let mut nodes: Vec<_> =
            (0..40).map(|n| of.add(node(&format!("s{n}")), NOW).unwrap()).collect();
        nodes.extend((0..40).map(|n| of.add(dedicated(&format!("d{n}")), NOW).unwrap()));
        let mut spread = Spread::EMPTY;
        let placed: Vec<_> = (0..40)
            .map(|n| of.place(&demand_of(&format!("account{n}")), &mut spread, NOW).unwrap())
            .collect();
        nodes.iter().skip(round).step_by(2).for_each(|node| assert!(of.drain(*node).is_ok()));
        for node in placed {
            of.release(node, SMALL, &mut spread).unwrap();
        }
        for node in nodes {
            of.remove(node).unwrap();
        }
        assert!(of.classes.is_empty() && of.stocks.is_empty());
        assert_eq!((of.totals(), of.nodes().count()), (ClusterTotals::default(), 0));
        assert_eq!(spread, Spread::EMPTY);
    }
    assert!(of.slots.len() <= 80, "places are used again");
}
