//! Policies compared on a trace: `cargo run --release --features sim --example simulate -- --help`.

#[path = "simulate/options.rs"]
mod options;

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use fc::core::{Clock, ErrorKind, SystemClock};
use fc::sched::sim::report::{json_line, plot_svg, table};
use fc::sched::sim::{Outcome, PolicyName, Reading, SimConfig, Trace, simulate};
use fc::{Error, Result};

use options::Options;

type Simulate = fn(&Trace, &SimConfig, PolicyName) -> Result<Outcome>;

fn main() -> ExitCode {
    let (mut out, mut log) = (std::io::stdout().lock(), std::io::stderr().lock());
    match run(std::env::args_os(), simulate, &SystemClock::new(), &mut out, &mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => error.exit(),
        Err(Failure::Failed(error)) => {
            // If nobody reads that either, there is still the exit code.
            let _ = writeln!(log, "simulate: {error}");
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
        std::fs::write(path, plot_svg(&outcomes)?).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
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
        Err(error) => Err(unwritable(path, &error)),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::invalid("output", format_args!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "simulate/tests.rs"]
mod tests;
