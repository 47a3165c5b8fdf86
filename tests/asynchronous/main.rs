//! Asynchronous invocation, whole, on simulated time.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod counters;
mod destinations;
mod durability;
mod holders;
mod isolation;
mod liveness;
mod retry;
mod support;
mod tasks;
