//! Where tasks are, by the hashes of their names.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// Tables: each is small enough that nobody notices while it grows.
const PARTS: usize = 256;
/// A table of fewer places is not made smaller.
const PLACES_MIN: usize = 64;

/// Positions by the hashes of names. Two names may have one hash, so that whoever finds a position asks
/// the task there for its name.
#[derive(Debug)]
pub(super) struct Ids {
    parts: Box<[HashMap<u64, u64, AsIs>]>,
    /// Those whose hash another has as well: with 64 bits and a secret key, as good as none.
    alike: Vec<(u64, u64)>,
}

/// For numbers that are hashes already.
pub(crate) type AsIs = BuildHasherDefault<HashedBefore>;

/// Gives the number that it is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HashedBefore(u64);

impl Hasher for HashedBefore {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Not met: the keys are numbers of 64 bits.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| HashMap::default()).collect(), alike: Vec::new() }
    }
}

impl Ids {
    /// The positions of all names of this hash.
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = u64> {
        let first = self.parts[part(hash)].get(&hash).copied();
        let alike = self.alike.iter().filter(move |(other, _)| *other == hash);
        first.into_iter().chain(alike.map(|(_, position)| *position))
    }

    /// Adds one.
    pub(super) fn insert(&mut self, hash: u64, position: u64) {
        match self.parts[part(hash)].entry(hash) {
            Entry::Vacant(place) => _ = place.insert(position),
            Entry::Occupied(_) => self.alike.push((hash, position)),
        }
    }

    /// Takes one away that was added.
    pub(super) fn remove(&mut self, hash: u64, position: u64) {
        let part = &mut self.parts[part(hash)];
        if part.get(&hash) == Some(&position) {
            part.remove(&hash);
            if part.capacity() > PLACES_MIN && part.len() < part.capacity() / 8 {
                part.shrink_to(part.len() * 2);
            }
        } else if let Some(at) = self.alike.iter().position(|it| *it == (hash, position)) {
            self.alike.swap_remove(at);
        }
    }
}

/// By bits that a table does not look at before it is large.
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &Ids, hash: u64) -> Vec<u64> {
        let mut found: Vec<u64> = ids.find(hash).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn names_of_one_hash_are_all_found_in_whatever_order_they_go() {
        for leaving in [[1, 2, 3], [2, 3, 1], [3, 1, 2]] {
            let mut ids = Ids::default();
            (1..=3).for_each(|position| ids.insert(7, position));
            ids.insert(8, 9);
            let mut left = vec![1, 2, 3];
            for position in leaving {
                assert_eq!(found(&ids, 7), left, "{leaving:?}");
                ids.remove(7, position);
                left.retain(|at| *at != position);
            }
            assert_eq!((found(&ids, 7), found(&ids, 8)), (left, vec![9]));
            ids.insert(7, 4);
            assert_eq!(found(&ids, 7), [4]);
        }
    }

    #[test]
    fn two_of_one_hash_and_one_position_are_two() {
        let mut ids = Ids::default();
        ids.insert(7, 1);
        ids.insert(7, 1);
        ids.remove(7, 1);
        assert_eq!(found(&ids, 7), [1]);
        ids.remove(7, 1);
        assert!(found(&ids, 7).is_empty());
    }

    #[test]
    fn tables_shrink_when_what_they_held_is_gone() {
        let mut ids = Ids::default();
        (0..10_000).for_each(|hash| ids.insert(hash, hash));
        assert!(ids.parts[0].capacity() >= 10_000);
        (0..9_990).for_each(|hash| ids.remove(hash, hash));
        assert!(ids.parts[0].capacity() < 1_000, "{}", ids.parts[0].capacity());
        assert!((9_990..10_000).all(|hash| found(&ids, hash) == [hash]));
    }
}
