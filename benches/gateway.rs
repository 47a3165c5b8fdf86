//! A warm in-process function through the gateway, against hyper with nothing around it that gives
//! the same answer: CPU time a request, and requests per second.
//!
//! `cargo bench --bench gateway [-- --json | --test]`

mod peers;

use std::ffi::OsStr;
use std::process::ExitCode;

use peers::compare::{Side, alternate};
use peers::load::Load;
use peers::options::Options;
use peers::role::{self, Contender};
use peers::table::{self, Budget, Row};
use peers::{GET_HELLO, HELLO, servers, subject};

/// Warm sync, in-process function (`performance.md`, budgets).
const CPU: Budget = Budget::AtMost { goal: 1.25, least: 1.7 };

fn main() -> ExitCode {
    match role::asked().as_deref() {
        None => compare(&Options::from_args()),
        Some("hello") => servers::hello(),
        Some("gateway") => subject::gateway(),
        Some(role) => panic!("no role {role}"),
    }
    ExitCode::SUCCESS
}

fn compare(options: &Options) {
    let gateway = Contender::start("gateway", &[]);
    let gateway_side = side(&gateway);
    let headers = own_headers(&gateway_side.load.head());
    let same = Contender::start("hello", &[(servers::HEADERS, OsStr::new(&headers))]);
    let plain = Contender::start("hello", &[]);
    let sides = [&gateway_side, &side(&same), &side(&plain)];
    let turns = alternate(options, &sides);
    let [gateway, same, plain] = &turns[..] else { unreachable!("one result for each side") };

    let cpu = [gateway, same, plain].map(|turns| turns.cpu_us());
    let rate = [gateway, same, plain].map(|turns| turns.requests_per_second());
    let unit = "us CPU/request";
    let rows = [
        Row::new("gateway, in-process function", &cpu[0], unit)
            .over(cpu[0].over(&cpu[1]))
            .budget(CPU),
        Row::new("bare hyper, the same answer and headers", &cpu[1], unit),
        Row::new("bare hyper, hello", &cpu[2], unit).over(cpu[2].over(&cpu[1])),
        Row::new("gateway, in-process function", &rate[0], "requests/s")
            .over(rate[0].over(&rate[1])),
        Row::new("bare hyper, the same answer and headers", &rate[1], "requests/s"),
        Row::new("bare hyper, hello", &rate[2], "requests/s").over(rate[2].over(&rate[1])),
    ];
    let title = "Warm HTTP request, 64 connections; ratios to bare hyper with the same answer";
    table::print(options, title, &rows);
}

fn side(contender: &Contender) -> Side {
    let load = Load { address: contender.address, request: GET_HELLO, body: HELLO };
    Side { load, pid: contender.pid() }
}

/// The header lines of an answer that hyper does not add by itself.
fn own_headers(head: &str) -> String {
    let by_hyper = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        ["date", "content-length"].iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    let lines: Vec<&str> = head.lines().skip(1).filter(|line| !by_hyper(line)).collect();
    lines.join("\n")
}
