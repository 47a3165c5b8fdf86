//! The registry of functions: rules, races, and a naive model beside it.

// Helpers of tests, outside of `#[test]`.
#![allow(clippy::unwrap_used)]
mod model;
mod races;
mod rules;

use std::sync::Arc;

use fc_control::{Alias, Functions};
use fc_core::{
    AccountId, CodeRef, Enforcement, FunctionSpec, Isolation, Limits, RuntimeCapabilities,
    RuntimeKind, VersionId,
};

fn runtime(kind: RuntimeKind, concurrency_max: u32) -> RuntimeCapabilities {
    RuntimeCapabilities {
        kind,
        isolation: Isolation::None,
        concurrency_max,
        streaming: true,
        suspend: false,
        enforces: Enforcement::default(),
    }
}

fn functions() -> Functions {
    Functions::new(Limits::function_compute(), vec![runtime(RuntimeKind::Process, 200)])
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn spec(name: &str) -> FunctionSpec {
    FunctionSpec { function_name: name.into(), ..FunctionSpec::default() }
}

fn code(path: &str, bytes: u64) -> Arc<CodeRef> {
    Arc::new(CodeRef::Directory { path: path.into(), unpacked_bytes: bytes })
}

fn alias(name: &str, version: u32) -> Alias {
    Alias { name: name.into(), version: VersionId::new(version), description: "".into() }
}
