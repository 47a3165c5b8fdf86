//! What the scheduler's decisions cost: a warm request's slot, a place on a node, packing, a cold
//! start, the simulator, and the memory of a million functions.
//!
//! `cargo bench --features sim --bench sched [-- --json | --test] [warm] [threads] [placement]
//! [packing] [simulation] [functions] [cold]`
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
#![allow(clippy::print_stdout, reason = "a role tells the benchmark its figures")]

mod peers;
mod scheduler;

use peers::options::Options;
use peers::role;
use scheduler::{cold, functions, packing, placement, simulation, threads, warm};

fn main() {
    match role::asked().as_deref() {
        None => compare(&Options::from_args()),
        Some(functions::ROLE) => functions::register(),
        Some(role) => panic!("no role {role}"),
    }
}

fn compare(options: &Options) {
    type Section = (&'static str, fn(&Options));
    let sections: [Section; 7] = [
        ("warm", warm::compare),
        ("threads", threads::compare),
        ("placement", placement::compare),
        ("packing", packing::compare),
        ("simulation", simulation::compare),
        ("functions", functions::compare),
        ("cold", cold::compare),
    ];
    for (name, section) in sections {
        if options.wants(name) {
            section(options);
        }
    }
}
