//! Azure Functions Invocation Trace 2021: a row for each invocation.
//! [`TraceFormat::read`](super::TraceFormat::read) describes it.

use std::io::Read;
use std::path::Path;

use fc_core::Result;

use super::arrivals::ArrivalList;
use super::functions::{FunctionTable, NAME_BYTES_MAX};
use super::rows::Rows;
use super::{ASSUMED_MEMORY_MB, Arrival, ReadOptions, Reading, Trace, TraceFunction};

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Reading> {
    parse(Rows::open(path)?, options)
}

fn parse<R: Read>(mut rows: Rows<R>, options: &ReadOptions) -> Result<Reading> {
    let (app, func) = (rows.column("app")?, rows.column("func")?);
    let (end, duration) = (rows.column("end_timestamp")?, rows.column("duration")?);
    let longest_ns = Arrival::DURATION_MAX.as_nanos() as u64;
    let mut table = FunctionTable::default();
    let mut arrivals = ArrivalList::new(options.invocations_max);
    while let Some(row) = rows.next()? {
        let app = row.name(app, NAME_BYTES_MAX)?;
        let key = format!("{app}/{}", row.name(func, NAME_BYTES_MAX)?);
        let function = match table.find(&key) {
            Some(known) => known,
            None => {
                let account = table.account(app);
                let (name, memory_mb) = (key.clone(), ASSUMED_MEMORY_MB);
                table.add(key, TraceFunction { name, account, memory_mb, concurrency: 1 })?
            }
        };
        let duration_ns = row.at_most(duration, 9, longest_ns, "259200 seconds")?;
        let begun_ns = row.number(end, 9)?.saturating_sub_unsigned(duration_ns);
        // Whole microseconds, to the nearest.
        arrivals.push(begun_ns, function, (duration_ns + 500) / 1000)?;
    }
    let mut assumed = Vec::new();
    if table.len() > 0 {
        let all = table.len();
        assumed.push(format!(
            "the data has no memory: {ASSUMED_MEMORY_MB} MB for all {all} functions"
        ));
    }
    let trace = Trace::new(table.into_functions(), arrivals.into_arrivals(None))?;
    Ok(Reading { trace, assumed })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROWS: &str = "app,func,end_timestamp,duration\n\
                        a,f,10.5,0.5\n\
                        a,g,10.25,4.25\n\
                        b,f,10.0,0\n\
                        a,f,20,0.0000004\n";

    fn parse_bytes(bytes: &[u8]) -> Result<Reading> {
        parse(Rows::new(bytes, "2021.csv".into())?, &ReadOptions { seed: 1, invocations_max: 9 })
    }

    #[test]
    fn an_invocation_comes_at_its_end_less_its_duration() {
        let Reading { trace, assumed } = parse_bytes(ROWS.as_bytes()).unwrap();
        let names: Vec<&str> = trace.functions().iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a/f", "a/g", "b/f"]);
        assert_eq!(trace.functions().iter().map(|f| f.account).collect::<Vec<_>>(), [0, 0, 1]);
        let arrivals: Vec<(u64, u32, u64)> = trace
            .arrivals()
            .iter()
            .map(|a| (a.at.as_nanos(), a.function(), a.duration_ns()))
            .collect();
        // a/g begins first, at 6 s; of the two at 10 s the first in the file.
        let expected = [
            (0, 1, 4_250_000_000),
            (4_000_000_000, 0, 500_000_000),
            (4_000_000_000, 2, 0),
            (13_999_999_600, 0, 0),
        ];
        assert_eq!(arrivals, expected);
        assert_eq!(assumed, ["the data has no memory: 192 MB for all 3 functions"]);
    }

    #[test]
    fn what_is_broken_is_named() {
        let check = |from: &str, to: &str, expected: &str| {
            let refused = parse_bytes(ROWS.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(refused.message().contains(expected), "{refused}");
        };
        check("10.5,0.5", "10.5,-0.5", "duration: \"-0.5\" is negative (2021.csv, line 2)");
        check("10.5,0.5", "10.5,", "duration: \"\" is no number (2021.csv, line 2)");
        check("10.25", "late", "end_timestamp: \"late\" is no number (2021.csv, line 3)");
        check("10.25", "1e10", "end_timestamp: \"1e10\" is too large a number");
        check("4.25", "259200.1", "duration: \"259200.1\" is over the limit of 259200 seconds");
        check("b,f", "b,f,1", "2021.csv, line 4: 5 columns, the header has 4");
        check("app", "application", "2021.csv has no column \"app\"");
        check("b,f", &format!("{},f", "b".repeat(257)), "is longer than 256 bytes");
        let many = format!("{ROWS}{}", "a,f,1,1\n".repeat(6));
        let refused = parse_bytes(many.as_bytes()).unwrap_err();
        assert!(refused.message().contains("10 invocations is over the limit of 9"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = ROWS.as_bytes().to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(Reading { trace, .. }) = parse_bytes(&bytes) {
                prop_assert!(trace.arrivals().len() <= 9);
            }
        }
    }
}
