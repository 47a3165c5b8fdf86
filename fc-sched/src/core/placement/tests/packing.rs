//! NOD-1: room, best fit, reasons, reports.

use super::*;

#[test]
fn nod_1_what_fits_to_the_last_unit_is_placed_and_one_more_of_any_is_not() {
    for more in [size(1, 0, 0), size(0, 1, 0), size(0, 0, 1)] {
        let mut cluster = cluster([node("n")]);
        let over = size(
            NODE.cpu_milli + more.cpu_milli,
            NODE.memory_mb + more.memory_mb,
            NODE.disk_mb + more.disk_mb,
        );
        let refused = place(&mut cluster, &demand(over)).unwrap_err();
        assert_eq!(refused, Unplaceable::TooLarge { asked: over, most: NODE });
        assert_eq!(Error::from(refused).retry(), Retry::Never);
        assert_eq!(place(&mut cluster, &demand(NODE)).unwrap(), "n");
        assert_eq!(free(&cluster, "n"), size(0, 0, 0));
        // It is full for more, and not too small.
        let refused = place(&mut cluster, &demand(more)).unwrap_err();
        assert_eq!(refused, Unplaceable::Full { asked: more, roomiest: size(0, 0, 0) });
        assert!(matches!(Error::from(refused).retry(), Retry::After(_)));
        assert_eq!(place(&mut cluster, &demand(size(0, 0, 0))).unwrap(), "n");
    }
}

#[test]
fn nod_1_the_node_with_least_left_of_the_dominant_quantity_is_taken() {
    let mut of = cluster([
        of_size("wide", size(8_000, 4_096, 20_480)),
        of_size("tight", size(1_100, 32_768, 20_480)),
        of_size("middle", size(2_000, 16_384, 20_480)),
    ]);
    // vCPU dominates: 1 of 11.1, memory 0.128 of 53.
    assert_eq!(place(&mut of, &demand(size(1_000, 128, 512))).unwrap(), "tight");
    // Memory dominates, and only two have it.
    let mut of = cluster([
        of_size("wide", size(8_000, 4_096, 20_480)),
        of_size("tight", size(1_100, 32_768, 20_480)),
        of_size("middle", size(2_000, 16_384, 20_480)),
    ]);
    assert_eq!(place(&mut of, &demand(size(50, 8_192, 512))).unwrap(), "middle");
    // Disk dominates.
    let mut of = cluster([
        of_size("roomy", size(2_000, 4_096, 40_960)),
        of_size("snug", size(8_000, 16_384, 10_240)),
    ]);
    assert_eq!(place(&mut of, &demand(size(50, 128, 10_240))).unwrap(), "snug");
}

#[test]
fn nod_1_a_full_cluster_takes_as_many_as_are_given_back() {
    let mut cluster = cluster((0..100).map(|n| node(&format!("n{n}"))));
    let mut spread = Spread::EMPTY;
    let demand = demand(SMALL);
    let mut held = Vec::new();
    while let Ok(node) = cluster.place(&demand, &mut spread, NOW) {
        held.push(node);
    }
    assert_eq!((held.len(), spread.total()), (400, 400));
    assert_eq!(cluster.totals().free.cpu_milli, 0);
    for node in held.split_off(397) {
        cluster.release(node, SMALL, &mut spread).unwrap();
    }
    assert_eq!(std::iter::from_fn(|| cluster.place(&demand, &mut spread, NOW).ok()).count(), 3);
}

#[test]
fn nod_1_what_is_not_there_is_not_given_back() {
    let mut cluster = cluster([node("n"), in_zone("m", "b")]);
    let (mut spread, mut other) = (Spread::EMPTY, Spread::EMPTY);
    let node = cluster.place(&demand(SMALL), &mut spread, NOW).unwrap();
    let elsewhere = cluster.place(&demand(SMALL), &mut other, NOW).unwrap();
    let refuse = |cluster: &mut Cluster, node, size, spread: &mut Spread, field: &str| {
        let (before, totals) = (spread.clone(), cluster.totals());
        let error = cluster.release(node, size, spread).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(&format!("{field}: ")), "{error:?}");
        assert_eq!((&before, totals), (&*spread, cluster.totals()));
    };
    refuse(&mut cluster, node, size(1_001, 2_048, 512), &mut spread, "size");
    refuse(&mut cluster, node, size(999, 2_048, 512), &mut spread, "size");
    refuse(&mut cluster, node, NODE, &mut spread, "size");
    refuse(&mut cluster, node, SMALL, &mut other, "spread");
    assert!(!cluster.release(node, SMALL, &mut spread).unwrap());
    refuse(&mut cluster, node, SMALL, &mut spread, "node");
    cluster.remove(node).unwrap();
    refuse(&mut cluster, node, SMALL, &mut spread, "node");
    cluster.release(elsewhere, SMALL, &mut other).unwrap();
    assert_eq!((spread, other), (Spread::EMPTY, Spread::EMPTY));
}

