//! Reference networks.
//!
//! [`OpenNetwork`] isolates nothing and says so: for development, for tests, and for functions whose
//! code the operator trusts.

mod open;

pub use open::OpenNetwork;
