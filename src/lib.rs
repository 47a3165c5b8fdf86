#![doc = include_str!("../README.md")]

mod asynchronous;
pub mod folder;
mod platform;

pub use fc_control as control;
pub use fc_core as core;
pub use fc_network as network;
pub use fc_queue as queue;
pub use fc_runtime as runtime;
pub use fc_sched as sched;
pub use fc_store as store;
pub use fc_trigger as trigger;

pub use asynchronous::AsyncParts;
pub use fc_core::{
    AccountId, Body, CodeRef, Context, Error, FunctionName, FunctionSpec, Limits, Qualifier, Reply,
    Request, Response, Result,
};
pub use fc_runtime::in_process::{Handler, handler_fn, service};
pub use folder::FunctionFolder;
pub use platform::{Platform, PlatformBuilder};
