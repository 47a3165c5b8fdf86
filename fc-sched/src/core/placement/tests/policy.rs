//! An integrator's filter and score.

use super::*;

#[derive(Debug)]
struct Named(&'static [&'static str]);

impl PlacementPolicy for Named {
    fn admits(&self, node: &NodeView<'_>, _: &Demand) -> bool {
        self.0.contains(&node.spec().id.as_str())
    }

    fn score(&self, node: &NodeView<'_>, _: &Demand) -> u64 {
        self.0.iter().position(|id| *id == node.spec().id.as_str()).unwrap() as u64
    }
}

#[test]
fn nod_1_a_policy_filters_and_scores_in_the_place_of_best_fit() {
    let with = |admitted: &'static [&'static str], nodes: usize| {
        let policy = Arc::new(Named(admitted));
        let mut of = Cluster::with_policy(ClusterRules::default(), policy).unwrap();
        for n in 0..nodes {
            of.add(node(&format!("n{n}")), NOW).unwrap();
        }
        of
    };
    let mut of = with(&["n2", "n1"], 4);
    for expected in ["n2", "n2", "n2", "n2", "n1", "n1", "n1", "n1"] {
        assert_eq!(place(&mut of, &demand(SMALL)).unwrap(), expected);
    }
    let refused = place(&mut of, &demand(SMALL)).unwrap_err();
    assert_eq!(refused, Unplaceable::NotAdmitted);
    assert!(matches!(Error::from(refused).retry(), Retry::After(_)));
    // The one that is admitted is found among many that come before it.
    for last in [&["n0"], &["n150"], &["n299"]] {
        let mut of = with(last, 300);
        for _ in 0..4 {
            assert_eq!(place(&mut of, &demand(SMALL)).unwrap(), last[0]);
        }
        assert_eq!(place(&mut of, &demand(SMALL)).unwrap_err(), Unplaceable::NotAdmitted);
    }
    // Where there is no room the policy is not to blame.
    let refused = place(&mut with(&[], 1), &demand(size(5_000, 1, 1))).unwrap_err();
    assert!(matches!(refused, Unplaceable::TooLarge { .. }));
}

#[test]
fn nod_4_a_policy_chooses_within_the_zone_with_fewest_first() {
    let policy = Arc::new(Named(&["a1", "b1"]));
    let mut of = Cluster::with_policy(ClusterRules::default(), policy).unwrap();
    for (id, zone) in [("a1", "a"), ("b1", "b"), ("c1", "c")] {
        of.add(in_zone(id, zone), NOW).unwrap();
    }
    let mut spread = Spread::EMPTY;
    (0..4).for_each(|_| assert!(of.place(&demand(SMALL), &mut spread, NOW).is_ok()));
    let counts: Vec<_> = of.zones_of(&spread).map(|(zone, count)| (zone.as_str(), count)).collect();
    assert_eq!(counts, [("a", 2), ("b", 2)], "c1 is not admitted, so its zone is passed over");
}
