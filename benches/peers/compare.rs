//! Contenders taking turns, and what their turns say.

use super::load::{Load, Turn};
use super::options::Options;

/// A server under load.
#[derive(Debug)]
pub(crate) struct Side {
    /// How to load it.
    pub(crate) load: Load,
    /// The process whose CPU time counts.
    pub(crate) pid: u32,
}

/// One figure of one contender, in the order of its turns.
#[derive(Clone, Debug)]
pub(crate) struct Series(Vec<f64>);

/// A figure over its peer's, turn by turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    /// The median of the turns' ratios.
    pub(crate) median: f64,
    /// The lowest.
    pub(crate) lowest: f64,
    /// The highest.
    pub(crate) highest: f64,
}

/// Requests per second and CPU time of one contender.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Vec<Turn>);

/// Loads each of `sides` in turn, until each had all of its turns.
pub(crate) fn alternate(options: &Options, sides: &[&Side]) -> Vec<Turns> {
    let mut turns = vec![Vec::with_capacity(options.rounds()); sides.len()];
    for _ in 0..options.rounds() {
        for (side, turns) in sides.iter().zip(&mut turns) {
            turns.push(side.load.turn(side.pid, options.warm_up(), options.turn()));
        }
    }
    turns.into_iter().map(Turns).collect()
}

impl Turns {
    /// CPU time a request, microseconds.
    pub(crate) fn cpu_us(&self) -> Series {
        self.0.iter().map(|turn| turn.cpu_us).collect()
    }

    /// Requests per second.
    pub(crate) fn requests_per_second(&self) -> Series {
        self.0.iter().map(|turn| turn.requests_per_second).collect()
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

impl Series {
    /// The median of the turns.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The same turns in another unit.
    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        self.0.iter().copied().map(change).collect()
    }

    /// (highest - lowest) / median.
    pub(crate) fn spread(&self) -> f64 {
        (self.highest() - self.lowest()) / self.median()
    }

    /// This less `peer`, turn by turn.
    pub(crate) fn minus(&self, peer: &Self) -> Self {
        self.0.iter().zip(&peer.0).map(|(this, peer)| this - peer).collect()
    }

    /// This over `peer`, turn by turn.
    pub(crate) fn over(&self, peer: &Self) -> Ratio {
        let ratios: Self = self.0.iter().zip(&peer.0).map(|(this, peer)| this / peer).collect();
        Ratio { median: ratios.median(), lowest: ratios.lowest(), highest: ratios.highest() }
    }

    fn lowest(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn highest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}
