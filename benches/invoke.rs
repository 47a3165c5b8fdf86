//! What the platform adds to an invocation: in front of a warm program, without HTTP, and when it
//! starts a program.
//!
//! `cargo bench --bench invoke [-- --json | --test] [proxy] [platform] [cold]`
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]

mod peers;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fc::Platform;
use peers::compare::{Series, Side, alternate};
use peers::cpu::CpuTimes;
use peers::function::{self, FUNCTION, NO_PYTHON, Program};
use peers::load::Load;
use peers::nginx::{self, Nginx};
use peers::options::Options;
use peers::role::{self, Contender};
use peers::table::{self, Budget, Row};
use peers::{GET_HELLO, HELLO, servers, spawn, subject};

/// Warm sync, process function: CPU of the gateway over a bare proxy's (`performance.md`, budgets).
const PROXY_CPU: Budget = Budget::AtMost { goal: 1.1, least: 1.3 };
/// … and its throughput over nginx's.
const PROXY_RATE: Budget = Budget::AtLeast { goal: 1.0, least: 0.8 };
/// Platform cost of a warm invocation without HTTP, microseconds.
const PLATFORM: Budget = Budget::AtMost { goal: 2.0, least: 5.0 };
/// Process cold start over spawn to first answer.
const COLD: Budget = Budget::AtMost { goal: 1.05, least: 1.15 };

/// Before each cold start: what the last one left to be done is done by then.
const SETTLE: Duration = Duration::from_millis(20);

const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match role::asked().as_deref() {
        None => compare(&Options::from_args()),
        Some(FUNCTION) => function::serve(),
        Some("proxy") => servers::proxy(),
        Some("gateway-process") => subject::gateway_process(),
        Some(role) => panic!("no role {role}"),
    }
    ExitCode::SUCCESS
}

fn compare(options: &Options) {
    // The cold starts come first: what a spawn costs depends on the spawner's size.
    if options.wants("cold") {
        cold(options);
    }
    if options.wants("proxy") {
        proxy(options);
    }
    if options.wants("platform") {
        platform(options);
    }
}

fn proxy(options: &Options) {
    let program = Program::compiled();
    let directory = program.directory().as_os_str();
    let gateway = Contender::start("gateway-process", &[(subject::DIRECTORY, directory)]);
    let upstream = Contender::start(FUNCTION, &[]);
    let address = upstream.address.to_string();
    let bare = Contender::start("proxy", &[(servers::UPSTREAM, address.as_ref())]);
    let nginx = Nginx::start(upstream.address);

    let side = |address, pid| Side { load: Load { address, request: GET_HELLO, body: HELLO }, pid };
    let mut sides = vec![side(gateway.address, gateway.pid()), side(bare.address, bare.pid())];
    sides.extend(nginx.as_ref().map(|nginx| side(nginx.address, nginx.pid())));
    let turns = alternate(options, &sides.iter().collect::<Vec<_>>());
    assert_eq!(gateway.children(), 1, "one instance serves, as one upstream does");

    let cpu: Vec<Series> = turns.iter().map(|turns| turns.cpu_us()).collect();
    let rate: Vec<Series> = turns.iter().map(|turns| turns.requests_per_second()).collect();
    let (subject, unit) = ("gateway, process function", "us CPU/request");
    let missing = |unit| Row::missing("nginx", unit, nginx::MISSING);
    let nginx_cpu =
        cpu.get(2).map(|nginx| Row::new("nginx", nginx, unit).over(nginx.over(&cpu[1])));
    let nginx_rate = rate.get(2).map(|nginx| Row::new("nginx", nginx, "requests/s"));
    let rate_row = Row::new(subject, &rate[0], "requests/s").budget(PROXY_RATE);
    let rows = [
        Row::new(subject, &cpu[0], unit).over(cpu[0].over(&cpu[1])).budget(PROXY_CPU),
        Row::new("bare hyper reverse proxy", &cpu[1], unit),
        nginx_cpu.unwrap_or_else(|| missing(unit)),
        match rate.get(2) {
            Some(nginx) => rate_row.over(rate[0].over(nginx)),
            None => rate_row.unjudged("nothing to compare with"),
        },
        Row::new("bare hyper reverse proxy", &rate[1], "requests/s"),
        nginx_rate.unwrap_or_else(|| missing("requests/s")),
    ];
    let title = "Warm HTTP request to a program, 64 connections; CPU over bare hyper's (of the proxy \
                 alone), requests/s over nginx's";
    table::print(options, title, &rows);
}

