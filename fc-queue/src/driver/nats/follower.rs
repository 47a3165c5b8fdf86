//! Follows what other processes write.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::log::Log;
use super::shared::Shared;

/// How often the log's end is looked at, whatever was heard: a bell may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Before the next try to read, where one failed.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause that another process is granted.
const YIELD_MAX: Duration = Duration::from_millis(20);

/// Runs until it is dropped.
pub(super) async fn follow(
    shared: Arc<Shared>,
    [mut bells, mut knocks]: [async_nats::Subscriber; 2],
) {
    let clock = shared.clock.clone();
    let mut look = clock.clock().now() + LOOK_EVERY;
    shared.log.greet().await;
    loop {
        let is_due = tokio::select! {
            Some(bell) = bells.next() => {
                shared.hears();
                !rung(&shared, &bell.payload)
            }
            Some(knock) = knocks.next() => {
                shared.hears();
                let pause = Log::knocked(&knock.payload);
                if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
                    let until = clock.clock().now() + pause.min(YIELD_MAX);
                    *shared.yielding.lock() = Some(until);
                }
                false
            }
            () = shared.behind.notified() => true,
            () = clock.clock().sleep_until(look) => {
                shared.log.greet().await;
                true
            }
        };
        if is_due {
            if let Err(error) = shared.catch_up().await {
                tracing::warn!(%error, stream = shared.log.stream(), "the queue's log is not read");
                clock.clock().sleep_until(clock.clock().now() + PAUSE).await;
                shared.behind.notify_one();
            }
            look = clock.clock().now() + LOOK_EVERY;
        }
    }
}

/// Reads what was rung; `false` if the log must be read instead.
fn rung(shared: &Shared, bell: &[u8]) -> bool {
    match Log::rung(bell) {
        Ok(entry) => shared.read(&entry),
        Err(error) => {
            tracing::warn!(%error, "a bell of the queue is not understood");
            false
        }
    }
}
