//! The ports: traits that an integrator implements, and those that one crate of the star asks of
//! another.
//!
//! Each method's text is a contract: what is durable when it returns, order, idempotency, errors,
//! cancel safety. `fc-testkit` has a conformance suite for the drivers.

pub mod authorize;
pub mod catalog;
pub mod invoke;
pub mod network;
pub mod queue;
pub mod runtime;
pub mod store;
pub mod tasks;
