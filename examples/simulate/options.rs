//! The command line, and what it says of the platform and of the trace.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind as Usage;
use clap::{Args, CommandFactory, Parser};
use fc::sched::sim::{
    ColdStart, GeneratorConfig, Pattern, PolicyName, ReadOptions, Reading, SimConfig, TraceFormat,
};
use fc::{Error, Result};

use super::Failure;

/// Runs the scheduler over a trace under virtual time, once for each policy, and compares them.
///
/// The trace is read (--trace and --format) or made up (--generate). The same trace, options and
/// seed give the same numbers. Bad input ends with exit code 2.
#[derive(Parser, Debug)]
#[command(name = "simulate", version, allow_negative_numbers = true, after_help = EXAMPLES)]
pub(crate) struct Options {
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
    pub(crate) json: bool,
    /// Draw instances, cold starts and waste over time.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Print how fast the simulation ran (with --json on standard error).
    #[arg(long)]
    pub(crate) speed_report: bool,
    /// Write the trace as csv. Without --policy nothing else is done.
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) write_trace: Option<PathBuf>,
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
    #[arg(long, value_name = "N", conflicts_with = "trace")]
    functions: Option<u32>,
    /// Invocations a second to make up, all functions together [default: 10]
    #[arg(long, value_name = "R", conflicts_with = "trace")]
    rate: Option<f64>,
    /// Seconds to make up [default: 3600]
    #[arg(long, value_name = "S", conflicts_with = "trace", value_parser = seconds)]
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

impl Options {
    pub(crate) fn config(&self) -> Result<SimConfig, Failure> {
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

    pub(crate) fn trace(&self) -> Result<Reading> {
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

    pub(crate) fn policies(&self) -> Vec<PolicyName> {
        match (self.policy.is_empty(), &self.write_trace) {
            (false, _) => self.policy.clone(),
            (true, Some(_)) => Vec::new(),
            (true, None) => PolicyName::ALL.to_vec(),
        }
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
