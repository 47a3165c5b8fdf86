//! Huawei Public and Private 2023: counts a minute, mean delays, memory.
//! [`TraceFormat::read`](super::TraceFormat::read) describes it.

mod files;
mod table;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use fc_core::{Error, Result};

use crate::sim::{Random, memory_class_mb};

use self::files::{Day, Files};
use self::table::{Delays, Means, TIME_S_MAX, function_columns, value};
use super::arrivals::ArrivalList;
use super::functions::FunctionTable;
use super::rows::{Row, Rows};
use super::{ASSUMED_DURATION, ASSUMED_MEMORY_MB, ReadOptions, Reading, Trace, TraceFunction};

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Reading> {
    let mut data = Huawei2023::new(options);
    for Day { requests, delays, memory, instances } in Files::at(path)?.days {
        if let Some(path) = memory {
            data.memory.read(Rows::open(&path)?)?;
        }
        if let Some(path) = instances {
            data.instances.read(Rows::open(&path)?)?;
        }
        let delays = match delays {
            Some(path) => Delays::read(Rows::open(&path)?)?,
            None => Delays::default(),
        };
        data.read_requests(Rows::open(&requests)?, &delays)?;
    }
    data.into_reading()
}

#[derive(Debug)]
struct Huawei2023 {
    table: FunctionTable,
    arrivals: ArrivalList,
    random: Random,
    memory: Means,
    instances: Means,
    /// Where the first bin begins and the last one ends, seconds.
    span_s: Option<(u64, u64)>,
    /// Invocations that no delay is known of.
    without_delay: u64,
}

/// A row of requests: when its bin begins, and how often which function is invoked.
struct Bin {
    start_s: u64,
    counts: Vec<(u32, u32)>,
}

impl Huawei2023 {
    fn new(options: &ReadOptions) -> Self {
        Self {
            table: FunctionTable::default(),
            arrivals: ArrivalList::new(options.invocations_max),
            random: Random::from_seed(options.seed),
            memory: Means::default(),
            instances: Means::default(),
            span_s: None,
            without_delay: 0,
        }
    }

    fn read_requests<R: Read>(&mut self, mut rows: Rows<R>, delays: &Delays) -> Result<()> {
        let time = rows.column("time")?;
        let mut columns = Vec::new();
        for (column, name) in function_columns(&rows)? {
            columns.push((column, self.function(name)?));
        }
        // How long a bin is shows with the second row: each one waits for its successor.
        let (mut waiting, mut step_s): (Option<Bin>, Option<u64>) = (None, None);
        while let Some(row) = rows.next()? {
            let bin = self.bin(row, time, &columns)?;
            if let Some(before) = &waiting {
                let since = bin.start_s.saturating_sub(before.start_s);
                let step = *step_s.get_or_insert(since);
                if !matches!(step, 1 | 60) || since == 0 || !since.is_multiple_of(step) {
                    let what = "does not follow the row before it by whole bins of 1 or 60 s";
                    return Err(row.refuse(time, what));
                }
                self.spread(before, step, delays)?;
            }
            waiting = Some(bin);
        }
        match &waiting {
            Some(last) => self.spread(last, step_s.unwrap_or(60), delays),
            None => Ok(()),
        }
    }

    fn bin(&self, row: Row<'_>, time: usize, columns: &[(usize, u32)]) -> Result<Bin> {
        let start_s = row.at_most(time, 0, TIME_S_MAX, "1000000000 seconds")?;
        if self.span_s.is_some_and(|(_, end_s)| start_s < end_s) {
            return Err(row.refuse(time, "comes before the end of the bin before it"));
        }
        let mut counts = Vec::new();
        for &(column, function) in columns {
            let Some(count) = value(row, column)? else {
                continue;
            };
            if count.fract() != 0.0 || count > f64::from(u32::MAX) {
                return Err(row.refuse(column, "is no whole number up to 4294967295"));
            }
            if count > 0.0 {
                counts.push((function, count as u32));
            }
        }
        Ok(Bin { start_s, counts })
    }

    fn function(&mut self, name: &str) -> Result<u32> {
        if let Some(known) = self.table.find(name) {
            return Ok(known);
        }
        let account = self.table.account(name);
        let (name, memory_mb) = (name.to_string(), ASSUMED_MEMORY_MB);
        self.table.add(name.clone(), TraceFunction { name, account, memory_mb, concurrency: 1 })
    }

    fn spread(&mut self, bin: &Bin, step_s: u64, delays: &Delays) -> Result<()> {
        let first_s = self.span_s.map_or(bin.start_s, |(first_s, _)| first_s);
        self.span_s = Some((first_s, bin.start_s + step_s));
        let (table, without_delay) = (&self.table, &mut self.without_delay);
        let row = delays.row(bin.start_s);
        let assumed_us = ASSUMED_DURATION.as_micros() as u64;
        let mut last = None;
        let duration = |function: u32, _: &mut Random| {
            // The invocations of one function come one after the other.
            let known = match last {
                Some((of, known)) if of == function => known,
                _ => row.and_then(|row| row.delay_us(table.name(function))),
            };
            last = Some((function, known));
            *without_delay += u64::from(known.is_none());
            known.unwrap_or(assumed_us)
        };
        let start_ns = bin.start_s as i64 * 1_000_000_000;
        let width = Duration::from_secs(step_s);
        self.arrivals.spread(start_ns, width, &bin.counts, &mut self.random, duration)
    }

    fn into_reading(self) -> Result<Reading> {
        let Self { mut table, arrivals, memory, instances, span_s, without_delay, .. } = self;
        let (mut without_memory, mut without_instances) = (0, 0);
        for function in table.iter_mut() {
            let Some(memory_mb) = memory.mean(&function.name) else {
                without_memory += 1;
                continue;
            };
            let share = match instances.mean(&function.name) {
                Some(instances) => memory_mb / instances,
                None => {
                    without_instances += 1;
                    memory_mb
                }
            };
            function.memory_mb = memory_class_mb(share.ceil() as u64).map_err(|error| {
                let name = &function.name;
                Error::invalid(
                    "memory_limit",
                    format_args!("function {name}, an instance's {error}"),
                )
            })?;
        }
        let (all, mut assumed) = (table.len(), Vec::new());
        let start_ns = span_s.map(|(start_s, _)| start_s as i64 * 1_000_000_000);
        let arrivals = arrivals.into_arrivals(start_ns);
        if without_delay > 0 {
            let ms = ASSUMED_DURATION.as_millis();
            let all = arrivals.len();
            assumed.push(format!(
                "{without_delay} of {all} invocations have no delay: {ms} ms assumed"
            ));
        }
        if without_memory > 0 {
            assumed.push(format!(
                "{without_memory} of {all} functions have no memory: {ASSUMED_MEMORY_MB} MB assumed"
            ));
        }
        if without_instances > 0 {
            assumed.push(format!(
                "{without_instances} of {all} functions have no number of instances: \
                 their memory is taken as one instance's"
            ));
        }
        let trace = Trace::new(table.into_functions(), arrivals)?;
        Ok(Reading { trace, assumed })
    }
}

#[cfg(test)]
mod tests;
