//! Azure Functions Trace 2019: counts a minute, percentiles of durations and memory.
//! [`TraceFormat::read`](super::TraceFormat::read) describes it.

mod files;
mod percentiles;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use fc_core::{Error, Result};

use crate::sim::{Random, memory_class_mb};

use self::files::Files;
use self::percentiles::Percentiles;
use super::arrivals::ArrivalList;
use super::functions::{FunctionTable, NAME_BYTES_MAX};
use super::rows::{Row, Rows};
use super::{ASSUMED_DURATION, ASSUMED_MEMORY_MB, ReadOptions, Reading, Trace, TraceFunction};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_A_DAY: usize = 1440;

/// Pairs of a function and a minute in which it was invoked: 8 bytes each.
const CELLS_MAX: u64 = 100_000_000;

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Reading> {
    let files = Files::at(path)?;
    let mut data = Azure2019::default();
    for (day, path) in &files.invocations {
        data.read_invocations(Rows::open(path)?, *day)?;
    }
    for path in &files.durations {
        data.read_durations(Rows::open(path)?)?;
    }
    for path in &files.memory {
        data.read_memory(Rows::open(path)?)?;
    }
    data.into_reading(options)
}

#[derive(Debug, Default)]
struct Azure2019 {
    table: FunctionTable,
    /// Of each minute: which functions, and how often.
    minutes: Vec<Vec<(u32, u32)>>,
    cells: u64,
    invocations: u64,
    /// By function.
    durations: Vec<Option<Percentiles>>,
    /// By function, its app.
    app_of: Vec<u32>,
    apps: HashMap<String, u32>,
    /// By app.
    memory_mb: Vec<Option<u32>>,
}

impl Azure2019 {
    /// `day` counts from the first day of the trace.
    fn read_invocations<R: Read>(&mut self, mut rows: Rows<R>, day: usize) -> Result<()> {
        let id = Id::of(&rows)?;
        let minutes = minute_columns(&rows)?;
        let first = day * MINUTES_A_DAY;
        let end = first + minutes.iter().map(|(_, minute)| minute + 1).max().unwrap_or(0);
        if self.minutes.len() < end {
            self.minutes.resize_with(end, Vec::new);
        }
        while let Some(row) = rows.next()? {
            let function = self.function(row, id)?;
            for &(column, minute) in &minutes {
                let count = row.at_most(column, 0, u32::MAX.into(), "4294967295 invocations")?;
                if count == 0 {
                    continue;
                }
                self.cells += 1;
                if self.cells > CELLS_MAX {
                    let unit = "minutes with invocations";
                    return Err(Error::over_limit("trace", unit, CELLS_MAX, self.cells));
                }
                self.invocations = self.invocations.saturating_add(count);
                self.minutes[first + minute].push((function, count as u32));
            }
        }
        Ok(())
    }

    fn function(&mut self, row: Row<'_>, id: Id) -> Result<u32> {
        let (app, key) = id.keys(row)?;
        if let Some(known) = self.table.find(&key) {
            return Ok(known);
        }
        let account = self.table.account(row.text(id.owner));
        let next = self.memory_mb.len() as u32;
        let app = *self.apps.entry(app).or_insert(next);
        if app == next {
            self.memory_mb.push(None);
        }
        let name = key.clone();
        let memory_mb = ASSUMED_MEMORY_MB;
        let number =
            self.table.add(key, TraceFunction { name, account, memory_mb, concurrency: 1 })?;
        self.app_of.push(app);
        self.durations.push(None);
        Ok(number)
    }

    /// Of functions that have invocations.
    fn read_durations<R: Read>(&mut self, mut rows: Rows<R>) -> Result<()> {
        let id = Id::of(&rows)?;
        let columns = Percentiles::columns(&rows)?;
        while let Some(row) = rows.next()? {
            let (_, key) = id.keys(row)?;
            let percentiles = Percentiles::read(row, columns)?;
            if let Some(function) = self.table.find(&key) {
                self.durations[function as usize].get_or_insert(percentiles);
            }
        }
        Ok(())
    }

