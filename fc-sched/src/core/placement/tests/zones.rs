//! NOD-4: spread over zones, and their loss.

use super::*;

#[test]
fn nod_4_a_functions_instances_go_where_it_has_fewest() {
    let zones = ["a", "b", "c"];
    let mut cluster = cluster(zones.map(|zone| in_zone(zone, zone)));
    let mut spread = Spread::EMPTY;
    for round in 1..=4 {
        for _ in zones {
            cluster.place(&demand(SMALL), &mut spread, NOW).unwrap();
        }
        let mut counts: Vec<_> =
            cluster.zones_of(&spread).map(|(zone, count)| (zone.to_string(), count)).collect();
        counts.sort();
        assert_eq!(counts, zones.map(|zone| (zone.to_string(), round)));
    }
    assert!(cluster.place(&demand(SMALL), &mut spread, NOW).is_err());
}

#[test]
fn nod_4_a_zone_without_room_is_left_out_and_used_again_when_it_has() {
    let mut cluster = cluster([in_zone("small", "a"), in_zone("m", "b"), in_zone("n", "b")]);
    let (mut mine, mut others) = (Spread::EMPTY, Spread::EMPTY);
    let small = key(&cluster, "small");
    let mut held = Vec::new();
    while cluster.node(small).unwrap().instances() < 4 {
        let node = cluster.place(&demand(SMALL), &mut others, NOW).unwrap();
        held.push(node);
    }
    for _ in 0..2 {
        let node = cluster.place(&demand(SMALL), &mut mine, NOW).unwrap();
        assert_eq!(cluster.node(node).unwrap().spec().zone.as_str(), "b");
    }
    cluster.release(small, SMALL, &mut others).unwrap();
    assert_eq!(cluster.place(&demand(SMALL), &mut mine, NOW).unwrap(), small);
}

#[test]
fn nod_4_single_instances_of_many_functions_fill_zones_evenly() {
    let nodes = (0..6).map(|n| in_zone(&format!("n{n}"), ["a", "b"][n / 3]));
    let mut cluster = cluster(nodes);
    for _ in 0..12 {
        place(&mut cluster, &demand(SMALL)).unwrap();
    }
    let held = |zone: &str| -> u32 {
        let here = cluster.nodes().filter(|node| node.spec().zone.as_str() == zone);
        here.map(|node| node.instances()).sum()
    };
    assert_eq!((held("a"), held("b")), (6, 6));
    // Within a zone they are packed, not scattered.
    let used = cluster.nodes().filter(|node| node.instances() > 0).count();
    assert_eq!(used, 4);
}

#[test]
fn nod_4_a_lost_zone_takes_its_own_nodes_and_no_other() {
    let mut cluster = cluster([in_zone("a1", "a"), in_zone("a2", "a"), in_zone("b1", "b")]);
    let (a1, a2, b1) = (key(&cluster, "a1"), key(&cluster, "a2"), key(&cluster, "b1"));
    cluster.drain(a2).unwrap();
    let zone = Zone::new("a").unwrap();
    assert_eq!(cluster.lose_zone(&zone), [a1, a2]);
    assert!(cluster.lose_zone(&zone).is_empty(), "each once");
    assert_eq!([a1, a2, b1].map(|node| cluster.state(node)), {
        use NodeState::{Lost, Ready};
        [Lost, Lost, Ready]
    });
    let mut spread = Spread::EMPTY;
    for _ in 0..4 {
        assert_eq!(cluster.place(&demand(SMALL), &mut spread, NOW).unwrap(), b1);
    }
}

#[test]
fn nod_4_sixteen_zones_are_taken_and_a_seventeenth_is_not_until_one_has_no_node() {
    let mut of = cluster((0..16).map(|n| in_zone(&format!("n{n}"), &format!("z{n}"))));
    let error = of.add(in_zone("n16", "z16"), NOW).unwrap_err();
    assert_eq!(error.message(), "zone: 17 zones is over the limit of 16");
    of.add(in_zone("more", "z3"), NOW).unwrap();
    let n5 = key(&of, "n5");
    of.remove(n5).unwrap();
    of.add(in_zone("n16", "z16"), NOW).unwrap();
    let mut spread = Spread::EMPTY;
    (0..16).for_each(|_| assert!(of.place(&demand(SMALL), &mut spread, NOW).is_ok()));
    assert_eq!(of.zones_of(&spread).filter(|(_, count)| *count == 1).count(), 16);
}
