//! The HTTP/1.1 client of one program: what a request costs between its slot and its answer.
//!
//! Not hyper's, for two measured reasons. Behind the gateway, a warm request cost 40 700 instructions
//! of user space with hyper's client and 26 000 with this one (callgrind, `benches/invoke.rs`,
//! role `gateway-process`). Hyper takes a request as a `HeaderMap`, so that the dozen headers that are
//! the same for every request of an instance are copied, hashed and written one by one: here they are
//! one block of bytes ([`Outgoing`]). And hyper's sender and connection are two halves that speak
//! through a channel, though one task needs both: here the request's own task writes, reads and parses
//! ([`Connection`]).
//!
//! What a program may answer is what hyper's client takes, and less where two readers could disagree
//! about where an answer ends: see [`framing`](framing::Rest::of).
//!
//! - [`Outgoing`]: a request as bytes, and its body as it comes.
//! - [`Incoming`](incoming::Incoming): from bytes to an answer's head and body; no I/O.
//! - [`Connection`]: a socket with both.

mod chunked;
mod connection;
mod framing;
mod incoming;
mod outgoing;
#[cfg(test)]
mod reading_tests;
mod upload;
#[cfg(test)]
mod wire_tests;

pub(super) use connection::{Broken, Connection, Lost, Sending};
pub(super) use incoming::{AnswerHead, Malformed};
pub(super) use outgoing::{Digits, Lines, Outgoing};

use outgoing::Asked;
