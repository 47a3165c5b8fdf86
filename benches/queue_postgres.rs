//! Queues in PostgreSQL against what one would write by hand: plain single-row inserts, and a loop of
//! `FOR UPDATE SKIP LOCKED`, on the same private server.
//!
//! `cargo bench --bench queue_postgres [-- --json | --test] [push] [drain] [start] [depth]`
//!
//! Side by side with apalis: `benches/peers/apalis/run`.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]

mod peers;
mod postgres;

use peers::options::Options;
use postgres::{depth, drain, push, server, start};

fn main() {
    let options = Options::from_args();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a tokio runtime of two workers");
    let server = server::start();
    type Section = (&'static str, fn(&Options, &tokio::runtime::Runtime, &str));
    let sections: [Section; 4] = [
        ("push", push::compare),
        ("drain", drain::compare),
        ("start", start::compare),
        ("depth", depth::compare),
    ];
    for (name, section) in sections {
        if options.wants(name) {
            section(&options, &runtime, &server.url());
        }
    }
}
