//! The connection to a server.

use std::path::Path;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use fc_core::{Error, ErrorKind, Result};
use tokio::sync::watch;

/// What of a driver's config concerns the server.
#[derive(Clone, Copy)]
pub(in super::super) struct Server<'c> {
    /// How the driver calls itself.
    pub(in super::super) driver: &'static str,
    pub(in super::super) url: &'c str,
    pub(in super::super) credentials: Option<&'c Path>,
    pub(in super::super) stream: &'c str,
    pub(in super::super) replicas: usize,
    pub(in super::super) synced: bool,
}

impl Server<'_> {
    /// Refuses a stream that cannot be.
    pub(in super::super) fn check(&self) -> Result<()> {
        const STREAM_BYTES_MAX: usize = 64;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if self.stream.is_empty() || !self.stream.bytes().all(is_plain) {
            let what = "must be letters, digits, '-' or '_', and not empty";
            return Err(Error::invalid("stream", what));
        }
        let length = self.stream.len();
        if length > STREAM_BYTES_MAX {
            let (limit, length) = (STREAM_BYTES_MAX as u64, length as u64);
            return Err(Error::over_limit("stream", "bytes", limit, length));
        }
        if !(1..=5).contains(&self.replicas) {
            let what = format!("{} is not within 1 to 5", self.replicas);
            return Err(Error::invalid("replicas", what));
        }
        Ok(())
    }

    /// A connection that comes back, to a server that can what is needed, and how often it broke.
    pub(in super::super) async fn connect(&self) -> Result<(Client, watch::Receiver<u64>)> {
        let (count, breaks) = watch::channel(0);
        let mut options = ConnectOptions::new()
            .name(self.driver)
            // What this process writes it knows.
            .no_echo()
            .reconnect_delay_callback(|tries| {
                let tries = u64::try_from(tries).unwrap_or(u64::MAX);
                Duration::from_millis(tries.saturating_mul(20).min(1000))
            })
            .event_callback(move |event| {
                match event {
                    // Not `Connected`: the first comes at any time after `connect`, and what was
                    // asked while there was no connection is sent over the next one.
                    Event::Disconnected => {
                        tracing::warn!("NATS: the connection broke");
                        count.send_modify(|count| *count += 1);
                    }
                    other => tracing::info!(event = %other, "NATS"),
                }
                std::future::ready(())
            });
        if let Some(file) = self.credentials {
            let read = options.credentials_file(file).await;
            options = read.map_err(|error| failed("the credentials file", &error))?;
        }
        let servers: Vec<&str> = self.url.split(',').map(str::trim).collect();
        let client = options.connect(servers).await;
        let client = client.map_err(|error| failed("connect", &error))?;
        check_server(&client)?;
        Ok((client, breaks))
    }
}

fn check_server(client: &Client) -> Result<()> {
    let info = client.server_info();
    let what = if !client.is_server_compatible(2, 9, 0) {
        format!("the server's version is {}, and 2.9.0 is needed", info.version)
    } else if !info.headers {
        "the server takes no headers".to_owned()
    } else if !info.jetstream {
        "JetStream is not enabled: give the server a `jetstream` block or -js".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unsupported, format!("NATS: {what}")))
}

pub(super) fn failed(what: &str, error: &impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::ResourceThrottled, format!("NATS: {what}: {error}"))
}
