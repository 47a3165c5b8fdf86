//! A trace as plain rows, for other programs and to be read again.

use std::io::Write;

use fc_core::{Error, Result};

use super::Trace;

impl Trace {
    /// Writes `timestamp,function,duration_ms,memory_mb,account`: what
    /// [`TraceFormat::Csv`](super::TraceFormat::Csv) reads, seconds from the trace's start to the
    /// nanosecond, milliseconds to the microsecond.
    ///
    /// Read again, the trace is the same but for functions without invocations, which have no row,
    /// for numbers of functions and accounts, which are given anew in the order of the rows, and
    /// for time 0, which becomes the first invocation.
    ///
    /// # Errors
    ///
    /// A function whose instances run several invocations at once, which the format cannot say, or
    /// whatever `output` fails with.
    pub fn write_csv(&self, output: impl Write) -> Result<()> {
        if let Some(function) = self.functions().iter().find(|function| function.concurrency != 1) {
            let what = format!("{}: the format has no column for it", function.concurrency);
            return Err(Error::invalid("concurrency", what));
        }
        let failed = |error: csv::Error| Error::invalid("trace", error);
        let mut writer = csv::Writer::from_writer(output);
        let header = ["timestamp", "function", "duration_ms", "memory_mb", "account"];
        writer.write_record(header).map_err(failed)?;
        let sizes: Vec<(String, String)> = self
            .functions()
            .iter()
            .map(|function| (function.memory_mb.to_string(), function.account.to_string()))
            .collect();
        for arrival in self.arrivals() {
            let number = arrival.function() as usize;
            let (Some(function), Some((memory, account))) =
                (self.functions().get(number), sizes.get(number))
            else {
                continue; // Not in a trace that `Trace::new` has checked.
            };
            let at = arrival.at.as_nanos();
            let timestamp = format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000);
            let us = arrival.duration().as_micros();
            let duration = format!("{}.{:03}", us / 1000, us % 1000);
            let row = [&timestamp, &function.name, &duration, memory, account];
            writer.write_record(row).map_err(failed)?;
        }
        writer.flush().map_err(|error| Error::invalid("trace", error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, TraceFormat};
    use super::*;
    use crate::sim::GeneratorConfig;

    #[test]
    fn what_is_written_is_read_again() {
        let config = GeneratorConfig { functions: 20, rate: 5.0, ..GeneratorConfig::default() };
        let trace = config.generate(3).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |trace: &Trace, name: &str| {
            let path = folder.path().join(name);
            trace.write_csv(std::fs::File::create(&path).unwrap()).unwrap();
            path
        };
        let read = |path: &std::path::Path| {
            TraceFormat::Csv.read(path, &ReadOptions::default()).unwrap().trace
        };
        let once = read(&write(&trace, "once.csv"));
        assert_eq!(once.arrivals().len(), trace.arrivals().len());
        let start = trace.arrivals()[0].at;
        for (read, written) in once.arrivals().iter().zip(trace.arrivals()) {
            assert_eq!(read.at.since_origin(), written.at - start);
            assert_eq!(read.duration(), written.duration());
            let function = &once.functions()[read.function() as usize];
            let original = &trace.functions()[written.function() as usize];
            assert_eq!((&function.name, function.memory_mb), (&original.name, original.memory_mb));
        }
        // From then on the numbers stay as well.
        assert_eq!(read(&write(&once, "twice.csv")), once);
    }

    #[test]
    fn what_the_format_cannot_say_is_refused() {
        let function = crate::sim::TraceFunction {
            name: "f".into(),
            account: 0,
            memory_mb: 128,
            concurrency: 10,
        };
        let trace = Trace::new(vec![function], Vec::new()).unwrap();
        let refused = trace.write_csv(Vec::new()).unwrap_err();
        assert_eq!(refused.message(), "concurrency: 10: the format has no column for it");
    }
}
