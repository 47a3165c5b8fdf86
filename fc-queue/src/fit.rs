//! Whether queue and store can keep what an engine promises, and what they may lose (I35).

use std::time::Duration;

use fc_core::port::queue::QueueCapabilities;
use fc_core::port::store::{Durability, StoreCapabilities};
use fc_core::{Error, Result};

use crate::config::EngineConfig;
use crate::core::retry::Progress;
use crate::dispatch::REASON_BYTES_MAX;

/// What stands before the caller's bytes in a payload: names, ids and two addresses. The head of an
/// HTTP request may be longer; one that does not fit is refused when it comes.
const HEAD_BYTES: u64 = 4 * 1024;
/// The record of a task with as many steps as are kept, and the head of an HTTP request.
const RECORD_BYTES: u64 = 128 * 1024;
/// The key of an answer: account, function, id and fence.
const KEY_BYTES: u64 = 400;

/// Refuses drivers that would break what was acknowledged, or could not take what is allowed.
///
/// # Errors
///
/// `InvalidArgument` that names the field, the limit and the value.
pub(crate) fn check(
    config: &EngineConfig,
    queue: &QueueCapabilities,
    store: &StoreCapabilities,
) -> Result<()> {
    let body = config.limits.async_request_body_bytes_max;
    let note = REASON_BYTES_MAX.max(Progress::BYTES) as u64;
    for (field, needed, is) in [
        ("queue.payload_bytes_max", body.saturating_add(HEAD_BYTES), queue.payload_bytes_max),
        // A dead letter whose reason is refused would be run again for ever.
        ("queue.note_bytes_max", note, queue.note_bytes_max),
        // As would be a task whose end cannot be recorded.
        ("store.value_bytes_max", body.max(RECORD_BYTES), store.value_bytes_max),
        ("store.key_bytes_max", KEY_BYTES, store.key_bytes_max),
    ] {
        if is < needed {
            let what = format_args!("{is} bytes are less than the {needed} that are needed");
            return Err(Error::invalid(field, what));
        }
    }
    // Times are rounded up, and two clocks differ: the longest delay needs some room.
    let (delay, most) = (Duration::from_secs(config.delay_s_max), queue.delay_max);
    if most <= delay {
        let what = format_args!("{most:?} is not longer than delay_s_max, {delay:?}");
        return Err(Error::invalid("queue.delay_max", what));
    }
    // A task that the queue still has and whose record is gone counts as taken back, and is not run.
    let (queue, store) = (queue.durability, store.durability);
    if !is_kept(store) && is_kept(queue) {
        let what = format_args!(
            "{store:?} is weaker than the queue's {queue:?}: acknowledged tasks would be lost with \
             their records"
        );
        return Err(Error::invalid("store.durability", what));
    }
    Ok(())
}

/// Says what may be lost; nothing if what is acknowledged is kept.
pub(crate) fn warn(queue: &QueueCapabilities, store: &StoreCapabilities) {
    const OF_QUEUE: &str = "invocations that were answered with 202, retries and dead letters";
    const OF_STORE: &str = "records of tasks, and settings of functions";
    for (port, durability, lost) in
        [("queue", queue.durability, OF_QUEUE), ("store", store.durability, OF_STORE)]
    {
        if !is_kept(durability) {
            // What ends it, a process or a power cut, the driver knows and says.
            tracing::warn!(
                port,
                ?durability,
                may_be_lost = lost,
                "what is acknowledged is not declared to be on disk: it may be gone after a failure"
            );
        }
    }
}

fn is_kept(durability: Durability) -> bool {
    durability >= Durability::Fsync
}

#[cfg(test)]
mod tests {
    use fc_core::Limits;

    use super::*;

    const QUEUE: QueueCapabilities = QueueCapabilities {
        durability: Durability::Fsync,
        ordered: true,
        atomic_settle: true,
        delay_max: Duration::from_millis(3_600_001),
        payload_bytes_max: (128 + 4) * 1024,
        note_bytes_max: 1024,
    };
    const STORE: StoreCapabilities = StoreCapabilities {
        durability: Durability::Fsync,
        value_bytes_max: 128 * 1024,
        key_bytes_max: 400,
        watch_lag_max: 1,
    };

    fn refused(queue: QueueCapabilities, store: StoreCapabilities) -> String {
        check(&EngineConfig::default(), &queue, &store).unwrap_err().to_string()
    }

    /// I35: what is short by one is refused by name, with limit and value.
    #[test]
    fn i35_a_driver_that_is_too_small_is_refused_by_name() {
        let config = EngineConfig::default();
        check(&config, &QUEUE, &STORE).unwrap();
        let payload_bytes_max = QUEUE.payload_bytes_max - 1;
        assert_eq!(
            refused(QueueCapabilities { payload_bytes_max, ..QUEUE }, STORE),
            "queue.payload_bytes_max: 135167 bytes are less than the 135168 that are needed"
        );
        assert_eq!(
            refused(QueueCapabilities { note_bytes_max: 1023, ..QUEUE }, STORE),
            "queue.note_bytes_max: 1023 bytes are less than the 1024 that are needed"
        );
        let delay_max = Duration::from_secs(3600);
        assert_eq!(
            refused(QueueCapabilities { delay_max, ..QUEUE }, STORE),
            "queue.delay_max: 3600s is not longer than delay_s_max, 3600s"
        );
        let value_bytes_max = STORE.value_bytes_max - 1;
        assert_eq!(
            refused(QUEUE, StoreCapabilities { value_bytes_max, ..STORE }),
            "store.value_bytes_max: 131071 bytes are less than the 131072 that are needed"
        );
        assert_eq!(
            refused(QUEUE, StoreCapabilities { key_bytes_max: 399, ..STORE }),
            "store.key_bytes_max: 399 bytes are less than the 400 that are needed"
        );
        let graph = EngineConfig { limits: Limits::function_graph(), ..config };
        let refused = check(&graph, &QUEUE, &STORE).unwrap_err().to_string();
        assert!(refused.starts_with("queue.payload_bytes_max: 135168 bytes"), "{refused}");
    }

    /// I35, I1: a queue that outlives its records would drop acknowledged tasks.
    #[test]
    fn i35_a_store_that_is_weaker_than_the_queue_is_refused() {
        let all = [Durability::ProcessMemory, Durability::Fsync, Durability::Replicated];
        for (of_queue, of_store) in all.into_iter().flat_map(|q| all.map(|s| (q, s))) {
            let queue = QueueCapabilities { durability: of_queue, ..QUEUE };
            let store = StoreCapabilities { durability: of_store, ..STORE };
            let is_taken = check(&EngineConfig::default(), &queue, &store).is_ok();
            let is_weaker = of_store == Durability::ProcessMemory && of_queue != of_store;
            assert_eq!(is_taken, !is_weaker, "{of_queue:?} over {of_store:?}");
        }
        let store = StoreCapabilities { durability: Durability::ProcessMemory, ..STORE };
        assert!(refused(QUEUE, store).starts_with("store.durability: ProcessMemory is weaker"));
    }
}
