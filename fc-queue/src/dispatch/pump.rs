//! One lane's way from the queue to running tasks.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Lane, Leased};
use fc_core::{Deadline, Instant, Result};

use super::lane::{LaneLoad, Running};
use super::permits::Permit;
use super::run;
use super::starts::Start;
use crate::engine::Shared;

/// Pause after the queue has failed, doubled up to the longest: once it is back, tasks are not late by
/// more than a second (I5).
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Leases a lane's tasks and lets them run, until the engine closes or the lane has been empty for
/// long.
pub(super) async fn pump(shared: Arc<Shared>, lane: Lane) {
    let load = LaneLoad::new(shared.config.lane_concurrency, shared.config.cut_pause);
    let mut pause = PAUSE_MIN;
    while !shared.closing.is_cancelled() {
        match step(&shared, &lane, &load).await {
            Ok(Step::Leased) => pause = PAUSE_MIN,
            Ok(Step::Closing) => return,
            Ok(Step::Empty) if !load.is_idle() || has_tasks(&shared, &lane).await => {}
            Ok(Step::Empty) => {
                shared.lanes.left(&lane);
                // What was pushed before the lane was left, by who saw it still attended.
                let at_once = Deadline::at(shared.ports.clock.now());
                let cx = shared.context().with_deadline(at_once);
                if !matches!(shared.ports.queue.wait(cx, &lane).await, Ok(false)) {
                    shared.lanes.found(&shared, &lane);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%lane, %error, "the queue cannot be read");
                let clock = &shared.ports.clock;
                let sleep = clock.sleep_until(clock.now() + pause);
                shared.closing.run_until_cancelled(sleep).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Whether tasks wait for their time, or are held elsewhere: the lane is not left, so that none of them
/// waits for the lane to be found again (I5).
async fn has_tasks(shared: &Shared, lane: &Lane) -> bool {
    let depth = shared.ports.queue.depth(lane);
    let depth = shared.closing.run_until_cancelled(depth).await;
    // Left if that cannot be known: it is found again.
    depth.is_some_and(|depth| depth.is_ok_and(|depth| depth.waiting + depth.leased > 0))
}

enum Step {
    Leased,
    Empty,
    Closing,
}

/// Waits for a task, then for room, then leases: nothing is held while there is nothing to run, and
/// nothing is leased that has to wait. Once the engine closes nothing is waited for; what was leased
/// runs.
async fn step(shared: &Arc<Shared>, lane: &Lane, load: &Arc<LaneLoad>) -> Result<Step> {
    let (queue, clock) = (&shared.ports.queue, &shared.ports.clock);
    let wait = async {
        let deadline = Deadline::at(clock.now() + shared.config.lane_idle);
        if !queue.wait(shared.context().with_deadline(deadline), lane).await? {
            return Ok(None);
        }
        let room = load.room().await.min(shared.config.batch_max);
        let permits = shared.permits.take(room).await;
        let starts = shared.starts.take(permits.len()).await;
        Ok(Some(permits.into_iter().zip(starts).collect()))
    };
    let mut permits: Vec<(Permit, Start)> = match shared.closing.run_until_cancelled(wait).await {
        None => return Ok(Step::Closing),
        Some(waited) => match waited? {
            None => return Ok(Step::Empty),
            Some(permits) => permits,
        },
    };
    let asked_at = clock.now();
    let visibility = shared.config.visibility;
    for leased in queue.lease(shared.context(), lane, permits.len(), visibility).await? {
        if let Some((permit, start)) = permits.pop() {
            spawn(shared, leased, permit, start, load.begin(), asked_at);
        }
    }
    Ok(Step::Leased)
}

fn spawn(
    shared: &Arc<Shared>,
    leased: Leased,
    permit: Permit,
    start: Start,
    running: Running,
    asked_at: Instant,
) {
    let shared = shared.clone();
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let load = start.of(pin!(run::run(&shared, leased, asked_at))).await;
        let now = shared.ports.clock.now();
        match load {
            run::Load::Fits => {
                running.succeeded();
                shared.permits.succeeded();
            }
            // Its lane's alone: what one account lacks says nothing of the others (ASY-7).
            run::Load::Exceeds => running.throttled(asked_at, now),
            run::Load::Unknown => {}
        }
        drop((permit, running));
    });
}
