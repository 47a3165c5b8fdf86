//! Plain rows: `timestamp,function,duration_ms,memory_mb`.
//! [`TraceFormat::read`](super::TraceFormat::read) describes it.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use fc_core::Result;

use crate::sim::memory_class_mb;

use super::arrivals::ArrivalList;
use super::functions::{FunctionTable, NAME_BYTES_MAX};
use super::rows::{Row, Rows};
use super::{Arrival, ReadOptions, Reading, Trace, TraceFunction};

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Reading> {
    parse(Rows::open(path)?, options)
}

fn parse<R: Read>(mut rows: Rows<R>, options: &ReadOptions) -> Result<Reading> {
    let (timestamp, name) = (rows.column("timestamp")?, rows.column("function")?);
    let (duration, memory) = (rows.column("duration_ms")?, rows.column("memory_mb")?);
    let account = rows.optional_column("account")?;
    let longest_us = Arrival::DURATION_MAX.as_micros() as u64;
    let (mut table, mut key) = (FunctionTable::default(), String::new());
    let mut arrivals = ArrivalList::new(options.invocations_max);
    while let Some(row) = rows.next()? {
        let at_ns = row.number(timestamp, 9)?;
        let duration_us = row.at_most(duration, 3, longest_us, "259200000 ms")?;
        let memory_mb = row.at_most(memory, 3, u64::MAX, "any")?.div_ceil(1000);
        let class = memory_class_mb(memory_mb).map_err(|error| row.refuse(memory, error))?;
        let function = function(&mut table, &mut key, row, name, account, class)?;
        arrivals.push(at_ns, function, duration_us)?;
    }
    let trace = Trace::new(table.into_functions(), arrivals.into_arrivals(None))?;
    Ok(Reading { trace, assumed: Vec::new() })
}

/// The row's function, with at least `class` MB. `key` is room for its key.
fn function(
    table: &mut FunctionTable,
    key: &mut String,
    row: Row<'_>,
    name: usize,
    account: Option<usize>,
    class: u32,
) -> Result<u32> {
    let name = row.name(name, NAME_BYTES_MAX)?;
    key.clear();
    let owner = match account {
        Some(column) => {
            let owner = row.name(column, NAME_BYTES_MAX)?;
            // The owner's length stands at the end: no two pairs have one key.
            key.push_str(owner);
            key.push('/');
            owner
        }
        None => name,
    };
    key.push_str(name);
    if account.is_some() {
        let _ = write!(key, "/{}", owner.len());
    }
    if let Some(number) = table.find(key) {
        if let Some(known) = table.get_mut(number) {
            known.memory_mb = known.memory_mb.max(class);
        }
        return Ok(number);
    }
    let account = table.account(owner);
    let (name, memory_mb) = (name.into(), class);
    table.add(key.clone(), TraceFunction { name, account, memory_mb, concurrency: 1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROWS: &str = "timestamp,function,duration_ms,memory_mb\n\
                        1700000001.5,hello,12.5,100\n\
                        1700000000,hello,7,200\n\
                        1700000000.000000001,\"a, b\",0,1024.5\n";

    fn parse_bytes(bytes: &[u8]) -> Result<Reading> {
        parse(Rows::new(bytes, "plain.csv".into())?, &ReadOptions { seed: 1, invocations_max: 9 })
    }

    #[test]
    fn rows_become_invocations_in_the_order_of_time() {
        let Reading { trace, assumed } = parse_bytes(ROWS.as_bytes()).unwrap();
        assert!(assumed.is_empty());
        let function = |name: &str, account, memory_mb| TraceFunction {
            name: name.into(),
            account,
            memory_mb,
            concurrency: 1,
        };
        // The largest memory of a function's rows; each function is an account of its own.
        assert_eq!(trace.functions(), [function("hello", 0, 256), function("a, b", 1, 1088)]);
        let arrivals: Vec<(u64, u32, u64)> = trace
            .arrivals()
            .iter()
            .map(|a| (a.at.as_nanos(), a.function(), a.duration_ns()))
            .collect();
        assert_eq!(arrivals, [(0, 0, 7_000_000), (1, 1, 0), (1_500_000_000, 0, 12_500_000)]);
    }

    #[test]
    fn accounts_and_the_order_of_columns_are_free() {
        let rows = "memory_mb,account,duration_ms,function,note,timestamp\n\
                    128,one,1,f,x,-3\n\
                    128,two,1,f,y,-2.5\n\
                    128,one,1,g,z,+4\n";
        let trace = parse_bytes(rows.as_bytes()).unwrap().trace;
        assert_eq!(trace.functions().iter().map(|f| f.account).collect::<Vec<_>>(), [0, 1, 0]);
        let at: Vec<u64> = trace.arrivals().iter().map(|a| a.at.as_nanos()).collect();
        assert_eq!(at, [0, 500_000_000, 7_000_000_000]);
        let alike = "timestamp,function,duration_ms,memory_mb,account\n\
                     0,b/c,1,128,a\n\
                     0,c,1,128,a/b\n";
        assert_eq!(parse_bytes(alike.as_bytes()).unwrap().trace.functions().len(), 2);
        let empty = "timestamp,function,duration_ms,memory_mb\n";
        assert_eq!(parse_bytes(empty.as_bytes()).unwrap().trace, Trace::default());
    }

    #[test]
    fn what_is_broken_is_named() {
        let check = |from: &str, to: &str, expected: &str| {
            let refused = parse_bytes(ROWS.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(refused.message().contains(expected), "{refused}");
        };
        check("1700000000,", "soon,", "timestamp: \"soon\" is no number (plain.csv, line 3)");
        // Milliseconds by mistake.
        check("1700000000,", "1700000000000,", "\"1700000000000\" is too large a number");
        check("12.5", "fast", "duration_ms: \"fast\" is no number (plain.csv, line 2)");
        check("12.5", "-1", "duration_ms: \"-1\" is negative");
        check("12.5", "259200001", "\"259200001\" is over the limit of 259200000 ms");
        check(
            ",100\n",
            ",33000\n",
            "memory_mb: 33000 MB is over the limit of 32768 (plain.csv, li",
        );
        check(",100\n", ",\n", "memory_mb: \"\" is no number (plain.csv, line 2)");
        check("1.5,hello", "1.5,", "function: \"\" is no name (plain.csv, line 2)");
        check("function,", "name,", "plain.csv has no column \"function\"");
        check("timestamp,function,duration_ms,memory_mb\n", "", "no column \"timestamp\"");
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
