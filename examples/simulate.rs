//! Policies compared on a trace: `cargo run --release --features sim --example simulate -- --help`.
#![expect(clippy::print_stderr, reason = "it is what the program is for")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind as Usage;
use clap::{Args, CommandFactory, Parser};
use fc::core::{Clock, ErrorKind, SystemClock};
use fc::sched::sim::report::{json_line, plot_svg, table};
use fc::sched::sim::{
    ColdStart, GeneratorConfig, Outcome, Pattern, PolicyName, ReadOptions, Reading, SimConfig,
    Trace, TraceFormat, simulate,
};
use fc::{Error, Result};

/// Runs the scheduler over a trace under virtual time, once for each policy, and compares them.
///
/// The trace is read (--trace and --format) or made up (--generate). The same trace, options and
/// seed give the same numbers. Bad input ends with exit code 2.
#[derive(Parser, Debug)]
#[command(name = "simulate", version, after_help = EXAMPLES)]
struct Options {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    generator: Generator,
    #[command(flatten)]
    platform: Platform,

    /// Policies, separated by commas [default: all]:
    /// fixed, hybrid-histogram, greedy-dual, schedule, target-tracking, forecast
    #[arg(long, value_name = "NAME[,NAME…]", value_delimiter = ',')]
    policy: Vec<PolicyName>,
    /// Decides everything that is random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Print one JSON object a policy, each on its line, in place of the table.
    #[arg(long)]
    json: bool,
    /// Draw instances, cold starts and waste over time.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print how fast the simulation ran (with --json on standard error).
    #[arg(long)]
    speed_report: bool,
    /// Write the trace as csv. Without --policy nothing else is done.
    #[arg(long, value_name = "FILE.csv")]
    write_trace: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  simulate --trace azure2019/ --format azure2019 --policy fixed,hybrid-histogram
  simulate --trace invocations.csv --format csv --policy fixed --cold-start-ms 0 --keep-alive-s 600
  simulate --generate bursts --functions 500 --rate 50 --duration-s 7200 --plot bursts.svg
  simulate --generate diurnal --duration-s 172800 --write-trace days.csv

Formats, what they assume and where they are from: the documentation of TraceFormat::read.";

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Source {
    /// A trace: a file, or a folder of the data set's files (azure2019, huawei2023).
    #[arg(long, value_name = "PATH", requires = "format")]
    trace: Option<PathBuf>,
    /// Make a trace up: poisson, diurnal, bursts
    #[arg(long, value_name = "PATTERN")]
    generate: Option<Pattern>,
}

#[derive(Args, Debug)]
struct Generator {
    /// Format of the trace: azure2019, azure2021, huawei2023, csv
    #[arg(long, value_name = "FORMAT", requires = "trace")]
    format: Option<TraceFormat>,
    /// Functions to make up [default: 100]
    #[arg(long, value_name = "N", requires = "generate")]
    functions: Option<u32>,
    /// Invocations a second to make up, all functions together [default: 10]
    #[arg(long, value_name = "R", requires = "generate")]
    rate: Option<f64>,
    /// Seconds to make up [default: 3600]
    #[arg(long, value_name = "S", requires = "generate", value_parser = seconds)]
    duration_s: Option<Duration>,
}

#[derive(Args, Debug)]
struct Platform {
    /// Nodes [default: as many as it takes]
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// vCPU of a node [default: 32]
    #[arg(long, value_name = "N")]
    node_vcpu: Option<f64>,
    /// Memory of a node in GB of 1024 MB [default: 64]
    #[arg(long, value_name = "N")]
    node_memory_gb: Option<f64>,
    /// Seconds that an idle instance stays [default: the policy decides]
    #[arg(long, value_name = "S", value_parser = seconds)]
    keep_alive_s: Option<Duration>,
    /// Every start takes so long [default: log-normal, median 300 ms, 1 in 100 takes 3 s]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    cold_start_ms: Option<Duration>,
    /// Accounts have no quotas.
    #[arg(long)]
    no_quota: bool,
}

type Simulate = fn(&Trace, &SimConfig, PolicyName) -> Result<Outcome>;

fn main() -> ExitCode {
    let (mut out, mut log) = (std::io::stdout().lock(), std::io::stderr().lock());
    match run(std::env::args_os(), simulate, &SystemClock::new(), &mut out, &mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => error.exit(),
        Err(Failure::Failed(error)) => {
            drop(log);
            eprintln!("simulate: {error}");
            ExitCode::from(exit_code(&error))
        }
        // Whoever reads has enough, as `head` does.
        Err(Failure::Closed) => ExitCode::SUCCESS,
    }
}

enum Failure {
    /// The command line, help and version.
    Usage(clap::Error),
    /// The trace, the configuration, the simulation.
    Failed(Error),
    /// Nobody reads the output any more.
    Closed,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(Error::internal(format!("the output cannot be written: {error}"))),
        }
    }
}

