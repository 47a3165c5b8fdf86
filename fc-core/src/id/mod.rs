//! Names and numbers that identify things. Each is proved when it is made.

mod name;
mod request;

pub use name::{AccountId, FunctionName, InstanceId, NodeId, Qualifier, VersionId};
pub use request::{RequestId, RequestIds};
