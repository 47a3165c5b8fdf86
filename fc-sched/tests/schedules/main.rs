//! The asynchronous shell under shuttle: its tasks in thousands of orders, chosen at random or by
//! PCT, with seeds that are the same each time.
//!
//! The shell is compiled a second time here, over a `sync` module that is shuttle's; the cores are
//! the library's own. Time stands still unless a test moves it, so nobody is saved by a time-out:
//! who is not woken when it should be is found as a deadlock (SCH-2).
//!
//! `FC_SCHEDULES` sets how many schedules each test runs with each of the two, `FC_SEED` the seed. A
//! failure prints its schedule for `shuttle::replay`.
#![allow(clippy::unwrap_used)]

macro_rules! shell {
    ($($path:literal $name:ident;)*) => {
        $(
            #[path = $path]
            #[allow(
                dead_code,
                unreachable_pub,
                unused_imports,
                clippy::large_futures,
                reason = "the library's own module, of which a test uses a part"
            )]
            mod $name;
        )*
    };
}

shell! {
    "../../src/admission.rs" admission;
    "../../src/concurrency.rs" concurrency;
    "../../src/config.rs" config;
    "../../src/decision.rs" decision;
    "../../src/lease.rs" lease;
    "../../src/nodes.rs" nodes;
    "../../src/reaper.rs" reaper;
    "../../src/run.rs" run;
    "../../src/scaling.rs" scaling;
    "../../src/scheduler.rs" scheduler;
    "../../src/shell/mod.rs" shell;
}

/// The one core that has atomics.
#[path = "../../src/core/quota/concurrency.rs"]
#[allow(unreachable_pub, reason = "the library's own module")]
mod executions;

/// The library's cores, but for that one.
mod core {
    pub(crate) use fc_sched::core::*;

    pub(crate) mod quota {
        pub(crate) use fc_sched::core::quota::*;

        pub(crate) use crate::executions::Concurrency;
    }
}

mod counter;
mod ports;
mod scenarios;
mod sync;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fc_sched::core::quota::{Exceeded, Quota};
pub(crate) use scheduler::Scheduler;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler as Order};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Points at which PCT takes the turn away from the task that has it.
const PCT_DEPTH: usize = 3;

fn config(persistence: FailurePersistence) -> Config {
    let mut config = Config::new();
    // A run has a few thousand; who spins is not to be watched for long.
    config.max_steps = MaxSteps::FailAfter(20_000);
    // Debug builds of the shell's futures are large.
    config.stack_size = 512 * 1024;
    config.failure_persistence = persistence;
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    config
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn seed() -> u64 {
    from_env("FC_SEED").unwrap_or(1)
}

/// Runs `test` in so many random schedules, and in as many of PCT's.
fn explore(schedules: usize, test: impl Fn() + Copy + Send + Sync + 'static) {
    let schedules = from_env("FC_SCHEDULES").map_or(schedules, |set| set.try_into().unwrap());
    let run = |order: Box<dyn Order + Send>| {
        let ran = Runner::new(order, config(FailurePersistence::Print)).run(test);
        assert_eq!(ran, schedules);
    };
    run(Box::new(RandomScheduler::new_from_seed(seed(), schedules)));
    run(Box::new(PctScheduler::new_from_seed(seed(), PCT_DEPTH, schedules)));
}

/// Plants `bug`; `test` must find it within so many schedules, and say one of `what`.
fn finds(
    bug: sync::Planted,
    schedules: usize,
    what: &[&str],
    test: impl Fn() + Copy + Send + Sync + 'static,
) {
    let found = sync::with_planted(bug, || {
        let order = RandomScheduler::new_from_seed(seed(), schedules);
        let runner = Runner::new(order, config(FailurePersistence::None));
        catch_unwind(AssertUnwindSafe(|| runner.run(test)))
    });
    let panic = found.expect_err("the planted bug was not found");
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(
        what.iter().any(|what| text.contains(what)),
        "{bug:?} was found as something else: {text}"
    );
}