/// 2 for what the user can put right, 1 for the rest.
fn exit_code(error: &Error) -> u8 {
    if error.kind() == ErrorKind::InvalidArgument { 2 } else { 1 }
}

fn run(
    arguments: impl IntoIterator<Item = OsString>,
    simulate: Simulate,
    clock: &dyn Clock,
    out: &mut dyn Write,
    log: &mut dyn Write,
) -> Result<(), Failure> {
    let options = Options::try_parse_from(arguments).map_err(Failure::Usage)?;
    let config = options.config()?;
    let begun = clock.now();
    let Reading { trace, assumed } = options.trace()?;
    for sentence in &assumed {
        writeln!(log, "note: {sentence}")?;
    }
    writeln!(
        log,
        "{} invocations of {} functions over {:.0} s, read in {:.1} s",
        trace.arrivals().len(),
        trace.functions().len(),
        trace.span().as_secs_f64(),
        (clock.now() - begun).as_secs_f64()
    )?;
    if let Some(path) = &options.write_trace {
        trace.write_csv(create(path)?)?;
    }
    let mut outcomes = Vec::new();
    for policy in options.policies() {
        let begun = clock.now();
        let mut outcome = simulate(&trace, &config, policy)?;
        outcome.wall_seconds = Some((clock.now() - begun).as_secs_f64());
        if options.json {
            // As it comes: the next policy may take minutes.
            writeln!(out, "{}", json_line(&outcome)?)?;
            out.flush()?;
        }
        outcomes.push(outcome);
    }
    if !options.json && !outcomes.is_empty() {
        write!(out, "{}", table(&outcomes))?;
    }
    if options.speed_report {
        let speeds: &mut dyn Write = if options.json { log } else { out };
        outcomes.iter().try_for_each(|outcome| writeln!(speeds, "{}", speed(outcome)))?;
    }
    if let Some(path) = &options.plot {
        create(path)?.write_all(plot_svg(&outcomes)?.as_bytes())?;
    }
    Ok(())
}

impl Options {
    fn config(&self) -> Result<SimConfig, Failure> {
        if self.plot.is_some() && self.policies().is_empty() {
            let what = "--plot needs a --policy where --write-trace is given";
            let error = Self::command().error(Usage::MissingRequiredArgument, what);
            return Err(Failure::Usage(error));
        }
        let mut config = SimConfig { seed: self.seed, ..SimConfig::default() };
        let platform = &self.platform;
        config.nodes = platform.nodes;
        if let Some(vcpu) = platform.node_vcpu {
            config.node.cpu_milli = whole("node_vcpu", "vCPU", vcpu, 1000.0)?;
        }
        if let Some(gb) = platform.node_memory_gb {
            config.node.memory_mb = whole("node_memory_gb", "GB", gb, 1024.0)?;
        }
        config.quota = !platform.no_quota;
        config.keep_alive = platform.keep_alive_s;
        if let Some(time) = platform.cold_start_ms {
            config.cold_start = ColdStart::Fixed(time);
        }
        config.validate()?;
        Ok(config)
    }

