//! Queue drivers.

#[cfg(feature = "embedded")]
pub mod embedded;
