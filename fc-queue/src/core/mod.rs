//! What decides: synchronous, without clock or I/O.

pub mod book;
pub mod destination;
pub mod retry;
