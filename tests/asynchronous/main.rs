//! Asynchronous invocation, whole, on simulated time.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod destinations;
mod holders;
mod isolation;
mod retry;
mod support;
mod tasks;
