//! Records on NATS JetStream: a subject for each key, a message for each write.
//!
//! A write's revision is its message's sequence. Conditions are the server's
//! (`Nats-Expected-Last-Subject-Sequence`), so that writers of different keys do not hinder each other;
//! a lost answer is found out by reading the key. Replaced writes stay until watchers cannot need them,
//! deletions some minutes longer. Each process keeps the keys in memory, and the last changes for its
//! watchers; what other processes write it reads when they ring on a core subject beside the stream, or
//! once a second. A list asks the server for the stream's end and reads on to it first.

// The queue's driver has the same server; a crate sees no sibling.
#[path = "../../../fc-queue/src/driver/nats/broker/mod.rs"]
mod broker;
mod config;
mod connect;
mod follower;
mod link;
mod mirror;
mod shared;
mod store;

pub use config::NatsStoreConfig;
pub use store::NatsStore;
