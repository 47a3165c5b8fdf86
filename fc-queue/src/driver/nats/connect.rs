//! From a config to a queue that has read its log.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::Config;
use fc_core::port::queue::QueueCapabilities;
use fc_core::{Clock, Error, Result};

use crate::anchored::AnchoredClock;

use super::broker::{Line, Needs};
use super::config::NatsQueueConfig;
use super::log::Log;
use super::plan::Room;
use super::shared::Shared;

/// What a message takes beside its payloads: the facts, their coding, the protocol.
const HEADER_BYTES: u64 = 68 * 1024;

/// The facts of a message. A server takes 64 KiB of headers, and three bytes are four letters.
const FACTS_BYTES: usize = 47_000;

/// Largest note: several of them fit into a message.
const NOTE_BYTES_MAX: u64 = 4096;

/// The longest that Function Compute keeps an asynchronous request (`alibaba-fc.md` 3).
const DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The wait for an acknowledgement before the message is sent again. Nothing is stored twice.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);

const NEEDS: Needs =
    Needs { room: "log_bytes_max", kept: "accepted", denial: ("deny_purge", |is| is.deny_purge) };

/// What a connection is made of.
pub(super) struct Connected {
    pub(super) shared: Arc<Shared>,
    pub(super) capabilities: QueueCapabilities,
    pub(super) bells: [async_nats::Subscriber; 2],
}

pub(super) async fn connect(config: &NatsQueueConfig, clock: Arc<dyn Clock>) -> Result<Connected> {
    config.check()?;
    let server = config.server();
    let (client, breaks) = server.connect().await?;
    let max_payload = client.server_info().max_payload as u64;
    let body_bytes = max_payload.saturating_sub(HEADER_BYTES);
    if config.payload_bytes_max > body_bytes {
        let field = "payload_bytes_max (the server's max_payload less 68 KiB)";
        return Err(Error::over_limit(field, "bytes", body_bytes, config.payload_bytes_max));
    }
    let context = ContextBuilder::new().timeout(ACKNOWLEDGED_WITHIN).build(client.clone());
    // What is settled must be written when pushes are refused already.
    let reserve = (config.log_bytes_max / 4).max(64 << 20);
    let wanted = server.wanted(
        format!("{}.log", config.stream),
        config.log_bytes_max.saturating_add(reserve),
        "fc-queue: a log of facts, never changed by hand",
    );
    let wanted = Config { deny_delete: true, ..wanted };
    let (stream, durability) = server.stream(&context, &wanted, NEEDS).await?;
    let room = Room {
        facts_bytes: FACTS_BYTES,
        body_bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
        log_bytes: config.log_bytes_max,
    };
    // Unlike any other's, on any machine: the inbox has 22 random letters.
    let writer = RandomState::new().hash_one(client.new_inbox());
    let line = Line::new(context, breaks, clock.clone());
    let log = Log::new(client, line, stream);
    // Before the log is read, so that nothing is missed in between.
    let bells = log.bells().await?;
    let anchored = AnchoredClock::new(clock);
    let shared = Shared::new(log, anchored, writer, room, config.cache_bytes_max);
    shared.rebuild().await?;
    let capabilities = QueueCapabilities {
        durability,
        ordered: true,
        atomic_settle: true,
        delay_max: DELAY_MAX,
        payload_bytes_max: config.payload_bytes_max,
        note_bytes_max: NOTE_BYTES_MAX,
    };
    Ok(Connected { shared: Arc::new(shared), capabilities, bells })
}
