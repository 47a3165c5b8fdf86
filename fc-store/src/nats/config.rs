//! What a store on NATS is told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fc_core::{Error, Result};

use super::broker::Server;

/// Where a store on NATS JetStream is, and what it may take.
#[derive(Clone)]
pub struct NatsStoreConfig {
    /// `nats://host:port`, or `tls://…`; several, separated by commas. It may hold a user and a password.
    pub url: String,
    /// A file with a user's JWT and key, as `nsc` makes them.
    pub credentials: Option<PathBuf>,
    /// The stream's name, and the first part of its subjects: 1 to 64 letters, digits, `-` or `_`. All
    /// processes of one platform name the same.
    pub stream: String,
    /// Servers that keep each message, 1 to 5; an existing stream keeps its own number.
    pub replicas: usize,
    /// Whether the servers sync each message to disk before they acknowledge it: `jetstream {
    /// sync_interval: always }`, which needs server 2.10. It cannot be asked of a server, so whoever
    /// runs it says so here; by default it is not so.
    pub synced: bool,
    /// Bytes of the stream, which the server sets aside as it makes it; by default 2 GiB.
    pub bytes_max: u64,
    /// Largest value, bytes; by default 512 KiB. It must leave 8 KiB of what the server takes as a
    /// message (`max_payload`, 1 MiB by default).
    pub value_bytes_max: u64,
    /// Changes that are kept for watchers. Default 1024.
    pub watch_lag_max: u32,
    /// What these changes may come to in memory, bytes: of large values fewer are kept. Default 64 MB.
    pub watch_bytes_max: u64,
    /// The longest that a call waits for the server; by default 10 s.
    pub answer_within: Duration,
}

impl NatsStoreConfig {
    /// A store in stream `fc_store` of the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            stream: "fc_store".into(),
            replicas: 1,
            synced: false,
            bytes_max: 2 << 30,
            value_bytes_max: 512 * 1024,
            watch_lag_max: 1024,
            watch_bytes_max: 64 * 1024 * 1024,
            answer_within: Duration::from_secs(10),
        }
    }

    /// What of it concerns the server.
    pub(super) fn server(&self) -> Server<'_> {
        Server {
            driver: "fc-store",
            url: &self.url,
            credentials: self.credentials.as_deref(),
            stream: &self.stream,
            replicas: self.replicas,
            synced: self.synced,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.server().check()?;
        if self.watch_lag_max == 0 {
            return Err(Error::invalid("watch_lag_max", "0 is below the limit of 1"));
        }
        Ok(())
    }
}

impl fmt::Debug for NatsStoreConfig {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsStoreConfig")
            .field("stream", &self.stream)
            .field("replicas", &self.replicas)
            .field("synced", &self.synced)
            .field("bytes_max", &self.bytes_max)
            .field("value_bytes_max", &self.value_bytes_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_that_no_server_takes_is_refused() {
        let good = NatsStoreConfig::new("nats://u:secret@127.0.0.1");
        assert!(good.check().is_ok());
        let stream = |stream: &str| NatsStoreConfig { stream: stream.into(), ..good.clone() };
        assert!(stream(&"a".repeat(64)).check().is_ok());
        for bad in [stream(""), stream("a.b"), stream("a b"), stream(&"a".repeat(65))] {
            assert!(bad.check().unwrap_err().message().starts_with("stream: "));
        }
        for replicas in [0, 6] {
            let bad = NatsStoreConfig { replicas, ..good.clone() };
            assert!(bad.check().unwrap_err().message().starts_with("replicas: "));
        }
        assert!(NatsStoreConfig { watch_lag_max: 0, ..good.clone() }.check().is_err());
        assert!(!format!("{good:?}").contains("secret"));
    }
}
