//! What asynchronous invocation costs, whole: the engine over the embedded queue and store, the
//! scheduler, a function of this process.
//!
//! `cargo bench --bench asynchronous [-- --json | --test] [latency] [enqueue] [cycle] [backlog]
//! [million] [neighbour]`
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
#![allow(clippy::print_stdout, reason = "a role tells the benchmark its figures")]

mod engine;
mod peers;

use engine::{backlog, cycle, enqueue, latency, million, neighbour};
use peers::options::Options;
use peers::role;

fn main() {
    match role::asked().as_deref() {
        None => compare(&Options::from_args()),
        Some(million::ROLE) => million::play(),
        Some(role) => panic!("no role {role}"),
    }
}

fn compare(options: &Options) {
    type Section = (&'static str, fn(&Options));
    let sections: [Section; 6] = [
        ("latency", latency::compare),
        ("enqueue", enqueue::compare),
        ("cycle", cycle::compare),
        ("backlog", backlog::compare),
        ("million", million::compare),
        ("neighbour", neighbour::compare),
    ];
    for (name, section) in sections {
        if options.wants(name) {
            section(options);
        }
    }
}
