//! The embedded queue on a disk that fails and forgets.

mod commit;
mod compaction;
mod corruption;
mod disk;
mod faults;
mod model;
mod restart;
mod space;
mod time;

use std::path::Path;
use std::sync::Arc;

use fc_core::port::queue::Lane;
use fc_core::{Context, RequestId, Result, Timestamp};
use fc_testkit::SimClock;

use super::{EmbeddedConfig, EmbeddedQueue};
use disk::Disk;

const CX: Context = Context::new(RequestId::NIL);

/// When all these tests begin.
const BEGIN: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn lane() -> Lane {
    Lane::new("lane").unwrap()
}

fn clock() -> SimClock {
    SimClock::new(BEGIN)
}

/// Segments are as small as may be, and little is cached, so that both are met.
fn config() -> EmbeddedConfig {
    EmbeddedConfig { segment_bytes: 64 * 1024, cache_bytes_max: 4096, ..EmbeddedConfig::default() }
}

fn open_with(disk: &Disk, clock: &SimClock) -> Result<EmbeddedQueue> {
    EmbeddedQueue::open_in(
        Arc::new(disk.clone()),
        Path::new("/queue"),
        &config(),
        Arc::new(clock.clone()),
    )
}

fn open(disk: &Disk) -> EmbeddedQueue {
    open_with(disk, &clock()).unwrap()
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Numbers that look random and are the same each time (splitmix64).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
