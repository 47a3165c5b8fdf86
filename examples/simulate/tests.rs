use clap::CommandFactory;
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
    let clock = SimClock::new(fc::core::Timestamp::default());
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
    let made = ["--generate", "bursts", "--functions", "7", "--rate", "20", "--duration-s", "90"];
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
    check(&["--generate", "poisson", "--cold-start-ms", "200000"], "cold_start: 200000 ms is over");
    check(&["--trace", "x", "--format", "csv", "--rate", "1"], "cannot be used with");
    let plot = ["--generate", "poisson", "--policy", "fixed", "--plot", "/none/x.svg"];
    let (_, log, code) = output(&plot);
    assert_eq!((code, log.contains("output: /none/x.svg: No such file")), (2, true), "{log}");
}