#[test]
fn nod_1_a_node_without_limit_takes_anything_and_only_when_no_other_does() {
    let mut cluster =
        cluster([NodeSpec { capacity: Capacity::Unlimited, ..node("local") }, node("n")]);
    assert_eq!(place(&mut cluster, &demand(NODE)).unwrap(), "n");
    let huge = size(u32::MAX, u32::MAX, u32::MAX);
    let local = key(&cluster, "local");
    let mut spread = Spread::EMPTY;
    for _ in 0..3 {
        assert_eq!(cluster.place(&demand(huge), &mut spread, NOW).unwrap(), local);
    }
    let view = cluster.node(local).unwrap();
    assert_eq!((view.instances(), view.free()), (3, Capacity::Unlimited));
    cluster.release(local, huge, &mut spread).unwrap();
    assert_eq!(cluster.node(local).unwrap().instances(), 2);
    assert_eq!(cluster.totals().capacity.memory_mb, u64::from(NODE.memory_mb));
}

#[test]
fn nod_1_a_node_has_one_id_and_a_cluster_so_many_nodes() {
    let rules = ClusterRules { nodes_max: 2, ..ClusterRules::default() };
    let mut of = Cluster::new(rules).unwrap();
    of.add(node("n"), NOW).unwrap();
    assert_eq!(of.add(node("n"), NOW).unwrap_err().kind(), ErrorKind::Conflict);
    of.add(node("m"), NOW).unwrap();
    let error = of.add(node("o"), NOW).unwrap_err();
    assert_eq!(error.message(), "nodes: 3 nodes is over the limit of 2");
    let invalid = [
        (of_size("z", size(0, 1, 1)), "capacity.cpu_milli: "),
        (of_size("z", size(1, 0, 1)), "capacity.memory_mb: "),
        (NodeSpec { runtimes: RuntimeSet::default(), ..node("z") }, "runtimes: "),
    ];
    let n = key(&of, "n");
    of.remove(n).unwrap();
    for (spec, field) in invalid {
        assert!(of.add(spec, NOW).unwrap_err().message().starts_with(field), "{field}");
    }
    of.add(of_size("diskless", size(1, 1, 0)), NOW).unwrap();
    for rules in [
        ClusterRules { node_life: Some(Duration::ZERO), ..rules },
        ClusterRules { nodes_max: 0, ..rules },
        ClusterRules { candidates_max: 0, ..rules },
    ] {
        assert_eq!(Cluster::new(rules).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn nod_1_the_reason_is_the_first_that_holds() {
    let mut of = cluster([dedicated("d")]);
    let wasm = Demand { runtime: RuntimeKind::Wasm, ..demand(SMALL) };
    assert_eq!(place(&mut of, &wasm).unwrap_err(), Unplaceable::NoRuntime(RuntimeKind::Wasm));
    let strict = Demand { isolation: Isolation::VirtualMachine, ..demand_of("alice") };
    let expected =
        Unplaceable::NoIsolation { asked: Isolation::VirtualMachine, most: Isolation::Process };
    assert_eq!(place(&mut of, &strict).unwrap_err(), expected);
    // A drained node still says what such nodes can hold.
    let d = key(&of, "d");
    of.drain(d).unwrap();
    let large = Demand { size: size(4_001, 1, 1), ..demand_of("alice") };
    let refused = place(&mut of, &large).unwrap_err();
    assert_eq!(refused, Unplaceable::TooLarge { asked: large.size, most: NODE });
    let refused = place(&mut of, &demand_of("alice")).unwrap_err();
    assert_eq!(refused, Unplaceable::NoneReady { draining: 1, lost: 0 });
}

#[test]
fn fragmentation_tells_what_is_free_but_of_no_use() {
    let mut cluster = cluster([node("n"), node("m"), node("o")]);
    let half = demand(size(2_500, 2_048, 512));
    (0..3).for_each(|_| assert!(place(&mut cluster, &half).is_ok()));
    let report = cluster.fragmentation(&half);
    // 1.5 vCPU are left on each of three: 4.5 would do for one more.
    let expected = Fragmentation { fit: 0, fit_pooled: 1, nodes_used: 3, nodes_least: 2 };
    assert_eq!(report, expected);
    assert!((report.unusable_share() - 1.0).abs() < 1e-9);
    let small = cluster.fragmentation(&demand(SMALL));
    assert_eq!((small.fit, small.fit_pooled), (3, 4));
    assert!((small.unusable_share() - 0.25).abs() < 1e-9);
    assert_eq!(cluster.fragmentation(&demand_of("alice")), Fragmentation::default());
}

#[test]
fn the_linear_baseline_decides_as_the_index_does_on_one_zone() {
    let sizes = [(4_000, 8_192), (3_000, 16_384), (8_000, 4_096), (1_500, 8_192)];
    let nodes = (0..24).map(|n| {
        let (cpu, memory) = sizes[n % 4];
        of_size(&format!("n{n}"), size(cpu, memory, 20_480))
    });
    let mut cluster = cluster(nodes);
    let mut linear = baseline::LinearCluster::of(&cluster);
    let (mut spread, mut linear_spread) = (Spread::EMPTY, [0; 16]);
    for round in 0..200 {
        let asked = demand(size(100 + 50 * (round % 7), 128 + 64 * (round % 11), 512));
        let here = cluster.place(&asked, &mut spread, NOW);
        let there = linear.best_fit(&asked, &mut linear_spread);
        assert_eq!(here.ok(), there.map(|at| linear.key(at)), "in round {round}");
    }
    assert!(linear.least_loaded(&demand(size(8_001, 1, 1)), &mut linear_spread).is_none());
    let tiny = demand(size(1, 1, 1));
    let at = linear.least_loaded(&tiny, &mut linear_spread).unwrap();
    linear.release(at, &tiny, &mut linear_spread);
    assert_eq!(linear_spread[0], spread.total());
}
