//! A server of NATS and one stream of it, for the queue and, included by its path, for the store.

mod line;
mod server;
mod stream;

pub(super) use line::{Appended, Line, unread};
pub(super) use server::Server;
pub(super) use stream::Needs;
