//! A file of one metric: a row for each time, a column for each function.

use std::collections::HashMap;
use std::io::Read;

use fc_core::{Error, Result};

use crate::sim::trace::Arrival;
use crate::sim::trace::functions::NAME_BYTES_MAX;
use crate::sim::trace::rows::{Row, Rows};

/// Seconds since the data set's start: the longest has 20 million.
pub(super) const TIME_S_MAX: u64 = 1_000_000_000;

/// Delays of a day that are held at once, 4 bytes each: a day of seconds has 17 million.
const CELLS_MAX: usize = 50_000_000;

/// The columns that are functions, with their names.
pub(super) fn function_columns<R: Read>(rows: &Rows<R>) -> Result<Vec<(usize, &str)>> {
    let mut columns = Vec::new();
    for (column, name) in rows.header().iter().enumerate() {
        if matches!(name, "day" | "time") {
            continue;
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let what = format!(
                "{}: the name of column {} is empty or longer than {NAME_BYTES_MAX} bytes",
                rows.file(),
                column + 1
            );
            return Err(Error::invalid("trace", what));
        }
        columns.push((column, name));
    }
    let mut names: Vec<&str> = columns.iter().map(|&(_, name)| name).collect();
    names.sort_unstable();
    match names.array_windows().find(|[one, other]| one == other) {
        Some([twice, _]) => {
            let what = format!("{} has two columns {twice:?}", rows.file());
            Err(Error::invalid("trace", what))
        }
        None if columns.is_empty() => Err(Error::invalid(
            "trace",
            format_args!("{} has no column of a function", rows.file()),
        )),
        None => Ok(columns),
    }
}

/// A number that is not negative, if there is one.
pub(super) fn value(row: Row<'_>, column: usize) -> Result<Option<f64>> {
    match row.text(column) {
        "" | "NaN" | "nan" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
            Ok(value) if value < 0.0 => Err(row.refuse(column, "is negative")),
            _ => Err(row.refuse(column, "is no number")),
        },
    }
}

/// Mean delays of one day.
#[derive(Debug, Default)]
pub(super) struct Delays {
    columns: HashMap<String, usize>,
    /// By the second in which the bin begins; microseconds, or not a number.
    rows: HashMap<u64, Box<[f32]>>,
}

/// Mean delays of one bin.
#[derive(Clone, Copy)]
pub(super) struct DelayRow<'d> {
    columns: &'d HashMap<String, usize>,
    values: &'d [f32],
}

impl Delays {
    pub(super) fn read<R: Read>(mut rows: Rows<R>) -> Result<Self> {
        let time = rows.column("time")?;
        let (mut places, mut delays) = (Vec::new(), Self::default());
        for (place, (column, name)) in function_columns(&rows)?.into_iter().enumerate() {
            places.push(column);
            delays.columns.insert(name.into(), place);
        }
        let longest_ms = Arrival::DURATION_MAX.as_millis() as f64;
        let mut cells = 0;
        while let Some(row) = rows.next()? {
            let second = row.at_most(time, 0, TIME_S_MAX, "1000000000 seconds")?;
            cells += places.len();
            if cells > CELLS_MAX {
                let (most, count) = (CELLS_MAX as u64, cells as u64);
                return Err(Error::over_limit("trace", "delays a day", most, count));
            }
            let mut values = Vec::with_capacity(places.len());
            for &column in &places {
                values.push(match value(row, column)? {
                    Some(ms) if ms > longest_ms => {
                        return Err(row.refuse(column, "is over the limit of 259200000 ms"));
                    }
                    Some(ms) => (ms * 1000.0) as f32,
                    None => f32::NAN,
                });
            }
            delays.rows.insert(second, values.into());
        }
        Ok(delays)
    }

    pub(super) fn row(&self, second: u64) -> Option<DelayRow<'_>> {
        let values = self.rows.get(&second)?;
        Some(DelayRow { columns: &self.columns, values })
    }
}

impl DelayRow<'_> {
    pub(super) fn delay_us(self, function: &str) -> Option<u64> {
        let delay = self.values.get(*self.columns.get(function)?)?;
        delay.is_finite().then(|| delay.round() as u64)
    }
}

/// The means of a metric, over the bins in which it is over 0.
#[derive(Debug, Default)]
pub(super) struct Means(HashMap<String, (f64, u64)>);

impl Means {
    pub(super) fn read<R: Read>(&mut self, mut rows: Rows<R>) -> Result<()> {
        let columns: Vec<(usize, String)> = function_columns(&rows)?
            .into_iter()
            .map(|(column, name)| (column, name.to_string()))
            .collect();
        let mut sums = vec![(0.0, 0); columns.len()];
        while let Some(row) = rows.next()? {
            for ((column, _), (sum, count)) in columns.iter().zip(&mut sums) {
                if let Some(value) = value(row, *column)?
                    && value > 0.0
                {
                    *sum += value;
                    *count += 1;
                }
            }
        }
        for ((_, name), (sum, count)) in columns.into_iter().zip(sums) {
            let (all, times) = self.0.entry(name).or_default();
            *all += sum;
            *times += count;
        }
        Ok(())
    }

    pub(super) fn mean(&self, function: &str) -> Option<f64> {
        let &(sum, count) = self.0.get(function)?;
        (count > 0).then(|| sum / count as f64)
    }
}
