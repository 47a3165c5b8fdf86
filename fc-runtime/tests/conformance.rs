//! Both reference runtimes keep every rule of the port (I35).
#![allow(clippy::unwrap_used)]

#[path = "conformance/in_process.rs"]
mod in_process;
#[path = "conformance/process.rs"]
mod process;

use std::sync::Arc;

use fc_core::{
    AccountId, CodeRef, FunctionSpec, FunctionVersion, HookConfig, InstanceLifecycleConfig, Limits,
    VersionId,
};
use fc_testkit::conformance::runtime::Behaviour;

/// A function named after what it does.
fn version(behaviour: Behaviour, runtime: &str, code: CodeRef) -> Option<Arc<FunctionVersion>> {
    let initializer = matches!(behaviour, Behaviour::Initializer | Behaviour::FailInitializer)
        .then(|| HookConfig { handler: "initialize".into(), timeout: 10 });
    let spec = FunctionSpec {
        function_name: format!("{behaviour:?}"),
        runtime: runtime.into(),
        instance_concurrency: 8,
        timeout: 30,
        instance_lifecycle_config: Some(InstanceLifecycleConfig {
            initializer,
            ..Default::default()
        }),
        ..FunctionSpec::default()
    };
    let (uid, account) = (behaviour as u64, AccountId::new("1").ok()?);
    let (code, limits) = (Arc::new(code), Limits::default());
    FunctionVersion::new(uid, account, VersionId::LATEST, &spec, code, &limits).ok().map(Arc::new)
}
