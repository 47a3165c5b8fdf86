//! Which server, and on what terms.

use std::fmt;
use std::time::Duration;

use fc_core::{Error, Result};
use tokio_postgres::config::{ChannelBinding, SslMode};

/// Longest name of a schema, bytes: a channel's name is made of it.
const SCHEMA_BYTES_MAX: usize = 40;

/// Which PostgreSQL server, and on what terms.
///
/// `sslmode=require` in the URL means TLS with a certificate that a root of the system, or one of
/// [`PostgresConfig::root_certificates`], vouches for; it fails where that cannot be had. Without it the
/// connection is plain.
///
/// Sessions are of our own and keep settings: a pooler in between must pool by session.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(super) server: tokio_postgres::Config,
    pub(super) schema: String,
    pub(super) weak_accepted: bool,
    pub(super) roots_pem: Vec<u8>,
    pub(super) sessions: usize,
    pub(super) operation_max: Duration,
    pub(super) waiting_max: usize,
}

impl PostgresConfig {
    /// The server at `url` (`postgres://user:password@host:port/database?sslmode=require`, or words
    /// `host=… user=…`), schema `fc`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for what is no such URL, or asks for what cannot be honoured.
    pub fn new(url: &str) -> Result<Self> {
        // The parser's message names the option, never its value.
        let parsed = url.parse::<tokio_postgres::Config>();
        let mut server = parsed.map_err(|e| Error::invalid("postgres url", cause(&e)))?;
        if server.get_channel_binding() == ChannelBinding::Require
            && server.get_ssl_mode() != SslMode::Require
        {
            let what = "channel_binding=require needs sslmode=require";
            return Err(Error::invalid("postgres url", what));
        }
        if server.get_hosts().is_empty() {
            return Err(Error::invalid("postgres url", "a host is needed"));
        }
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(Duration::from_secs(5));
        }
        if server.get_tcp_user_timeout().is_none() {
            server.tcp_user_timeout(Duration::from_secs(20));
        }
        if server.get_application_name().is_none() {
            server.application_name("fc");
        }
        Ok(Self {
            server,
            schema: "fc".into(),
            weak_accepted: false,
            roots_pem: Vec::new(),
            sessions: 2,
            operation_max: Duration::from_secs(30),
            waiting_max: 16_384,
        })
    }

    /// Keeps everything in this schema, which is made if it is not there: 1 to 40 small letters,
    /// digits or `_`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for other names.
    pub fn schema(mut self, name: &str) -> Result<Self> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_system = name.starts_with("pg_") || name == "information_schema";
        if name.is_empty() || is_system || !name.bytes().all(is_plain) {
            let what = "must be small letters, digits or '_', not empty, and not the server's own";
            return Err(Error::invalid("schema", what));
        }
        if name.len() > SCHEMA_BYTES_MAX {
            let (limit, value) = (SCHEMA_BYTES_MAX as u64, name.len() as u64);
            return Err(Error::over_limit("schema", "bytes", limit, value));
        }
        self.schema = name.into();
        Ok(self)
    }

    /// Accepts a server that may lose what it acknowledged (`fsync` or `full_page_writes` off). It is
    /// then declared as [`ProcessMemory`](fc_core::port::store::Durability::ProcessMemory), and logged
    /// as a warning. Without this such a server is refused.
    #[must_use]
    pub fn accept_weak_durability(mut self, accept: bool) -> Self {
        self.weak_accepted = accept;
        self
    }

    /// Trusts these roots too, certificates in PEM.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots_pem = pem.into();
        self
    }

    /// Sessions for each kind of operation, at least 1 (default 2): while one waits for its commit, the
    /// next batch goes through the other. With 1, whoever asks alone is not faster than the others.
    #[must_use]
    pub fn sessions(mut self, count: usize) -> Self {
        self.sessions = count.max(1);
        self
    }

    /// How long an operation may take on the server before it counts as unknown (default 30 s).
    #[must_use]
    pub fn operation_max(mut self, limit: Duration) -> Self {
        self.operation_max = limit.max(Duration::from_millis(1));
        self
    }

    /// Operations of each kind that may wait for a session before more are refused (default 16 384).
    #[must_use]
    pub fn waiting_max(mut self, count: usize) -> Self {
        self.waiting_max = count.max(1);
        self
    }
}

fn cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Without the password.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("hosts", &self.server.get_hosts())
            .field("ports", &self.server.get_ports())
            .field("user", &self.server.get_user())
            .field("database", &self.server.get_dbname())
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for url in [
            "",
            "nats://host",
            "postgres://host?sslmode=verify-full",
            "postgres://host?sslrootcert=/x",
            "postgres://host?channel_binding=require",
            "postgres://",
        ] {
            assert!(PostgresConfig::new(url).is_err(), "{url}");
        }
        let config = PostgresConfig::new("postgres://u:hidden@host/db?sslmode=require").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
        let long = "s".repeat(41);
        for schema in ["", "A", "a\"b", "pg_temp", "information_schema", &*long] {
            assert!(config.clone().schema(schema).is_err(), "{schema}");
        }
        assert!(config.schema(&"s".repeat(40)).is_ok());
    }
}
