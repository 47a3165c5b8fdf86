//! What the side-by-side benchmarks share: contenders in processes of their own, one load generator,
//! CPU time as the operating system counts it, and one table.
//!
//! Method (`performance.md`, "How to measure here"): the contenders take turns, A B A B; a figure is
//! the median of its rounds, its spread is (highest - lowest) / median, and a ratio is the median of
//! the ratios of neighbouring turns, so that what else the machine does hits both sides alike. Every
//! server has a tokio runtime of one worker thread (nginx: one worker), the load generator is one
//! thread of the benchmark's own process. All share one machine: a ratio stands, an absolute figure
//! does not.

#![allow(dead_code, reason = "each benchmark uses its part of what they share")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
#![allow(clippy::print_stdout, reason = "a benchmark's output is its table")]

pub(crate) mod compare;
pub(crate) mod cpu;
pub(crate) mod function;
pub(crate) mod load;
pub(crate) mod nginx;
pub(crate) mod options;
pub(crate) mod role;
pub(crate) mod servers;
pub(crate) mod spawn;
pub(crate) mod subject;
pub(crate) mod table;
pub(crate) mod turns;

/// What every contender answers.
pub(crate) const HELLO: &str = "hello";

/// The HTTP request that every contender answers, by the host of the function `hello`.
pub(crate) const GET_HELLO: &[u8] = b"GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n";
