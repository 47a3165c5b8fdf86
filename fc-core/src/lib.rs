//! The model and the ports of `fc`: what every other crate sees, and all that it sees.
//!
//! Three groups of things live here, and no I/O:
//!
//! - **The model.** Identifiers ([`AccountId`], [`FunctionName`], [`RequestId`], …), a function as
//!   it is asked for ([`FunctionSpec`]) and as it is once proved ([`FunctionVersion`]), [`Limits`]
//!   with the presets of the two clouds, [`Resources`], [`Body`], [`Context`], [`Error`].
//! - **The ports** ([`port`]): [`Runtime`], [`Instance`], [`Queue`], [`Store`], [`Network`] for
//!   those who bring a driver; [`Clock`], [`Catalog`], [`Authorize`], [`Invoke`] for what one crate
//!   of the star needs of another.
//! - **The wire's names** ([`header`]).
//!
//! ```
//! use fc_core::{AccountId, FunctionSpec, Limits, VersionId};
//!
//! let spec = FunctionSpec { function_name: "thumbnail".into(), memory_size: 100, ..Default::default() };
//! let refused = spec.validate(&Limits::function_compute()).unwrap_err();
//! assert_eq!(refused.code(), "InvalidArgument");
//! assert!(refused.to_string().contains("memory_size"));
//! ```

pub mod body;
mod clock;
mod context;
mod error;
mod function;
pub mod header;
mod id;
mod invocation;
mod limits;
pub mod port;
mod resources;
mod task;
mod time;

pub use body::{Body, BodyGuard, Ending};
#[cfg(feature = "system-clock")]
pub use clock::SystemClock;
pub use clock::{Clock, ClockExt, Elapsed, Sleep, WithDeadline};
pub use context::{Context, Deadline};
pub use error::{Blame, Error, ErrorKind, FailureType, Result, Retry};
pub use function::{
    AuthType, CodeRef, CustomRuntimeConfig, FunctionSpec, FunctionVersion, HandlerCode,
    HealthCheckConfig, HookConfig, HttpTriggerSpec, InstanceLifecycleConfig, MethodSet,
    RuntimeName,
};
pub use id::{
    AccountId, FunctionName, InstanceId, NodeId, Qualifier, RequestId, RequestIds, VersionId,
};
pub use invocation::{Invocation, InvocationKind, LogType, Reply, Report, Target};
pub use limits::{Dialect, Limits};
pub use port::authorize::{Action, Authorize};
pub use port::catalog::Catalog;
pub use port::invoke::Invoke;
pub use port::network::{Attachment, AttachmentId, Network, NetworkCapabilities, NetworkPolicy};
pub use port::queue::Queue;
pub use port::runtime::{
    CpuBoost, Enforcement, Exit, Hook, Instance, InstanceSpec, Isolation, Runtime,
    RuntimeCapabilities, RuntimeKind,
};
pub use port::store::Store;
pub use port::tasks::{Page, Tasks};
pub use resources::Resources;
pub use task::{
    AsyncConfig, AsyncTask, Asynchronous, Destination, DestinationConfig, StoredAsyncConfig,
    TaskEvent, TaskQuery, TaskStatus,
};
pub use time::{Instant, Timestamp};

/// What reaches a function: an HTTP request whose body is counted, never buffered to be measured.
pub type Request = http::Request<Body>;

/// What a function answers.
pub type Response = http::Response<Body>;
