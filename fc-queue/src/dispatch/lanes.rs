//! Which lanes are attended.

use std::collections::HashSet;
use std::sync::Arc;

use fc_core::port::queue::Lane;
use parking_lot::Mutex;

use super::pump;
use crate::engine::Shared;

/// Lanes that are listed at once.
const PAGE: usize = 500;

/// Whether destinations fill the lane and integrators read it: no task of it is run here. No name of
/// an account or a function has a colon.
pub(crate) fn is_external(lane: &Lane) -> bool {
    lane.as_str().contains(':')
}

/// Lanes that have a pump.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashSet<Lane>>);

impl Lanes {
    /// A lane may have tasks: it is attended now, unless it is already.
    pub(crate) fn found(&self, shared: &Arc<Shared>, lane: &Lane) {
        if is_external(lane) || shared.closing.is_cancelled() {
            return;
        }
        {
            let mut attended = self.0.lock();
            if attended.contains(lane) {
                return;
            }
            attended.insert(lane.clone());
        }
        shared.tasks.spawn(pump::pump(shared.clone(), lane.clone()));
    }

    /// A pump ends.
    pub(super) fn left(&self, lane: &Lane) {
        self.0.lock().remove(lane);
    }
}

/// Finds lanes that an earlier process left, or another fills; never ends.
pub(crate) async fn discover(shared: Arc<Shared>) {
    loop {
        let mut after: Option<Lane> = None;
        loop {
            match shared.ports.queue.lanes(after.as_ref(), PAGE).await {
                Ok(page) => {
                    page.iter().for_each(|lane| shared.lanes.found(&shared, lane));
                    if page.len() < PAGE {
                        break;
                    }
                    after = page.last().cloned();
                }
                Err(error) => {
                    tracing::warn!(%error, "the queue's lanes cannot be listed");
                    break;
                }
            }
        }
        let clock = &shared.ports.clock;
        clock.sleep_until(clock.now() + shared.config.rescan).await;
    }
}
