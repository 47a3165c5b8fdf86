//! How large a record may be for each kind of destination.

use fc_core::{Error, Result};

use super::Kind;

const KB: u64 = 1024;
const MB: u64 = 1024 * KB;

/// How large a record may be for each kind of destination, bytes.
///
/// A record over its limit is not sent and not cut: it counts as `DestinationErrors`, and is a dead
/// letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SizeLimits {
    /// A function: what an asynchronous invocation takes (`alibaba-fc.md` 3.4).
    pub function_bytes_max: u64,
    /// A queue of the cloud's message service (3.4).
    pub mns_queue_bytes_max: u64,
    /// A topic of the cloud's message service (3.4).
    pub mns_topic_bytes_max: u64,
    /// An event bus (3.4).
    pub event_bus_bytes_max: u64,
    /// An HTTP endpoint. Ours: both payloads and their quotes fit.
    pub http_bytes_max: u64,
    /// A sink of CloudEvents: what each must be able to take (`functiongraph-lambda.md` C1).
    pub cloud_events_bytes_max: u64,
    /// A subject of NATS: its server's default, less room for headers.
    pub nats_bytes_max: u64,
    /// A callback. Ours: a synchronous answer of FunctionGraph's and its quotes fit.
    pub callback_bytes_max: u64,
    /// A lane. Ours: what an asynchronous invocation takes at most.
    pub lane_bytes_max: u64,
}

impl SizeLimits {
    /// The limit of a kind.
    pub const fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Function => self.function_bytes_max,
            Kind::MnsQueue => self.mns_queue_bytes_max,
            Kind::MnsTopic => self.mns_topic_bytes_max,
            Kind::EventBus => self.event_bus_bytes_max,
            Kind::Http => self.http_bytes_max,
            Kind::CloudEvents => self.cloud_events_bytes_max,
            Kind::Nats => self.nats_bytes_max,
            Kind::Callback => self.callback_bytes_max,
            Kind::Lane => self.lane_bytes_max,
        }
    }

    /// Proves that a record of so many bytes may be sent.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the limit and the value; it is never worth another try.
    pub fn check(&self, kind: Kind, bytes: usize) -> Result<()> {
        let (limit, bytes) = (self.of(kind), bytes as u64);
        if bytes <= limit {
            return Ok(());
        }
        Err(Error::over_limit("destination record", "bytes", limit, bytes))
    }
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self {
            function_bytes_max: 128 * KB,
            mns_queue_bytes_max: 64 * KB,
            mns_topic_bytes_max: 64 * KB,
            event_bus_bytes_max: 64 * KB,
            http_bytes_max: MB,
            cloud_events_bytes_max: 64 * KB,
            nats_bytes_max: MB - 4 * KB,
            callback_bytes_max: 16 * MB,
            lane_bytes_max: 256 * KB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asy_5_each_kind_has_its_limit_on_both_sides() {
        let limits = SizeLimits::default();
        for (kind, limit) in [
            (Kind::Function, 131_072),
            (Kind::MnsQueue, 65_536),
            (Kind::MnsTopic, 65_536),
            (Kind::EventBus, 65_536),
            (Kind::Http, 1_048_576),
            (Kind::CloudEvents, 65_536),
            (Kind::Nats, 1_044_480),
            (Kind::Callback, 16_777_216),
            (Kind::Lane, 262_144),
        ] {
            assert!(limits.check(kind, limit).is_ok(), "{kind:?}");
            let refused = limits.check(kind, limit + 1).unwrap_err();
            assert_eq!(refused.retry(), fc_core::Retry::Never);
            let said =
                format!("destination record: {} bytes is over the limit of {limit}", limit + 1);
            assert_eq!(refused.to_string(), said);
        }
    }
}
