//! Tasks on NATS JetStream: one stream, read as a log of facts.
//!
//! # How it works
//!
//! A message of the stream says what became true: pushed, leased, extended, settled, … Its payloads
//! are its body, the rest is a header, so that whoever only needs to know reads headers. A process
//! writes one message at a time, with all that was asked of it while the last one was under way, and
//! tells the server what it had read (`Nats-Expected-Last-Sequence`): if another process came first,
//! the message is not stored, and what it was to say is decided again. So each fact was true when it
//! was stored, all operations are linearizable, and a lost answer is found out by reading on. What
//! changes nothing (a lease that finds nothing, a depth, a list) is answered when the server has said
//! that nothing was written since. A caller that is alone writes its message in its own poll, which
//! saves two wake-ups; a second one has a task of the queue go on.
//!
//! Each process keeps an index of the tasks in memory; other processes' facts come over a core subject
//! beside the stream, and where one was missed the stream is read. Payloads are read when they are
//! leased, unless they were seen lately. The beginning of the log is removed when no task needs it; a
//! few that keep it are written anew.
//!
//! # Several processes
//!
//! They share the tasks, and the log: together they write about one message per round trip, each with
//! all that its process has to say. One that comes too late twice asks the others for a pause.
//! Visibility and delays are judged by each process's clock, as it stood when it connected and moved on
//! by its monotonic clock: machines' clocks must agree within a small part of the visibility.
//!
//! # Server
//!
//! nats-server 2.9 or later, with `jetstream` in a directory of its own. Only `sync_interval: always`
//! (2.10 or later) lets an acknowledged task survive a loss of power on one server; without it the
//! driver declares [`Durability::ProcessMemory`](fc_core::port::store::Durability) and says so when it
//! connects, though tasks survive a crash of any process, the server's too. Three replicas or more are
//! [`Replicated`](fc_core::port::store::Durability).

mod bodies;
mod broker;
mod code;
mod config;
mod connect;
mod fact;
mod follower;
mod ledger;
mod log;
mod plan;
mod queue;
mod seat;
mod shared;
#[cfg(test)]
mod tests;
mod waiters;
mod writer;

pub use config::NatsQueueConfig;
pub use queue::NatsQueue;
