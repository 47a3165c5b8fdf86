//! The scripted runtime keeps every rule; a runtime that breaks one is caught by that rule's case
//! alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{
    AccountId, CodeRef, FunctionSpec, FunctionVersion, Limits, Runtime, RuntimeCapabilities,
    SystemClock, VersionId,
};
use fc_testkit::ScriptedRuntime;
use fc_testkit::broken::runtime::{BrokenFixture, RuntimeFault};
use fc_testkit::conformance::runtime::{Behaviour, RuntimeFixture, cases};
use fc_testkit::scripted::{Answer, Script};

/// A fixture as a driver's author writes it.
struct Scripted(Arc<ScriptedRuntime>);

#[async_trait]
impl RuntimeFixture for Scripted {
    async fn runtime(&self) -> Arc<dyn Runtime> {
        self.0.clone()
    }

    fn version(&self, behaviour: Behaviour) -> Option<Arc<FunctionVersion>> {
        let spec = FunctionSpec {
            function_name: format!("{behaviour:?}"),
            runtime: "in-process".into(),
            instance_concurrency: 8,
            ..FunctionSpec::default()
        };
        let (uid, account) = (behaviour as u64, AccountId::new("1").ok()?);
        let (code, limits) = (Arc::new(CodeRef::Registered), Limits::default());
        let version = FunctionVersion::new(uid, account, VersionId::LATEST, &spec, code, &limits);
        version.ok().map(Arc::new)
    }

    fn held(&self) -> Option<usize> {
        Some(self.0.witness().live())
    }
}

fn scripted(edit: impl FnOnce(&mut RuntimeCapabilities)) -> Scripted {
    let script = |answer| Script { answer, ..Script::default() };
    let runtime = ScriptedRuntime::new(Arc::new(SystemClock::new()));
    let mut capabilities = Runtime::capabilities(&runtime);
    edit(&mut capabilities);
    let fails = u32::MAX;
    let runtime = runtime
        .capabilities(capabilities)
        .start_delay(Duration::from_millis(20))
        .function("Sleep", script(Answer::Wait))
        .function("Meet", script(Answer::Meet))
        .function("Count", script(Answer::Count))
        .function("Print", script(Answer::Print))
        .function("Crash", script(Answer::Crash))
        .function("Initializer", script(Answer::Initialized))
        .function("FailInitializer", Script { initializer_failures: fails, ..Script::default() })
        .function("NeverStarts", Script { start_failures: fails, ..Script::default() });
    Scripted(Arc::new(runtime))
}

async fn full() -> Scripted {
    scripted(|_| ())
}

async fn bare() -> Scripted {
    scripted(|capabilities| (capabilities.streaming, capabilities.suspend) = (false, false))
}

mod scripted_runtime {
    fc_testkit::runtime_conformance!(super::full);
}

mod scripted_runtime_that_declares_little {
    fc_testkit::runtime_conformance!(super::bare);
}

/// One test for many drivers: they run beside each other, because some faults are found by waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_runtime_fails_its_case_and_no_other() {
    let tried = RuntimeFault::ALL.map(|(fault, must)| {
        tokio::spawn(async move {
            let mut wrong = Vec::new();
            for case in cases() {
                let fixture = BrokenFixture::new(full().await, fault);
                let verdict = case.run(&fixture).await;
                if verdict.is_err() != (case.name == must) {
                    wrong.push(format!("{fault:?} {case:?}: {verdict:?}"));
                }
            }
            wrong
        })
    });
    let mut wrong = Vec::new();
    for tried in tried {
        wrong.extend(tried.await.unwrap());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_case_has_a_broken_runtime() {
    let mut found: Vec<_> = RuntimeFault::ALL.iter().map(|(_, case)| *case).collect();
    let mut all: Vec<_> = cases().iter().map(|case| case.name).collect();
    found.sort_unstable();
    all.sort_unstable();
    assert_eq!(found, all);
}
