//! Platforms with in-process functions, all of them warm.

use std::sync::Arc;
use std::time::Duration;

use fc::core::FunctionVersion;
use fc::runtime::in_process::InProcessRuntime;
use fc::sched::Scheduler;
use fc::{Body, FunctionSpec, Limits, Platform, PlatformBuilder, Response, handler_fn};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

const SHUTDOWN_WITHIN: Duration = Duration::from_secs(20);

/// A platform, its functions' versions, and the runtime that it lives in. While nobody is in the
/// runtime nothing but the benchmark's own thread does anything.
pub(crate) struct Warm {
    runtime: Runtime,
    platform: Platform,
    pub(crate) versions: Vec<Arc<FunctionVersion>>,
}

impl Warm {
    /// `functions` functions with one idle instance each.
    pub(crate) fn functions(
        functions: u32,
        configure: impl FnOnce(PlatformBuilder) -> PlatformBuilder,
        then: impl FnOnce(&Platform),
    ) -> Self {
        let runtime = current_thread();
        let (platform, versions) = runtime.block_on(async {
            let platform = configure(builder(functions, 100)).build().expect("a platform");
            then(&platform);
            let names: Vec<String> = (0..functions).map(|index| format!("f-{index}")).collect();
            let hello = || handler_fn(|_, _| async { Ok(Response::new(Body::from("hello"))) });
            let mut versions = Vec::with_capacity(names.len());
            for name in &names {
                let code = InProcessRuntime::code(hello());
                versions.push(platform.deploy(&spec(name, 100), code).expect("it is taken"));
                platform.invoke(name, ()).await.expect("an answer");
            }
            (platform, versions)
        });
        Self { runtime, platform, versions }
    }

    /// One function with `instances` idle instances of one request at a time.
    pub(crate) fn instances(instances: u32) -> Self {
        let runtime = current_thread();
        let (platform, version) = runtime.block_on(async {
            let platform = builder(1, instances).build().expect("a platform");
            let (started, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let waits = handler_fn({
                let (started, go) = (started.clone(), go.clone());
                move |_, _| {
                    started.add_permits(1);
                    let go = go.clone();
                    async move {
                        go.acquire().await?.forget();
                        Ok(Response::new(Body::EMPTY))
                    }
                }
            });
            let version = platform.deploy(&spec("waits", 1), InProcessRuntime::code(waits));
            let invoke = |_| {
                let platform = platform.clone();
                tokio::spawn(async move { platform.invoke("waits", ()).await.map(drop) })
            };
            let invocations: Vec<_> = (0..instances).map(invoke).collect();
            started.acquire_many(instances).await.expect("open").forget();
            go.add_permits(instances as usize);
            for invocation in invocations {
                invocation.await.expect("no panic").expect("an answer");
            }
            (platform, version.expect("it is taken"))
        });
        let usage = platform.scheduler().usage(&version);
        assert_eq!((usage.instances, usage.running), (instances, 0), "all are there and idle");
        Self { runtime, platform, versions: vec![version] }
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        self.platform.scheduler()
    }

    /// Takes a slot of each function in `order`, and gives it back, until it has done `count`.
    pub(crate) fn route(&self, order: &[u32], count: usize) {
        route(self.scheduler(), &self.versions, order, count);
    }
}

/// As [`Warm::route`].
pub(crate) fn route(
    scheduler: &Scheduler,
    versions: &[Arc<FunctionVersion>],
    order: &[u32],
    count: usize,
) {
    for index in order.iter().cycle().take(count) {
        let slot = scheduler.warm_slot(&versions[*index as usize]);
        assert!(std::hint::black_box(slot).is_some(), "every function is warm");
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.runtime.block_on(self.platform.shutdown(SHUTDOWN_WITHIN));
    }
}

pub(crate) fn current_thread() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a tokio runtime of this thread")
}

/// A platform with room for so much.
pub(crate) fn builder(functions: u32, instances: u32) -> PlatformBuilder {
    let limits = Limits {
        functions_per_account_max: functions,
        instances_per_function_max: instances,
        waiting_per_function_max: instances,
        ..Limits::function_compute()
    };
    Platform::builder().limits(limits)
}

/// A function whose instances outlive the benchmark.
pub(crate) fn spec(name: &str, concurrency: u32) -> FunctionSpec {
    FunctionSpec {
        function_name: name.into(),
        runtime: "in-process".into(),
        instance_concurrency: concurrency,
        idle_timeout: Some(3_600),
        timeout: 600,
        ..FunctionSpec::default()
    }
}
