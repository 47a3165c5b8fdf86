//! What proves a driver, and what a simulation is made of.
//!
//! [`SimClock`] is time under a test's control; [`ScriptedRuntime`] a runtime that does as it is
//! told and writes down what was done to it; [`faulty`] drivers fail as networks do, by a seed.
//! [`conformance`] has a suite for each port, and [`broken`] the drivers that the suites must catch.
//! [`history`] judges what was seen of asynchronous invocations.

pub mod broken;
mod clock;
pub mod conformance;
pub mod faulty;
pub mod history;
pub mod scripted;
#[cfg(any(feature = "nats", feature = "postgres"))]
pub mod server;

pub use clock::SimClock;
pub use scripted::ScriptedRuntime;
