//! A function's durations: seven percentiles, and draws from them.

use std::io::Read;

use fc_core::Result;

use crate::sim::Random;
use crate::sim::trace::Arrival;
use crate::sim::trace::rows::{Row, Rows};

/// The columns, and the share of invocations that are shorter.
const POINTS: [(&str, f64); 7] = [
    ("percentile_Average_0", 0.0),
    ("percentile_Average_1", 0.01),
    ("percentile_Average_25", 0.25),
    ("percentile_Average_50", 0.50),
    ("percentile_Average_75", 0.75),
    ("percentile_Average_99", 0.99),
    ("percentile_Average_100", 1.0),
];

/// Durations in microseconds at each of [`POINTS`], never falling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Percentiles([u64; POINTS.len()]);

impl Percentiles {
    pub(super) fn columns<R: Read>(rows: &Rows<R>) -> Result<[usize; POINTS.len()]> {
        let mut columns = [0; POINTS.len()];
        for (column, (name, _)) in columns.iter_mut().zip(POINTS) {
            *column = rows.column(name)?;
        }
        Ok(columns)
    }

    pub(super) fn read(row: Row<'_>, columns: [usize; POINTS.len()]) -> Result<Self> {
        let most = Arrival::DURATION_MAX.as_micros() as u64;
        let mut values = [0; POINTS.len()];
        let mut before = 0;
        for (value, column) in values.iter_mut().zip(columns) {
            *value = row.at_most(column, 3, most, "259200000 ms")?;
            if *value < before {
                return Err(row.refuse(column, "is less than the percentile before it"));
            }
            before = *value;
        }
        Ok(Self(values))
    }

    /// The inverse of the distribution at a uniform number.
    pub(super) fn draw_us(&self, random: &mut Random) -> u64 {
        self.at(random.uniform())
    }

    fn at(&self, share: f64) -> u64 {
        // The last point is 1, and shares are below it.
        let above = POINTS.iter().position(|&(_, point)| point > share).unwrap_or(6).max(1);
        let ((_, low), (_, high)) = (POINTS[above - 1], POINTS[above]);
        let (from, to) = (self.0[above - 1], self.0[above]);
        let part = ((share - low) / (high - low)).clamp(0.0, 1.0);
        from + ((to - from) as f64 * part).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_passes_through_the_percentiles_and_is_linear_between() {
        let percentiles = Percentiles([10, 20, 40, 80, 160, 320, 1_000]);
        let expected = [
            (0.0, 10),
            (0.005, 15),
            (0.01, 20),
            (0.25, 40),
            (0.375, 60),
            (0.5, 80),
            (0.75, 160),
            (0.99, 320),
            (0.995, 660),
            (1.0, 1_000),
        ];
        for (share, value) in expected {
            assert_eq!(percentiles.at(share), value, "{share}");
        }
        assert_eq!(Percentiles([7; 7]).at(0.3), 7);
    }

    #[test]
    fn draws_have_the_percentiles() {
        let percentiles = Percentiles([0, 100, 200, 400, 800, 1_600, 10_000]);
        let mut random = Random::from_seed(11);
        let mut draws: Vec<u64> = (0..40_000).map(|_| percentiles.draw_us(&mut random)).collect();
        draws.sort_unstable();
        assert!(draws[20_000].abs_diff(400) < 12, "{}", draws[20_000]);
        assert!(draws[30_000].abs_diff(800) < 24, "{}", draws[30_000]);
    }
}
