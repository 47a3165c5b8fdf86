//! Reference runtimes: where instances run.
//!
//! - [`in_process`]: functions are Rust handlers of this process. No isolation, the cost of a call.
//! - [`process`]: functions are programs that serve HTTP (the custom runtime contract, RUN-2).
//!
//! Each says what it can do and what it enforces in its
//! [capabilities](fc_core::RuntimeCapabilities), and passes the conformance suite of `fc-testkit`.

pub mod in_process;
pub mod process;
