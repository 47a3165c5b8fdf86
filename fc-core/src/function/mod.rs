//! A function: as it is asked for, and as it is once proved.

mod code;
mod methods;
mod runtime_name;
mod spec;
mod validate;
mod version;

pub use code::{CodeRef, HandlerCode};
pub use methods::MethodSet;
pub use runtime_name::RuntimeName;
pub use spec::{
    AuthType, CustomRuntimeConfig, FunctionSpec, HealthCheckConfig, HookConfig, HttpTriggerSpec,
    InstanceLifecycleConfig,
};
pub use version::FunctionVersion;