    fn trace(&self) -> Result<Reading> {
        if let (Some(path), Some(format)) = (&self.source.trace, self.generator.format) {
            let options = ReadOptions { seed: self.seed, ..ReadOptions::default() };
            return format.read(path, &options);
        }
        let mut config = GeneratorConfig::default();
        let Generator { functions, rate, duration_s, .. } = &self.generator;
        config.pattern = self.source.generate.unwrap_or(config.pattern);
        config.functions = functions.unwrap_or(config.functions);
        config.rate = rate.unwrap_or(config.rate);
        config.length = duration_s.unwrap_or(config.length);
        Ok(Reading { trace: config.generate(self.seed)?, assumed: Vec::new() })
    }

    fn policies(&self) -> Vec<PolicyName> {
        match (self.policy.is_empty(), &self.write_trace) {
            (false, _) => self.policy.clone(),
            (true, Some(_)) => Vec::new(),
            (true, None) => PolicyName::ALL.to_vec(),
        }
    }
}

fn speed(outcome: &Outcome) -> String {
    let rate = |rate: Option<f64>| rate.map_or("?".into(), |rate| format!("{rate:.0}"));
    let invocations = outcome.invocations_per_second();
    let ns = invocations.filter(|rate| *rate > 0.0).map(|rate| 1e9 / rate);
    format!(
        "{}: {} events/s, {} invocations/s, {} ns an invocation, {:.3} s",
        outcome.policy,
        rate(outcome.events_per_second()),
        rate(invocations),
        rate(ns),
        outcome.wall_seconds.unwrap_or_default()
    )
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    match File::create(path) {
        Ok(file) => Ok(BufWriter::new(file)),
        Err(error) => Err(Error::invalid("output", format_args!("{}: {error}", path.display()))),
    }
}

/// `value` in units of which `per` make one, rounded.
fn whole(field: &str, unit: &str, value: f64, per: f64) -> Result<u32> {
    let scaled = (value * per).round();
    if (0.0..=f64::from(u32::MAX)).contains(&scaled) {
        return Ok(scaled as u32);
    }
    let most = f64::from(u32::MAX) / per;
    Err(Error::invalid(field, format_args!("{value} {unit} is outside 0 to {most:.0}")))
}

fn seconds(text: &str) -> Result<Duration, String> {
    time(text, 1.0)
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    time(text, 1e-3)
}

