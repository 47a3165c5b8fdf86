//! Queue drivers.
