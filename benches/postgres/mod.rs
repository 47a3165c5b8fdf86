//! The queue in PostgreSQL, and its plain peer.

pub(crate) mod depth;
pub(crate) mod drain;
pub(crate) mod plain;
pub(crate) mod push;
pub(crate) mod server;
pub(crate) mod start;

/// What a task carries.
pub(crate) const PAYLOAD: [u8; 256] = [7; 256];
