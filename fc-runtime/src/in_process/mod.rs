//! The in-process runtime: functions are Rust handlers of this process.
//!
//! No isolation at all, and none is claimed: what a handler does, the platform's process does. In
//! return a request costs what a call costs.

mod handler;
mod instance;

use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{
    CodeRef, Context, Enforcement, Error, FunctionName, FunctionVersion, Instance, InstanceSpec,
    Isolation, Result, Runtime, RuntimeCapabilities, RuntimeKind,
};
use parking_lot::RwLock;

pub use handler::{Handler, HandlerFailure, Work, handler_fn, service};
use instance::InProcessInstance;

type Factory = Arc<dyn Fn() -> Arc<dyn Handler> + Send + Sync>;

/// Runs handlers that were registered under a function's name.
///
/// ```
/// use fc_core::{Body, FunctionName, Response};
/// use fc_runtime::in_process::{InProcessRuntime, handler_fn};
///
/// let runtime = InProcessRuntime::new();
/// runtime.register(
///     FunctionName::new("hello").unwrap(),
///     handler_fn(|_cx, _request| async { Ok(Response::new(Body::from("hello"))) }),
/// );
/// ```
#[derive(Default)]
pub struct InProcessRuntime {
    handlers: RwLock<std::collections::HashMap<FunctionName, Factory>>,
}

impl InProcessRuntime {
    /// A runtime without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// All instances of `function` share `handler`. Replaces an earlier registration for instances
    /// that start from now on.
    pub fn register(&self, function: FunctionName, handler: impl Handler) {
        let handler: Arc<dyn Handler> = Arc::new(handler);
        self.register_factory(function, move || handler.clone());
    }

    /// Each instance of `function` has a handler of its own, made when it starts.
    pub fn register_each<H: Handler>(
        &self,
        function: FunctionName,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) {
        self.register_factory(function, move || Arc::new(make()));
    }

    fn register_factory(
        &self,
        function: FunctionName,
        make: impl Fn() -> Arc<dyn Handler> + Send + Sync + 'static,
    ) {
        self.handlers.write().insert(function, Arc::new(make));
    }

    fn factory(&self, version: &FunctionVersion) -> Result<Factory> {
        self.handlers.read().get(version.name()).cloned().ok_or_else(|| {
            Error::invalid("code", format_args!("no handler is registered as '{}'", version.name()))
        })
    }
}

impl std::fmt::Debug for InProcessRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessRuntime").field("handlers", &self.handlers.read().len()).finish()
    }
}

#[async_trait]
impl Runtime for InProcessRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            kind: RuntimeKind::InProcess,
            isolation: Isolation::None,
            concurrency_max: u32::MAX,
            streaming: true,
            suspend: false,
            enforces: Enforcement::default(),
        }
    }

    async fn prepare(&self, _: Context, version: &Arc<FunctionVersion>) -> Result<()> {
        if **version.code() != CodeRef::Registered {
            return Err(Error::invalid("code", "the in-process runtime takes registered handlers"));
        }
        self.factory(version).map(|_| ())
    }

    async fn start(&self, _: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        let handler = self.factory(&spec.version)?();
        Ok(Arc::new(InProcessInstance::new(handler)))
    }
}
