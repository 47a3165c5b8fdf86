//! Whatever callers, functions and owners do, the invariants hold: I14, I17, I18, I22, SCH-5.

mod support;

use std::time::Duration;

use fc_testkit::scripted::{Answer, Script};
use proptest::prelude::*;
use support::World;

#[derive(Clone, Debug)]
enum Step {
    Call(usize),
    Leave(usize),
    Pass(u64),
    Script(usize, Answer, u64),
    Deploy(usize),
}

const NAMES: [&str; 2] = ["a", "b"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = prop_oneof![
        Just(Answer::Echo),
        Just(Answer::Echo),
        Just(Answer::Never),
        Just(Answer::Fail),
        Just(Answer::Crash),
        Just(Answer::Wait),
    ];
    let step = prop_oneof![
        6 => (0usize..2).prop_map(Step::Call),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => (0u64..5_000).prop_map(Step::Pass),
        1 => Just(Step::Pass(400_000)),
        2 => (0usize..2, answer, 0u64..2_000)
            .prop_map(|(name, answer, millis)| Step::Script(name, answer, millis)),
        1 => (0usize..2).prop_map(Step::Deploy),
    ];
    prop::collection::vec(step, 1..60)
}

async fn live(concurrency: u32, instance_max: u32, steps: Vec<Step>) {
    let world = World::new(|runtime| runtime.start_delay(Duration::from_millis(300)));
    let deploy = |name: &str| {
        let old = world.deploy(name, |spec| {
            spec.instance_concurrency = concurrency;
            spec.instance_max = Some(instance_max);
        });
        if let Some(old) = old {
            world.scheduler.retire(&old);
        }
    };
    NAMES.iter().for_each(|name| deploy(name));
    let mut calls = Vec::new();
    for step in steps {
        match step {
            Step::Call(name) => calls.push(world.call(NAMES[name], "700")),
            Step::Leave(n) if !calls.is_empty() => {
                let index = n % calls.len();
                calls.swap_remove(index).abort();
            }
            Step::Leave(_) => {}
            Step::Pass(millis) => world.pass(Duration::from_millis(millis)).await,
            Step::Script(name, answer, millis) => {
                let start_delay = Duration::from_millis(millis);
                let script = Script { answer, start_delay, ..Script::default() };
                world.runtime.set_function(NAMES[name], script);
            }
            Step::Deploy(name) => deploy(NAMES[name]),
        }
        let witness = world.runtime.witness();
        assert!(witness.peak_concurrency() <= concurrency, "I14");
    }
    for call in calls {
        // Every request has exactly one outcome, whatever it is.
        let _ = world.finish(call).await;
    }
    for instance in world.runtime.witness().instances.values() {
        assert_eq!(instance.misdirected, 0, "I17: a request reached an instance that was over");
        assert!(instance.versions.len() <= 1, "SCH-5");
    }
    world.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// I14, I17, I18, I22, SCH-5.
    #[test]
    fn nothing_breaks_and_nothing_is_left(
        concurrency in 1u32..4,
        instance_max in 1u32..4,
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live(concurrency, instance_max, steps));
    }
}
