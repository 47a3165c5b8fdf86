//! Functions and what belongs to them: created, read, changed, deleted, and resolved for callers.
//!
//! [`Functions`] keeps them in memory. Reading for an invocation takes no lock and no memory:
//!
//! ```
//! use std::sync::Arc;
//! use fc_control::Functions;
//! use fc_core::{
//!     AccountId, Catalog, CodeRef, Enforcement, FunctionSpec, Isolation, Limits, Qualifier,
//!     RuntimeCapabilities, RuntimeKind,
//! };
//!
//! let process = RuntimeCapabilities {
//!     kind: RuntimeKind::Process,
//!     isolation: Isolation::Process,
//!     concurrency_max: 200,
//!     streaming: true,
//!     suspend: false,
//!     enforces: Enforcement::default(),
//! };
//! let functions = Functions::new(Limits::function_compute(), vec![process]);
//! let account = AccountId::new("1234567890").unwrap();
//! let code = Arc::new(CodeRef::Directory { path: "/srv/resize".into(), unpacked_bytes: 40_000 });
//! let spec = FunctionSpec { function_name: "resize".into(), ..FunctionSpec::default() };
//!
//! let created = functions.create(&account, &spec, code).unwrap();
//! let resolved = functions.resolve(&account, "resize", &Qualifier::default()).unwrap();
//! assert_eq!(resolved.uid(), created.version.uid());
//!
//! let wasm = FunctionSpec { function_name: "w".into(), runtime: "wasm".into(), ..spec };
//! let refused = functions.create(&account, &wasm, Arc::new(CodeRef::Registered)).unwrap_err();
//! assert!(refused.message().starts_with("runtime"));
//! ```

mod aliases;
mod catalog;
mod functions;
mod key;
mod record;
mod rules;
mod versions;

pub use aliases::Alias;
pub use functions::{Function, Functions, Updated};
pub use versions::Published;
