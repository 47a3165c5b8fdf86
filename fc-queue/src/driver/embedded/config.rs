//! What an embedded queue is told.

use fc_core::{Error, Result};
use std::time::Duration;

/// Smallest segment, bytes.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Largest segment, bytes: offsets in it are 32 bits.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Largest payload that may be allowed, bytes.
const PAYLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What an embedded queue is told.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Length of one file of the log, bytes: 64 KB to 1 GB. One more of it is kept in reserve.
    pub segment_bytes: u64,
    /// Largest payload, bytes: up to 64 MB.
    pub payload_bytes_max: u64,
    /// The longest delay.
    pub delay_max: Duration,
    /// Payloads of the latest pushes that are kept in memory, bytes, so that a task that is leased at
    /// once is not read back.
    pub cache_bytes_max: u64,
    /// Operations that wait to be written, bytes: more of them are refused.
    pub pending_bytes_max: u64,
    /// Tasks that the queue holds: further pushes are refused. Each needs about 400 bytes of memory
    /// beside its id and its note.
    pub tasks_max: u64,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            payload_bytes_max: 1024 * 1024,
            delay_max: Duration::from_secs(400 * 24 * 60 * 60),
            cache_bytes_max: 8 * 1024 * 1024,
            pending_bytes_max: 128 * 1024 * 1024,
            tasks_max: 10_000_000,
        }
    }
}

impl EmbeddedConfig {
    /// # Errors
    ///
    /// `InvalidArgument` that names the field.
    pub(super) fn check(&self) -> Result<()> {
        if self.segment_bytes < SEGMENT_BYTES_MIN {
            let what = format!("{} bytes are fewer than {SEGMENT_BYTES_MIN}", self.segment_bytes);
            return Err(Error::invalid("segment_bytes", what));
        }
        within("segment_bytes", SEGMENT_BYTES_MAX, self.segment_bytes)?;
        within("payload_bytes_max", PAYLOAD_BYTES_MAX, self.payload_bytes_max)
    }
}

fn within(field: &str, limit: u64, value: u64) -> Result<()> {
    if value <= limit { Ok(()) } else { Err(Error::over_limit(field, "bytes", limit, value)) }
}
