//! Cold starts sustained: each invocation finds no instance, and what it started is stopped after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fc::core::{FunctionVersion, Instant as Moment};
use fc::runtime::in_process::InProcessRuntime;
use fc::sched::Policies;
use fc::sched::core::policy::{Facts, KeepAlive, KeepAliveState, Window};
use fc::{Body, Platform, Response, handler_fn};
use tokio::runtime::Runtime;

use super::subject::{builder, spec};
use crate::peers::compare::Series;
use crate::peers::cpu::CpuTimes;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// Thousands of cold starts a second (`performance.md`, budgets). Dirigent publishes 2 500 sandboxes
/// a second of its control plane.
const RATE: Budget = Budget::AtLeast { goal: 100.0, least: 20.0 };

/// Invocations at once.
const TASKS: usize = 64;

const SHUTDOWN_WITHIN: Duration = Duration::from_secs(20);

pub(crate) fn compare(options: &Options) {
    let (functions, starts) = (options.count(6_400, 128), options.count(64_000, 256));
    let subject = |threads, ends| Cold::new(threads, ends, functions);
    let mut contenders = [
        ("1 thread, function retired", subject(1, Ends::Retired)),
        ("2 threads, function retired", subject(2, Ends::Retired)),
        ("1 thread, no time to idle", subject(1, Ends::IdledOut)),
        ("2 threads, no time to idle", subject(2, Ends::IdledOut)),
    ];
    let mut cpu = [const { Vec::new() }; 4];
    let turns: Vec<Box<dyn FnMut() -> f64>> = contenders
        .iter_mut()
        .zip(&mut cpu)
        .map(|((_, subject), cpu)| -> Box<dyn FnMut() -> f64> {
            Box::new(move || {
                let (rate, cpu_us) = subject.run(starts);
                cpu.push(cpu_us);
                rate / 1e3
            })
        })
        .collect();
    let turns: [_; 4] = turns.try_into().unwrap_or_else(|_| panic!("four contenders"));
    let rates = alternate(options, turns);
    let cpu =
        cpu.map(|figures| figures.into_iter().rev().take(options.rounds()).collect::<Series>());
    let mut rows = Vec::new();
    for (((name, _), rate), cpu) in contenders.iter().zip(&rates).zip(&cpu) {
        rows.push(Row::new(*name, rate, "k starts/s").budget(RATE));
        let rate = cpu.map(|us| 1e3 / us);
        rows.push(Row::new(*name, &rate, "k starts/s of CPU").budget(RATE));
        rows.push(Row::new(*name, cpu, "us CPU/start"));
    }
    let title = "Cold starts through Scheduler::invoke, in-process runtime: pool, quota and node, \
                 network, start, request, stop (wall clock); each start is a handler that was made";
    table::print(options, title, &rows);
}

/// How an instance ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Its function's version is retired, and its pool forgotten.
    Retired,
    /// It may not idle.
    IdledOut,
}

struct Cold {
    runtime: Runtime,
    platform: Platform,
    functions: Arc<[(String, Arc<FunctionVersion>)]>,
    /// Handlers made.
    made: Arc<AtomicU64>,
    ends: Ends,
}

impl Cold {
    fn new(threads: usize, ends: Ends, functions: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let made = Arc::new(AtomicU64::new(0));
        let (platform, functions) = runtime.block_on(async {
            let mut policies = Policies::default();
            if ends == Ends::IdledOut {
                policies.keep_alive = Some(Arc::new(NoIdling));
            }
            let platform = builder(functions as u32, 2).policies(policies).build();
            let platform = platform.expect("a platform");
            let deploy = |index| {
                let name = format!("f-{index}");
                let made = made.clone();
                let code = InProcessRuntime::code_of_each(move || {
                    made.fetch_add(1, Ordering::Relaxed);
                    handler_fn(|_, _| async { Ok(Response::new(Body::from("hello"))) })
                });
                let version = platform.deploy(&spec(&name, 1), code).expect("it is taken");
                (name, version)
            };
            let functions = (0..functions).map(deploy).collect();
            (platform, functions)
        });
        Self { runtime, platform, functions, made, ends }
    }

    /// Starts a second, and CPU time of all threads for one, microseconds. All instances are gone at
    /// the end.
    fn run(&mut self, starts: usize) -> (f64, f64) {
        let before = self.made.load(Ordering::Relaxed);
        let (begin, cpu) = (Instant::now(), CpuTimes::of_self());
        self.runtime.block_on(async {
            let tasks = (0..TASKS).map(|task| {
                let (platform, functions) = (self.platform.clone(), self.functions.clone());
                tokio::spawn(invoke(platform, functions, self.ends, task, starts / TASKS))
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.expect("no panic");
            }
            let busy = |version| self.platform.scheduler().usage(version).instances > 0;
            while self.functions.iter().any(|(_, version)| busy(version)) {
                tokio::task::yield_now().await;
            }
        });
        let seconds = begin.elapsed().as_secs_f64();
        let cpu = CpuTimes::of_self().since(&cpu) as f64 / 1e3;
        let made = self.made.load(Ordering::Relaxed) - before;
        if self.ends == Ends::Retired {
            let asked = starts / TASKS * TASKS;
            assert_eq!(made, asked as u64, "each invocation started an instance");
        }
        (made as f64 / seconds, cpu / made as f64)
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        self.runtime.block_on(self.platform.shutdown(SHUTDOWN_WITHIN));
    }
}

/// Invokes functions of the task's own in turn.
async fn invoke(
    platform: Platform,
    functions: Arc<[(String, Arc<FunctionVersion>)]>,
    ends: Ends,
    task: usize,
    count: usize,
) {
    for (name, version) in functions.iter().skip(task).step_by(TASKS).cycle().take(count) {
        let reply = platform.invoke(name, ()).await.expect("an answer");
        // What idles out does so a timer's tick later, and may serve once more until then.
        assert!(reply.report.cold || ends == Ends::IdledOut, "an instance was left");
        // The answer holds the slot.
        drop(reply);
        if ends == Ends::Retired {
            platform.scheduler().retire(version);
        }
    }
}

/// Whatever idles goes at once.
#[derive(Clone, Copy, Debug)]
struct NoIdling;

impl KeepAlive for NoIdling {
    fn name(&self) -> &'static str {
        "no-idling"
    }

    fn begin(&self) -> Box<dyn KeepAliveState> {
        Box::new(*self)
    }
}

impl KeepAliveState for NoIdling {
    fn woke(&mut self, _: &Facts, _: Moment) {}

    fn fell_idle(&mut self, _: &Facts, _: Moment) {}

    fn window(&self, _: &Facts) -> Window {
        Window::keep(Duration::ZERO)
    }

    fn worth(&self, _: &Facts, idle_since: Moment) -> u64 {
        idle_since.as_nanos()
    }

    fn evicted(&mut self, _: u64, _: Moment) {}
}