fn platform(options: &Options) {
    let many = options.count(10_000, 100);
    let one = Registered::new(1);
    let idle = Registered::new(many);
    let busy = Registered::new(many);
    let mut series = [const { Vec::new() }; 3];
    for _ in 0..options.rounds() {
        let count = options.count(300_000, 1_000);
        series[0].push(one.cpu_us(1, count));
        series[1].push(idle.cpu_us(1, count));
        series[2].push(busy.cpu_us(many as usize, count));
    }
    let [one, idle, busy] = series.map(Series::from_iter);
    let unit = "us CPU";
    let rows = [
        Row::new("1 function", &one, unit).budget(PLATFORM),
        Row::new(format!("{many} functions, one invoked"), &idle, unit).budget(PLATFORM),
        Row::new(format!("{many} functions, all invoked in turn"), &busy, unit).budget(PLATFORM),
        Row::new(format!("{many} functions, one invoked, over 1"), &idle, unit)
            .over(idle.over(&one)),
    ];
    table::print(options, "Warm invocation without HTTP: Platform::invoke on one thread", &rows);
}

/// A platform with in-process functions, all of them warm, on a thread of its own.
struct Registered {
    runtime: tokio::runtime::Runtime,
    platform: Platform,
    names: Vec<String>,
}

impl Registered {
    fn new(count: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a tokio runtime of this thread");
        let (platform, names) = runtime.block_on(async {
            let platform = subject::with_room(count, 300);
            let names: Vec<String> = (0..count).map(|index| format!("hello-{index}")).collect();
            for name in &names {
                subject::register(&platform, name);
            }
            (platform, names)
        });
        Self { runtime, platform, names }
    }

    /// CPU time of one of `count` invocations of the first `among` functions in turn, microseconds.
    fn cpu_us(&self, among: usize, count: usize) -> f64 {
        self.runtime.block_on(async {
            self.invoke(among, among).await;
            let before = CpuTimes::of_self();
            self.invoke(among, count).await;
            CpuTimes::of_self().since(&before) as f64 / 1e3 / count as f64
        })
    }

    async fn invoke(&self, among: usize, count: usize) {
        for name in self.names[..among].iter().cycle().take(count) {
            let reply = self.platform.invoke(name, ()).await.expect("an answer");
            assert_eq!(reply.response.status(), http::StatusCode::OK);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.runtime.block_on(self.platform.shutdown(SHUTDOWN_WITHIN));
    }
}

fn cold(options: &Options) {
    let mut rows = Vec::new();
    let python = Program::python();
    for (name, program) in [("compiled", Some(Program::compiled())), ("python3", python)] {
        let subject = format!("platform, {name} program");
        let Some(program) = program else {
            rows.push(Row::missing(subject, "ms", NO_PYTHON));
            continue;
        };
        let [platform, plain] = first_answers(options, &program);
        rows.push(Row::new(subject, &platform, "ms").over(platform.over(&plain)).budget(COLD));
        rows.push(Row::new(format!("plain spawn, {name} program"), &plain, "ms"));
    }
    table::print(options, "Cold start of a program, from nothing to its first answer", &rows);
}

/// Milliseconds to the first answer, of the platform and of a plain spawn, in turn. Each figure is
/// the median of a round, since a single start depends much on what the machine does meanwhile.
fn first_answers(options: &Options, program: &Program) -> [Series; 2] {
    let runtime = role::runtime();
    let platform = runtime.block_on(async { subject::with_processes() });
    let ours = || {
        std::thread::sleep(SETTLE);
        runtime.block_on(cold_start(&platform, program)).as_secs_f64() * 1e3
    };
    let plain = || {
        std::thread::sleep(SETTLE);
        spawn::first_answer(program).as_secs_f64() * 1e3
    };
    let round = || {
        // Neither is always the one that comes after the other's end.
        let starts = (0..options.count(16, 2)).map(|index| {
            if index % 2 == 0 {
                let ours = ours();
                (ours, plain())
            } else {
                let plain = plain();
                (ours(), plain)
            }
        });
        let (ours, plain): (Vec<f64>, Vec<f64>) = starts.unzip();
        [ours, plain].map(|figures| Series::from_iter(figures).median())
    };
    round();
    let rounds: Vec<[f64; 2]> = (0..options.rounds()).map(|_| round()).collect();
    runtime.block_on(platform.shutdown(SHUTDOWN_WITHIN));
    [0, 1].map(|side| rounds.iter().map(|round| round[side]).collect())
}

/// From the invocation of a function without an instance to its answer, as a connection's task
/// would see it.
async fn cold_start(platform: &Platform, program: &Program) -> Duration {
    const NAME: &str = "cold";
    subject::deploy_program(platform, NAME, program);
    let task = platform.clone();
    let invoked = tokio::spawn(async move {
        let start = Instant::now();
        let reply = task.invoke(NAME, ()).await.expect("an answer");
        assert!(reply.report.cold, "an instance served that was there already");
        let body = reply.response.into_body().read(1024).await.expect("the answer's body");
        let took = start.elapsed();
        assert_eq!(body, HELLO);
        took
    });
    let took = invoked.await.expect("the invocation");
    platform.remove(NAME).expect("the function is there");
    while role::children_of(std::process::id()) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    took
}
