//! The in-process runtime: functions are Rust handlers of this process.
//!
//! No isolation at all, and none is claimed: what a handler does, the platform's process does. In
//! return a request costs what a call costs.

mod handler;
mod instance;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{
    CodeRef, Context, Enforcement, Error, ErrorKind, FunctionVersion, HandlerCode, Instance,
    InstanceSpec, Isolation, Result, Runtime, RuntimeCapabilities, RuntimeKind,
};

pub use handler::{Handler, HandlerFailure, Work, handler_fn, service};
use instance::InProcessInstance;

/// Makes the handler of a new instance.
type Factory = Box<dyn Fn() -> Arc<dyn Handler> + Send + Sync>;

/// Runs functions whose code is a [`Handler`] of this process.
///
/// The handler is the version's code, and lives as long as the version: a published version keeps
/// its own, whatever LATEST becomes.
///
/// ```
/// use fc_core::{Body, CodeRef, Response};
/// use fc_runtime::in_process::{InProcessRuntime, handler_fn};
///
/// let code: CodeRef = InProcessRuntime::code(handler_fn(|_cx, _request| async {
///     Ok(Response::new(Body::from("hello")))
/// }));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcessRuntime;

impl InProcessRuntime {
    /// The runtime. It has no state of its own.
    pub fn new() -> Self {
        Self
    }

    /// A function's code: all its instances share `handler`.
    pub fn code(handler: impl Handler) -> CodeRef {
        let handler: Arc<dyn Handler> = Arc::new(handler);
        Self::code_of(move || handler.clone())
    }

    /// A function's code: each instance has a handler of its own, made when it starts. A `make` that
    /// panics fails the start.
    pub fn code_of_each<H: Handler>(make: impl Fn() -> H + Send + Sync + 'static) -> CodeRef {
        Self::code_of(move || Arc::new(make()))
    }

    fn code_of(make: impl Fn() -> Arc<dyn Handler> + Send + Sync + 'static) -> CodeRef {
        let factory: Factory = Box::new(make);
        CodeRef::Handler(HandlerCode::new(factory))
    }
}

fn factory(version: &FunctionVersion) -> Result<&Factory> {
    let factory = match &**version.code() {
        CodeRef::Handler(code) => code.get::<Factory>(),
        _ => None,
    };
    factory.ok_or_else(|| {
        Error::invalid("code", "the in-process runtime takes what `InProcessRuntime::code` gives")
    })
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
        factory(version).map(|_| ())
    }

    async fn start(&self, _: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        let make = factory(&spec.version)?;
        let made = std::panic::catch_unwind(AssertUnwindSafe(make));
        let handler = made.map_err(|panic| {
            let text = instance::panic_text(&*panic);
            Error::new(ErrorKind::FunctionNotStarted, format!("the handler was not made: {text}"))
        })?;
        Ok(Arc::new(InProcessInstance::new(handler)))
    }
}
