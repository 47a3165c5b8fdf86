//! Payloads of the latest pushes.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Payloads by position; those of the oldest pushes leave first.
#[derive(Debug)]
pub(super) struct Cache {
    payloads: BTreeMap<u64, Bytes>,
    bytes: u64,
    bytes_max: u64,
}

/// What a payload costs beside its bytes, about.
const OVERHEAD: u64 = 64;

impl Cache {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { payloads: BTreeMap::new(), bytes: 0, bytes_max }
    }

    pub(super) fn get(&self, position: u64) -> Option<&Bytes> {
        self.payloads.get(&position)
    }

    /// Keeps a copy, since a slice would keep whatever buffer it was cut from.
    pub(super) fn put(&mut self, position: u64, payload: &[u8]) {
        if cost(payload) > self.bytes_max / 4 {
            return;
        }
        self.bytes += cost(payload);
        self.payloads.insert(position, Bytes::copy_from_slice(payload));
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.payloads.pop_first()
        {
            self.bytes -= cost(&oldest);
        }
    }

    pub(super) fn remove(&mut self, position: u64) {
        if let Some(payload) = self.payloads.remove(&position) {
            self.bytes -= cost(&payload);
        }
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
        (1..=10).for_each(|position| cache.remove(position));
        assert_eq!(cache.bytes, 0);
    }
}
