//! How one function's instances are spread over the zones.

/// Zones of a cluster, at most: a choice looks at each of them.
pub(super) const ZONES_MAX: usize = 16;

/// How many instances of one function stand in each zone of a cluster (NOD-4).
///
/// The caller keeps one for each function; without instances it is a null pointer.
/// [`Cluster::place`](super::Cluster::place) and [`Cluster::release`](super::Cluster::release)
/// write it, [`Cluster::zones_of`](super::Cluster::zones_of) reads it. It means nothing to another
/// cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spread(Option<Box<Counts>>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Counts {
    total: u32,
    by_zone: [u32; ZONES_MAX],
}

impl Spread {
    /// Of a function without instances.
    pub const EMPTY: Self = Self(None);

    /// Instances in all zones.
    pub fn total(&self) -> u32 {
        self.0.as_ref().map_or(0, |counts| counts.total)
    }

    pub(super) fn in_zone(&self, zone: usize) -> u32 {
        self.0.as_ref().map_or(0, |counts| counts.by_zone[zone])
    }

    pub(super) fn add(&mut self, zone: usize) {
        let none = || Box::new(Counts { total: 0, by_zone: [0; ZONES_MAX] });
        let counts = self.0.get_or_insert_with(none);
        counts.total += 1;
        counts.by_zone[zone] += 1;
    }

    /// One less; false if there is none.
    pub(super) fn remove(&mut self, zone: usize) -> bool {
        let Some(counts) = self.0.as_mut().filter(|counts| counts.by_zone[zone] > 0) else {
            return false;
        };
        counts.by_zone[zone] -= 1;
        counts.total -= 1;
        if counts.total == 0 {
            self.0 = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_spread_is_one_word_and_allocates_nothing() {
        assert_eq!(size_of::<Spread>(), size_of::<usize>());
        let mut spread = Spread::EMPTY;
        spread.add(3);
        assert_eq!((spread.total(), spread.in_zone(3), spread.in_zone(2)), (1, 1, 0));
        assert!(!spread.remove(2) && spread.remove(3) && !spread.remove(3));
        assert_eq!(spread, Spread::EMPTY);
    }
}
