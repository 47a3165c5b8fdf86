//! Request ids in Function Compute's form.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{Error, Timestamp};

/// `1-<8 hex: Unix seconds>-<8 hex: process>-<12 hex: serial>` (spec `alibaba-fc.md` 1.1).
///
/// ```
/// use fc_core::RequestId;
/// let id: RequestId = "1-67a59f35-150c1267-f381ba1c085c".parse().unwrap();
/// assert_eq!(id.unix_seconds(), 0x67a5_9f35);
/// assert_eq!(id.to_string(), "1-67a59f35-150c1267-f381ba1c085c");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    seconds: u32,
    process: u32,
    /// 48 bits.
    serial: u64,
}

impl RequestId {
    /// The id of no request: work that the platform does for itself.
    pub const NIL: Self = Self { seconds: 0, process: 0, serial: 0 };

    /// Length of the text form, bytes.
    pub const TEXT_BYTES: usize = 32;

    /// When the id was made, in whole Unix seconds.
    pub const fn unix_seconds(&self) -> u32 {
        self.seconds
    }

    /// The text form, without an allocation.
    pub fn encode(&self) -> [u8; Self::TEXT_BYTES] {
        let mut text = *b"1-00000000-00000000-000000000000";
        hex(&mut text[2..10], u64::from(self.seconds));
        hex(&mut text[11..19], u64::from(self.process));
        hex(&mut text[20..32], self.serial);
        text
    }
}

fn hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::invalid("request_id", "must look like 1-<8 hex>-<8 hex>-<12 hex>");
        let bytes = text.as_bytes();
        let shaped = bytes.len() == Self::TEXT_BYTES
            && bytes[0] == b'1'
            && [1, 10, 19].iter().all(|&dash| bytes[dash] == b'-');
        if !shaped {
            return Err(invalid());
        }
        let part = |range: std::ops::Range<usize>| {
            let digits = &bytes[range];
            digits.iter().try_fold(0u64, |value, &digit| match digit {
                b'0'..=b'9' => Ok(value << 4 | u64::from(digit - b'0')),
                b'a'..=b'f' => Ok(value << 4 | u64::from(digit - b'a' + 10)),
                _ => Err(invalid()),
            })
        };
        // Eight hexadecimal digits always fit 32 bits.
        Ok(Self {
            seconds: part(2..10)? as u32,
            process: part(11..19)? as u32,
            serial: part(20..32)?,
        })
    }
}

/// Counters a generator has, so that threads rarely share one.
const LANES: usize = 16;

#[repr(align(128))]
#[derive(Debug, Default)]
struct Lane(AtomicU64);

/// Makes request ids: unique within the process by a counter, across processes by a random prefix.
///
/// Each thread counts in a lane of its own (of 16), so that the hot path shares no counter.
///
/// ```
/// use fc_core::{RequestIds, Timestamp};
/// let ids = RequestIds::with_prefix(7);
/// let now = Timestamp::from_unix_millis(1_000);
/// assert_ne!(ids.next(now), ids.next(now));
/// ```
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    lanes: [Lane; LANES],
}

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static LANE: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % LANES);
}

impl RequestIds {
    /// A generator whose ids all carry `process`: for tests and simulation.
    pub fn with_prefix(process: u32) -> Self {
        Self { process, lanes: Default::default() }
    }

    /// A generator with a prefix drawn from the machine's randomness.
    #[allow(clippy::disallowed_methods)]
    pub fn from_machine() -> Self {
        let mut seed = [0u8; 4];
        // Without a source of randomness the process id still tells processes of one host apart.
        if getrandom::fill(&mut seed).is_err() {
            seed = std::process::id().to_le_bytes();
        }
        Self::with_prefix(u32::from_le_bytes(seed))
    }

    /// The next id, stamped with `now`.
    pub fn next(&self, now: Timestamp) -> RequestId {
        let lane = LANE.with(Cell::get);
        let count = self.lanes[lane].0.fetch_add(1, Ordering::Relaxed);
        let serial = (lane as u64) << 44 | (count & ((1 << 44) - 1));
        RequestId { seconds: now.as_unix_seconds() as u32, process: self.process, serial }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_round_trips(seconds: u32, process: u32, serial in 0u64..1 << 48) {
            let id = RequestId { seconds, process, serial };
            prop_assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_refused_or_round_trips(text in ".{0,40}") {
            if let Ok(id) = text.parse::<RequestId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn ids_of_many_threads_differ() {
        let ids = RequestIds::with_prefix(1);
        let mut all: Vec<RequestId> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500).map(|_| ids.next(Timestamp::default())).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20 * 500);
    }
}
