//! What decides: synchronous, without clock or I/O.

pub mod book;
pub mod concurrency;
pub mod destination;
pub mod envelope;
pub mod retry;
pub mod sideline;
pub mod stored_task;
