//! Deliberately broken drivers: each breaks one rule, and the suites in
//! [`conformance`](crate::conformance) must catch it.

pub mod queue;
pub mod runtime;
pub mod store;
