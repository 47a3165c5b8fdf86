//! Follows what other processes write, and removes what this one's writes replaced.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::link::Link;
use super::shared::Shared;

/// How often the stream's end is looked at, whatever was heard: a bell may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Before the next try to read, where one failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs until it is dropped.
pub(super) async fn follow(shared: Arc<Shared>, mut bells: async_nats::Subscriber) {
    let clock = shared.link.clock();
    let mut look = clock.now() + LOOK_EVERY;
    loop {
        tokio::select! {
            Some(bell) = bells.next() => {
                if let Some(sequence) = Link::rung(&bell.payload) {
                    shared.heard(sequence);
                }
            }
            () = shared.behind.notified() => {}
            () = clock.sleep_until(look) => {}
        }
        let looks = clock.now() >= look;
        let mut done = shared.catch_up(looks).await;
        if done.is_ok() {
            done = shared.clean().await;
        }
        if looks {
            look = clock.now() + LOOK_EVERY;
        }
        if let Err(error) = done {
            tracing::warn!(%error, stream = shared.link.name(), "the store's stream is not read");
            clock.sleep_until(clock.now() + PAUSE).await;
            shared.behind.notify_one();
        }
    }
}