fn time(text: &str, unit_s: f64) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    Duration::try_from_secs_f64(value * unit_s).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use fc::sched::sim::report::Sample;
    use fc_testkit::SimClock;

    use super::*;

    /// Counts invocations and calls every tenth one cold, so that the output has something.
    fn every_tenth(trace: &Trace, config: &SimConfig, policy: PolicyName) -> Result<Outcome> {
        config.validate()?;
        let invocations = trace.arrivals().len() as u64;
        let mut outcome = Outcome { invocations, ..Outcome::new(policy) };
        outcome.cold_starts = invocations / 10;
        outcome.events = 3 * invocations;
        outcome.series = vec![Sample { at_s: 60, instances: 4, ..Sample::default() }];
        Ok(outcome)
    }

    /// What it prints, logs and ends with.
    fn output(arguments: &[&str]) -> (String, String, u8) {
        let arguments = std::iter::once("simulate").chain(arguments.iter().copied());
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let clock = SimClock::new();
        let ended = run(arguments.map(Into::into), every_tenth, &clock, &mut out, &mut log);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (mut log, code) = (
            text(log),
            match &ended {
                Ok(()) | Err(Failure::Closed) => 0,
                Err(Failure::Usage(error)) => error.exit_code() as u8,
                Err(Failure::Failed(error)) => exit_code(error),
            },
        );
        match ended {
            Err(Failure::Usage(error)) => log += &error.to_string(),
            Err(Failure::Failed(error)) => log += &error.to_string(),
            Ok(()) | Err(Failure::Closed) => {}
        }
        (text(out), log, code)
    }

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
        let (_, help, code) = output(&["--help"]);
        assert_eq!(code, 0);
        for flag in ["--trace", "--format", "--policy", "--nodes", "--node-vcpu", "--no-quota"] {
            assert!(help.contains(flag), "{flag}");
        }
    }

    #[test]
    fn a_table_by_default_and_an_object_a_policy_with_json() {
        let (table, log, code) = output(&["--generate", "poisson", "--duration-s", "60"]);
        assert_eq!((table.lines().count(), code), (7, 0), "{table}");
        assert!(log.contains(" invocations of 100 functions over "), "{log}");

        let flags = ["--generate", "poisson", "--duration-s", "60", "--json", "--speed-report"];
        let (lines, log, code) = output(&[&flags[..], &["--policy", "fixed,forecast"]].concat());
        assert_eq!(code, 0, "{log}");
        let objects: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let policies: Vec<&str> =
            objects.iter().filter_map(|object| object["policy"].as_str()).collect();
        assert_eq!(policies, ["fixed", "forecast"]);
        assert!(log.contains("fixed: ? events/s, ? invocations/s"), "{log}");
        assert_eq!(output(&[&flags[..], &["--policy", "fixed,forecast"]].concat()).0, lines);
    }

    #[test]
    fn a_written_trace_is_read_and_a_plot_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (csv, svg) = (path("made-up.csv"), path("plot.svg"));
        let made =
            ["--generate", "bursts", "--functions", "7", "--rate", "20", "--duration-s", "90"];
        let (out, log, code) = output(&[&made[..], &["--write-trace", &csv]].concat());
        assert_eq!((out.as_str(), code), ("", 0), "{log}");
        let read = ["--trace", &csv, "--format", "csv", "--policy", "fixed", "--plot", &svg];
        let (out, log, code) = output(&read);
        assert_eq!((out.lines().count(), code), (2, 0), "{log}");
        assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg"));
        let both = [&made[..], &["--write-trace", &csv, "--plot", "x.svg"]].concat();
        assert_eq!(output(&both).2, 2);
    }

    #[test]
    fn bad_input_is_2_with_a_message() {
        let check = |arguments: &[&str], expected: &str| {
            let (out, log, code) = output(arguments);
            assert_eq!((out.as_str(), code), ("", 2), "{log}");
            assert!(log.contains(expected), "{log}");
        };
        check(&[], "--trace <PATH>|--generate <PATTERN>");
        check(&["--trace", "x"], "--format <FORMAT>");
        check(&["--trace", "x", "--generate", "poisson"], "cannot be used with");
        check(&["--trace", "/none.csv", "--format", "csv"], "trace: /none.csv: No such file");
        check(&["--trace", "/none", "--format", "tsv"], "\"tsv\" is none of azure2019, azure2021");
        check(&["--generate", "weekly"], "\"weekly\" is none of poisson, diurnal, bursts");
        check(&["--generate", "poisson", "--policy", "lru"], "\"lru\" is none of fixed");
        check(&["--generate", "poisson", "--rate", "0"], "rate: 0 is outside");
        check(&["--generate", "poisson", "--nodes", "0"], "nodes: 0 nodes can run nothing");
        check(&["--generate", "poisson", "--node-vcpu", "-1"], "node_vcpu: -1 vCPU is outside 0");
        check(&["--generate", "poisson", "--node-memory-gb", "0.1"], "node_memory: 102 MB is less");
        check(&["--generate", "poisson", "--keep-alive-s", "-1"], "--keep-alive-s");
        check(
            &["--generate", "poisson", "--cold-start-ms", "200000"],
            "cold_start: 200000 ms is over",
        );
        check(&["--trace", "x", "--format", "csv", "--rate", "1"], "--generate <PATTERN>");
        let plot = ["--generate", "poisson", "--policy", "fixed", "--plot", "/none/x.svg"];
        let (_, log, code) = output(&plot);
        assert_eq!((code, log.contains("output: /none/x.svg: No such file")), (2, true), "{log}");
    }
}
