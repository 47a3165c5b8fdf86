//! What a durable task costs: pushing it, starting it, ending it, and keeping a million of them.
//!
//! `cargo bench --bench queue [-- --json | --test] [commit] [idle] [dispatch] [million]`
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
#![allow(clippy::print_stdout, reason = "a role tells the benchmark its figures")]

mod peers;
mod queues;

use peers::options::Options;
use peers::role;
use queues::{commit, dispatch, idle, million};

fn main() {
    match role::asked().as_deref() {
        None => compare(&Options::from_args()),
        Some(million::ROLE) => million::play(),
        Some(role) => panic!("no role {role}"),
    }
}

fn compare(options: &Options) {
    type Section = (&'static str, fn(&Options));
    let sections: [Section; 4] = [
        ("commit", commit::compare),
        ("idle", idle::compare),
        ("dispatch", dispatch::compare),
        ("million", million::compare),
    ];
    for (name, section) in sections {
        if options.wants(name) {
            section(options);
        }
    }
}
