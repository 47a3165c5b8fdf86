//! Few functions have most invocations.

use crate::sim::Random;

/// Which function is invoked.
pub(super) struct Popularity {
    /// The share of the functions up to and with each.
    cumulated: Vec<f64>,
}

impl Popularity {
    pub(super) fn zipf(functions: u32, exponent: f64) -> Self {
        let weights = (1..=functions).map(|place| f64::from(place).powf(-exponent));
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        cumulated.iter_mut().for_each(|share| *share /= sum);
        Self { cumulated }
    }

    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        let share = random.uniform();
        let place = self.cumulated.partition_point(|&up_to| up_to <= share);
        place.min(self.cumulated.len().saturating_sub(1)) as u32
    }
}
