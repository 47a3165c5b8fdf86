//! From a config to a queue that has read its log.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{ContextBuilder, CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::{Client, ConnectOptions, Event};
use fc_core::port::queue::QueueCapabilities;
use fc_core::port::store::Durability;
use fc_core::{Clock, Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::anchored::AnchoredClock;

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

/// What a connection is made of.
pub(super) struct Connected {
    pub(super) shared: Arc<Shared>,
    pub(super) capabilities: QueueCapabilities,
    pub(super) bells: [async_nats::Subscriber; 2],
}

pub(super) async fn connect(config: &NatsQueueConfig, clock: Arc<dyn Clock>) -> Result<Connected> {
    config.check()?;
    let (client, connections) = client(config).await?;
    check_server(&client)?;
    let max_payload = client.server_info().max_payload as u64;
    let body_bytes = max_payload.saturating_sub(HEADER_BYTES);
    if config.payload_bytes_max > body_bytes {
        let field = "payload_bytes_max (the server's max_payload less 68 KiB)";
        return Err(Error::over_limit(field, "bytes", body_bytes, config.payload_bytes_max));
    }
    let context = ContextBuilder::new().timeout(ACKNOWLEDGED_WITHIN).build(client.clone());
    let wanted = stream_config(config);
    let stream = context.get_or_create_stream(wanted.clone()).await;
    let stream = stream.map_err(|error| unmade(&error, &wanted))?;
    check_stream(&stream, &wanted)?;
    let durability = durability(&stream, config);
    let room = Room {
        facts_bytes: FACTS_BYTES,
        body_bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
        log_bytes: config.log_bytes_max,
    };
    // Unlike any other's, on any machine: the inbox has 22 random letters.
    let writer = RandomState::new().hash_one(client.new_inbox());
    let log = Log::new(client, context, stream, connections, clock.clone());
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

async fn client(config: &NatsQueueConfig) -> Result<(Client, watch::Receiver<u64>)> {
    let (count, connections) = watch::channel(0);
    let mut options = ConnectOptions::new()
        .name("fc-queue")
        // What this process writes it knows.
        .no_echo()
        .reconnect_delay_callback(|tries| {
            let tries = u64::try_from(tries).unwrap_or(u64::MAX);
            Duration::from_millis(tries.saturating_mul(20).min(1000))
        })
        .event_callback(move |event| {
            match event {
                Event::Connected => count.send_modify(|count| *count += 1),
                Event::Disconnected => tracing::warn!("NATS: the connection broke"),
                other => tracing::info!(event = %other, "NATS"),
            }
            std::future::ready(())
        });
    if let Some(file) = &config.credentials {
        let read = options.credentials_file(file).await;
        options = read.map_err(|error| failed("the credentials file", &error))?;
    }
    let servers: Vec<&str> = config.url.split(',').map(str::trim).collect();
    let client = options.connect(servers).await;
    Ok((client.map_err(|error| failed("connect", &error))?, connections))
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

fn stream_config(config: &NatsQueueConfig) -> Config {
    // What is settled must be written when pushes are refused already.
    let reserve = (config.log_bytes_max / 4).max(64 << 20);
    let bytes = config.log_bytes_max.saturating_add(reserve);
    Config {
        name: config.stream.clone(),
        subjects: vec![format!("{}.log", config.stream)],
        description: Some("fc-queue: a log of facts, never changed by hand".into()),
        max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        discard: DiscardPolicy::New,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: config.replicas,
        allow_direct: true,
        deny_delete: true,
        ..Config::default()
    }
}

/// The stream may be an older one, or made by hand: nothing of it may drop what was acknowledged.
fn check_stream(stream: &Stream, wanted: &Config) -> Result<()> {
    let is = &stream.cached_info().config;
    let wrong = if is.subjects != wanted.subjects {
        format!("subjects are {:?}, not {:?}", is.subjects, wanted.subjects)
    } else if is.storage != StorageType::File {
        "storage is not 'file'".to_owned()
    } else if is.retention != RetentionPolicy::Limits {
        "retention is not 'limits'".to_owned()
    } else if is.discard != DiscardPolicy::New {
        "discard is not 'new'".to_owned()
    } else if !is.max_age.is_zero() {
        format!("max_age is {:?}, not 0", is.max_age)
    } else if is.max_messages > 0 || is.max_messages_per_subject > 0 {
        "max_msgs or max_msgs_per_subject is set".to_owned()
    } else if is.no_ack || is.sealed || is.deny_purge {
        "no_ack, sealed or deny_purge is set".to_owned()
    } else if !is.allow_direct {
        "allow_direct is not set".to_owned()
    } else if is.mirror.is_some() || is.sources.is_some() {
        "it has a mirror or sources".to_owned()
    } else if is.max_message_size > 0 {
        format!("max_msg_size is {}", is.max_message_size)
    } else {
        return Ok(());
    };
    let what = format!("stream '{}': {wrong}", is.name);
    Err(Error::new(ErrorKind::Unsupported, format!("NATS: {what}")))
}

/// What is promised, and a warning of what is not.
fn durability(stream: &Stream, config: &NatsQueueConfig) -> Durability {
    let is = &stream.cached_info().config;
    if is.num_replicas >= 3 {
        if !config.synced {
            tracing::warn!(
                stream = is.name,
                replicas = is.num_replicas,
                "the servers are not said to sync before they acknowledge: what was accepted within \
                 their sync_interval (2 minutes by default) is lost if most of them lose power at once"
            );
        }
        return Durability::Replicated;
    }
    if config.synced {
        return Durability::Fsync;
    }
    tracing::warn!(
        stream = is.name,
        replicas = is.num_replicas,
        "the server is not said to sync before it acknowledges (`jetstream {{ sync_interval: always \
         }}`, nats-server 2.10): what was accepted within its sync_interval (2 minutes by default) is \
         lost if it loses power; it survives a crash of the server's process"
    );
    Durability::ProcessMemory
}

fn unmade(error: &CreateStreamError, wanted: &Config) -> Error {
    let is_full = matches!(error.kind(), CreateStreamErrorKind::JetStream(answer)
        if answer.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED);
    if is_full {
        let bytes = wanted.max_bytes;
        let what = format!("log_bytes_max: the server cannot set {bytes} bytes aside: {error}");
        return Error::new(ErrorKind::ResourceExhausted, format!("NATS: {what}"));
    }
    failed("the stream", error)
}

fn failed(what: &str, error: &impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::ResourceThrottled, format!("NATS: {what}: {error}"))
}