    fn read_memory<R: Read>(&mut self, mut rows: Rows<R>) -> Result<()> {
        let (owner, app) = (rows.column("HashOwner")?, rows.column("HashApp")?);
        let most = rows.column("AverageAllocatedMb_pct100")?;
        while let Some(row) = rows.next()? {
            let key = app_key(row, owner, app)?;
            let memory = row.at_most(most, 3, u64::MAX, "any")?.div_ceil(1000);
            let class = memory_class_mb(memory).map_err(|error| row.refuse(most, error))?;
            if let Some(&app) = self.apps.get(&key) {
                self.memory_mb[app as usize].get_or_insert(class);
            }
        }
        Ok(())
    }

    fn into_reading(self, options: &ReadOptions) -> Result<Reading> {
        let Self { mut table, minutes, durations, app_of, memory_mb, .. } = self;
        let mut without_memory = 0;
        for (function, &app) in table.iter_mut().zip(&app_of) {
            match memory_mb[app as usize] {
                Some(class) => function.memory_mb = class,
                None => without_memory += 1,
            }
        }
        let mut arrivals = ArrivalList::new(options.invocations_max);
        arrivals.reserve(self.invocations)?;
        let mut random = Random::from_seed(options.seed);
        let assumed_us = ASSUMED_DURATION.as_micros() as u64;
        let mut start_ns = 0;
        for counts in minutes {
            let duration = |function: u32, random: &mut Random| match &durations[function as usize]
            {
                Some(percentiles) => percentiles.draw_us(random),
                None => assumed_us,
            };
            arrivals.spread(start_ns, MINUTE, &counts, &mut random, duration)?;
            start_ns += MINUTE.as_nanos() as i64;
        }
        let all = table.len();
        let mut assumed = Vec::new();
        let without_durations = durations.iter().filter(|known| known.is_none()).count();
        if without_durations > 0 {
            assumed.push(format!(
                "{without_durations} of {all} functions have no durations: {} ms assumed",
                ASSUMED_DURATION.as_millis()
            ));
        }
        if without_memory > 0 {
            assumed.push(format!(
                "{without_memory} of {all} functions have no memory: {ASSUMED_MEMORY_MB} MB assumed"
            ));
        }
        let trace = Trace::new(table.into_functions(), arrivals.into_arrivals(Some(0)))?;
        Ok(Reading { trace, assumed })
    }
}

/// The columns that name a function.
#[derive(Clone, Copy)]
struct Id {
    owner: usize,
    app: usize,
    function: usize,
}

impl Id {
    fn of<R: Read>(rows: &Rows<R>) -> Result<Self> {
        Ok(Self {
            owner: rows.column("HashOwner")?,
            app: rows.column("HashApp")?,
            function: rows.column("HashFunction")?,
        })
    }

    /// The names of the app and of the function, unique in the data set.
    fn keys(self, row: Row<'_>) -> Result<(String, String)> {
        let app = app_key(row, self.owner, self.app)?;
        let function = format!("{app}/{}", row.name(self.function, NAME_BYTES_MAX)?);
        Ok((app, function))
    }
}

fn app_key(row: Row<'_>, owner: usize, app: usize) -> Result<String> {
    let (owner, app) = (row.name(owner, NAME_BYTES_MAX)?, row.name(app, NAME_BYTES_MAX)?);
    Ok(format!("{owner}/{app}"))
}

/// The columns `1` to `1440`, as far as they are there, each with its minute from 0.
fn minute_columns<R: Read>(rows: &Rows<R>) -> Result<Vec<(usize, usize)>> {
    let mut seen = [false; MINUTES_A_DAY];
    let mut columns = Vec::new();
    for (column, name) in rows.header().iter().enumerate() {
        let Some(minute) = name.parse::<usize>().ok().and_then(|n| n.checked_sub(1)) else {
            continue;
        };
        match seen.get_mut(minute) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                let what = format!("{} has a column {name:?}: 1 to 1440, each once", rows.file());
                return Err(Error::invalid("trace", what));
            }
        }
        columns.push((column, minute));
    }
    if columns.is_empty() {
        let what = format!("{} has no column of a minute, 1 to 1440", rows.file());
        return Err(Error::invalid("trace", what));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests;
