//! From a config to a connection with a stream that keeps what it acknowledges.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use fc_core::port::store::StoreCapabilities;
use fc_core::{Clock, Error, Result};

use super::broker::{Line, Needs};
use super::config::NatsStoreConfig;
use super::link::Link;

/// What a message takes beside its value: the subject, the headers, the protocol.
const HEADER_BYTES: u64 = 8 * 1024;

/// Largest key. Its coding is a third longer, and a subject must fit into a line of 4 KB.
const KEY_BYTES_MAX: u64 = 1024;

/// The wait for an acknowledgement before it is looked what became of the message.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);

const NEEDS: Needs =
    Needs { room: "bytes_max", kept: "written", denial: ("deny_delete", |is| is.deny_delete) };

pub(super) async fn connect(
    config: &NatsStoreConfig,
    clock: Arc<dyn Clock>,
) -> Result<(Link, StoreCapabilities)> {
    config.check()?;
    let server = config.server();
    let (client, breaks) = server.connect().await?;
    let room = (client.server_info().max_payload as u64).saturating_sub(HEADER_BYTES);
    if config.value_bytes_max > room {
        let field = "value_bytes_max (the server's max_payload less 8 KiB)";
        return Err(Error::over_limit(field, "bytes", room, config.value_bytes_max));
    }
    let context = ContextBuilder::new().timeout(ACKNOWLEDGED_WITHIN).build(client.clone());
    let wanted = server.wanted(
        format!("{}.r.*", config.stream),
        config.bytes_max,
        "fc-store: records, never changed by hand",
    );
    let (stream, durability) = server.stream(&context, &wanted, NEEDS).await?;
    let capabilities = StoreCapabilities {
        durability,
        value_bytes_max: config.value_bytes_max,
        key_bytes_max: KEY_BYTES_MAX,
        watch_lag_max: config.watch_lag_max,
    };
    // Unlike any other's, on any machine: the inbox has 22 random letters.
    let writer = RandomState::new().hash_one(client.new_inbox());
    let line = Line::new(context, breaks, clock);
    Ok((Link::new(client, line, stream, writer), capabilities))
}
