//! What all hosts write down, in one order.

use std::sync::Arc;

use fc::core::Clock;
use fc_testkit::SimClock;
use fc_testkit::history::{Event, What};
use parking_lot::Mutex;

/// What all hosts write down. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    clock: SimClock,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Log {
    pub(crate) fn new(clock: SimClock) -> Self {
        Self { clock, events: Arc::default() }
    }

    pub(crate) fn record(&self, host: &str, what: What) {
        let at = self.clock.now().as_nanos();
        let event = Event { at, wall: 0, host: host.to_owned(), what };
        self.events.lock().push(event);
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().clone()
    }
}

/// Numbers by a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Draws(pub u64);

impl Draws {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True in so many of 100.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}
