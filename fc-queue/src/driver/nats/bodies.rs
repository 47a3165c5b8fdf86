//! Payloads that were seen lately, so that a fresh task costs no read.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;

/// Bodies of messages, the newest up to a number of bytes.
#[derive(Debug)]
pub(super) struct Bodies {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bodies: HashMap<u64, Bytes>,
    /// The oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

/// What a body takes beside its bytes, roughly.
const BODY_BYTES: usize = 100;

impl Bodies {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    pub(super) fn get(&self, sequence: u64) -> Option<Bytes> {
        self.kept.lock().bodies.get(&sequence).cloned()
    }

    pub(super) fn has(&self, sequence: u64) -> bool {
        self.kept.lock().bodies.contains_key(&sequence)
    }

    pub(super) fn keep(&self, sequence: u64, body: Bytes) {
        let mut kept = self.kept.lock();
        let bytes = body.len() + BODY_BYTES;
        if bytes > self.bytes_max || kept.bodies.insert(sequence, body).is_some() {
            return;
        }
        kept.order.push_back(sequence);
        kept.bytes += bytes;
        while kept.bytes > self.bytes_max {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            let gone = kept.bodies.remove(&oldest);
            kept.bytes -= gone.map_or(0, |gone| gone.len() + BODY_BYTES);
        }
    }

    pub(super) fn clear(&self) {
        *self.kept.lock() = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_bodies_go_first() {
        let bodies = Bodies::new(3 * (BODY_BYTES + 10));
        for sequence in 1..=4 {
            bodies.keep(sequence, Bytes::from(vec![0; 10]));
        }
        let kept: Vec<bool> = (1..=4).map(|sequence| bodies.get(sequence).is_some()).collect();
        assert_eq!(kept, [false, true, true, true]);
        bodies.keep(5, Bytes::from(vec![0; 3 * (BODY_BYTES + 10)]));
        assert!(bodies.get(5).is_none() && bodies.get(4).is_some(), "one that is too large");
        bodies.clear();
        assert!(bodies.get(4).is_none());
    }
}
