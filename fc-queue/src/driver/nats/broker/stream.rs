//! A stream that keeps what it acknowledges.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use fc_core::port::store::Durability;
use fc_core::{Error, ErrorKind, Result};

use super::server::{Server, failed};

/// What a driver needs of its stream, and how it calls it.
#[derive(Clone, Copy)]
pub(in super::super) struct Needs {
    /// The setting of the stream's size.
    pub(in super::super) room: &'static str,
    /// What is done to what the stream keeps.
    pub(in super::super) kept: &'static str,
    /// The setting that would keep the driver from removing what is old, and whether it is set.
    pub(in super::super) denial: (&'static str, fn(&Config) -> bool),
}

impl Server<'_> {
    /// What the stream must be, with its subject, its room and what it says of itself.
    pub(in super::super) fn wanted(
        &self,
        subject: String,
        bytes_max: u64,
        description: &str,
    ) -> Config {
        Config {
            name: self.stream.to_owned(),
            subjects: vec![subject],
            description: Some(description.to_owned()),
            max_bytes: i64::try_from(bytes_max).unwrap_or(i64::MAX),
            discard: DiscardPolicy::New,
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_direct: true,
            ..Config::default()
        }
    }

    /// The stream, made if need be, and what it promises.
    pub(in super::super) async fn stream(
        &self,
        context: &Context,
        wanted: &Config,
        needs: Needs,
    ) -> Result<(Stream, Durability)> {
        let stream = context.get_or_create_stream(wanted.clone()).await;
        let stream = stream.map_err(|error| unmade(&error, wanted, needs.room))?;
        check(&stream, wanted, needs)?;
        let durability = self.durability(&stream, needs.kept);
        Ok((stream, durability))
    }

    /// What is promised, and a warning of what is not.
    fn durability(&self, stream: &Stream, kept: &str) -> Durability {
        let is = &stream.cached_info().config;
        if is.num_replicas >= 3 {
            if !self.synced {
                tracing::warn!(
                    stream = is.name,
                    replicas = is.num_replicas,
                    "the servers are not said to sync before they acknowledge: what was {kept} \
                     within their sync_interval (2 minutes by default) is lost if most of them lose \
                     power at once"
                );
            }
            return Durability::Replicated;
        }
        if self.synced {
            return Durability::Fsync;
        }
        tracing::warn!(
            stream = is.name,
            replicas = is.num_replicas,
            "the server is not said to sync before it acknowledges (`jetstream {{ sync_interval: \
             always }}`, nats-server 2.10): what was {kept} within its sync_interval (2 minutes by \
             default) is lost if it loses power; it survives a crash of the server's process"
        );
        Durability::ProcessMemory
    }
}

/// The stream may be an older one, or made by hand: nothing of it may drop what was acknowledged.
fn check(stream: &Stream, wanted: &Config, needs: Needs) -> Result<()> {
    let is = &stream.cached_info().config;
    let (denial, is_denied) = needs.denial;
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
    } else if is.no_ack || is.sealed || is_denied(is) {
        format!("no_ack, sealed or {denial} is set")
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

fn unmade(error: &CreateStreamError, wanted: &Config, room: &str) -> Error {
    let is_full = matches!(error.kind(), CreateStreamErrorKind::JetStream(answer)
        if answer.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED);
    if is_full {
        let bytes = wanted.max_bytes;
        let what = format!("{room}: the server cannot set {bytes} bytes aside: {error}");
        return Error::new(ErrorKind::ResourceExhausted, format!("NATS: {what}"));
    }
    failed("the stream", error)
}
