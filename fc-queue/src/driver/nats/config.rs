//! What a queue on NATS is told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fc_core::Result;

use super::broker::Server;

/// Where a queue on NATS JetStream is, and what it may take.
#[derive(Clone)]
pub struct NatsQueueConfig {
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
    /// Bytes of the log above which pushes are refused with `ResourceExhausted`; by default 2 GiB. The
    /// server sets that aside as it makes the stream, and a quarter more (at least 64 MiB) for what
    /// must be written nevertheless.
    pub log_bytes_max: u64,
    /// Largest payload, bytes; by default 512 KiB. It must leave 68 KiB of what the server takes as a
    /// message (`max_payload`, 1 MiB by default).
    pub payload_bytes_max: u64,
    /// Payloads that are kept in memory for whoever leases them next, bytes; by default 64 MiB.
    pub cache_bytes_max: usize,
    /// The longest that a call waits for the server if its own deadline is later; by default 10 s.
    pub answer_within: Duration,
}

impl NatsQueueConfig {
    /// A queue in stream `fc_queue` of the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            stream: "fc_queue".into(),
            replicas: 1,
            synced: false,
            log_bytes_max: 2 << 30,
            payload_bytes_max: 512 * 1024,
            cache_bytes_max: 64 << 20,
            answer_within: Duration::from_secs(10),
        }
    }

    /// What of it concerns the server.
    pub(super) fn server(&self) -> Server<'_> {
        Server {
            driver: "fc-queue",
            url: &self.url,
            credentials: self.credentials.as_deref(),
            stream: &self.stream,
            replicas: self.replicas,
            synced: self.synced,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.server().check()
    }
}

impl fmt::Debug for NatsQueueConfig {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsQueueConfig")
            .field("stream", &self.stream)
            .field("replicas", &self.replicas)
            .field("synced", &self.synced)
            .field("log_bytes_max", &self.log_bytes_max)
            .field("payload_bytes_max", &self.payload_bytes_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_that_no_server_takes_is_refused() {
        let good = NatsQueueConfig::new("nats://u:secret@127.0.0.1");
        assert!(good.check().is_ok());
        let stream = |stream: &str| NatsQueueConfig { stream: stream.into(), ..good.clone() };
        assert!(stream(&"a".repeat(64)).check().is_ok());
        for bad in [stream(""), stream("a.b"), stream("a b"), stream(&"a".repeat(65))] {
            assert!(bad.check().unwrap_err().message().starts_with("stream: "));
        }
        for replicas in [0, 6] {
            let bad = NatsQueueConfig { replicas, ..good.clone() };
            assert!(bad.check().unwrap_err().message().starts_with("replicas: "));
        }
        assert!(!format!("{good:?}").contains("secret"));
    }
}
