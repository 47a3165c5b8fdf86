//! Queue drivers.

#[cfg(feature = "postgres")]
pub mod postgres;
