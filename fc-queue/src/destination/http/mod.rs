//! Results to HTTP endpoints, signed, and to sinks of CloudEvents.

mod cloud_events;
mod config;
mod connect;
mod resolve;
mod send;
mod signed;

pub use cloud_events::{CloudEventsDelivery, Mode};
pub use config::HttpConfig;
pub use resolve::{Resolve, SystemResolver};
pub use send::HttpSender;
pub use signed::HttpDelivery;
