//! A store's settings.

use fc_core::{Error, Result};

/// Settings of a [`RedbStore`](super::RedbStore).
#[derive(Clone, Debug)]
pub struct RedbConfig {
    /// Largest value, bytes. Default 2 MB: a task's record holds a preview of up to 1 MB.
    pub value_bytes_max: u64,
    /// Largest key, bytes. Default 1 KB.
    pub key_bytes_max: u64,
    /// Changes that are kept for watchers. Default 1024.
    pub watch_lag_max: u32,
    /// What these changes may come to, bytes: of large values fewer are kept. Default 64 MB.
    pub watch_bytes_max: u64,
    /// Pages that are kept in memory, bytes. Default 64 MB.
    pub cache_bytes: usize,
    /// Writes that wait for their commit; further callers wait for a place. Default 1024.
    pub writes_max: usize,
    /// Writes that share one commit. Default 256.
    pub batch_max: usize,
    /// Keys and values of one commit, bytes; one write more may be in it. Default 16 MB.
    pub batch_bytes_max: u64,
    /// Reads at the same time, each on a blocking thread of tokio's. Default 16.
    pub reads_max: usize,
}

impl Default for RedbConfig {
    fn default() -> Self {
        Self {
            value_bytes_max: 2 * 1024 * 1024,
            key_bytes_max: 1024,
            watch_lag_max: 1024,
            watch_bytes_max: 64 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            writes_max: 1024,
            batch_max: 256,
            batch_bytes_max: 16 * 1024 * 1024,
            reads_max: 16,
        }
    }
}

impl RedbConfig {
    pub(super) fn check(&self) -> Result<()> {
        let numbers = [
            ("value_bytes_max", self.value_bytes_max),
            ("key_bytes_max", self.key_bytes_max),
            ("watch_lag_max", u64::from(self.watch_lag_max)),
            ("writes_max", self.writes_max as u64),
            ("batch_max", self.batch_max as u64),
            ("reads_max", self.reads_max as u64),
        ];
        for (field, value) in numbers {
            if value == 0 {
                return Err(Error::invalid(field, "0 is below the limit of 1"));
            }
        }
        // What redb and tokio take.
        within("value_bytes_max", "bytes", 1 << 30, self.value_bytes_max)?;
        within("key_bytes_max", "bytes", 1 << 20, self.key_bytes_max)?;
        within("writes_max", "writes", 1 << 20, self.writes_max as u64)?;
        within("reads_max", "reads", 512, self.reads_max as u64)
    }
}

fn within(field: &str, unit: &str, limit: u64, value: u64) -> Result<()> {
    if value <= limit { Ok(()) } else { Err(Error::over_limit(field, unit, limit, value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_zero_and_one_over_its_limit_are_refused() {
        assert!(RedbConfig::default().check().is_ok());
        let none = RedbConfig { batch_max: 0, ..RedbConfig::default() };
        assert_eq!(none.check().unwrap_err().message(), "batch_max: 0 is below the limit of 1");
        let most = RedbConfig { reads_max: 512, ..RedbConfig::default() };
        assert!(most.check().is_ok());
        assert!(RedbConfig { reads_max: 513, ..most }.check().is_err());
    }
}
