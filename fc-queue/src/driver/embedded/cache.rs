//! Payloads of the latest pushes.

use std::collections::VecDeque;

use bytes::Bytes;

/// Payloads by position; those of the oldest pushes leave first.
#[derive(Debug)]
pub(super) struct Cache {
    /// In the order of positions. What was removed leaves a place, which goes with its neighbours.
    payloads: VecDeque<(u64, Option<Bytes>)>,
    bytes: u64,
    bytes_max: u64,
}

/// What a payload costs beside its bytes, about, and what its place costs without it.
const OVERHEAD: u64 = 64;

impl Cache {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { payloads: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn get(&self, position: u64) -> Option<&Bytes> {
        let at = self.place(position)?;
        self.payloads[at].1.as_ref()
    }

    /// Keeps a copy, since a slice would keep whatever buffer it was cut from. Positions only grow; one
    /// that does not is not kept.
    pub(super) fn put(&mut self, position: u64, payload: &[u8]) {
        let is_next = self.payloads.back().is_none_or(|(last, _)| *last < position);
        if cost(payload) > self.bytes_max / 4 || !is_next {
            return;
        }
        self.bytes += cost(payload);
        self.payloads.push_back((position, Some(Bytes::copy_from_slice(payload))));
        while self.bytes > self.bytes_max {
            self.leave();
        }
    }

    pub(super) fn remove(&mut self, position: u64) {
        if let Some(at) = self.place(position)
            && let Some(payload) = self.payloads[at].1.take()
        {
            self.bytes -= payload.len() as u64;
        }
        while matches!(self.payloads.front(), Some((_, None))) {
            self.leave();
        }
    }

    /// Lets the oldest go.
    fn leave(&mut self) {
        if let Some((_, payload)) = self.payloads.pop_front() {
            self.bytes -= cost(&payload.unwrap_or_default());
        }
    }

    fn place(&self, position: u64) -> Option<usize> {
        self.payloads.binary_search_by_key(&position, |(at, _)| *at).ok()
    }
}

fn cost(payload: &[u8]) -> u64 {
    payload.len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leave_and_what_is_kept_stays_under_the_limit() {
        let mut cache = Cache::new(1000);
        (1..=10).for_each(|position| cache.put(position, &[0; 100]));
        let kept: Vec<u64> = (1..=10).filter(|at| cache.get(*at).is_some()).collect();
        assert_eq!((kept, cache.bytes), (vec![5, 6, 7, 8, 9, 10], 984));
        cache.put(11, &[0; 500]);
        assert!(cache.get(11).is_none(), "one payload does not displace all others");
        (1..=10).rev().for_each(|position| cache.remove(position));
        assert_eq!((cache.bytes, cache.payloads.len()), (0, 0));
    }

    #[test]
    fn places_of_what_was_removed_do_not_gather_behind_one_that_stays() {
        let mut cache = Cache::new(1000);
        for position in 1..100 {
            cache.put(position, &[0; 100]);
            if position > 1 {
                cache.remove(position);
            }
            assert!(cache.payloads.len() <= 15 && cache.bytes <= 1000, "{cache:?}");
        }
        assert!(cache.get(1).is_none());
        assert_eq!((cache.bytes, cache.payloads.len()), (0, 0));
    }
}
