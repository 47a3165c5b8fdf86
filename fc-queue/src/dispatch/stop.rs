//! A task's end on its caller's demand (ASY-9).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{Cancelled, Lane, NewTask, Verdict};
use fc_core::{Context, FunctionName, Result, TaskStatus};
use tokio_util::sync::CancellationToken;

use super::ending;
use super::lease::{Held, Lost};
use super::run::{Load, Work, settle};
use crate::core::envelope::{Envelope, Head, Job, invoke_id};
use crate::core::stored_task::StoredTask;
use crate::engine::{NO_NOTE, Shared};
use crate::tasks::TaskKey;

/// How often a stop looks for a task that is on its way into the queue or to its end.
const LOOKS_MAX: u32 = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// When a stop is looked after that its caller did not bring to its end.
const AFTER: Duration = Duration::from_secs(5);

/// Stops a task.
///
/// First the record says that a stop was asked for, so that nothing is begun from then on. Then a task
/// is queued that does the rest if this process dies; then this process does it.
pub(crate) async fn stop(
    shared: &Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    function: &FunctionName,
) -> Result<()> {
    let now = shared.wall.now();
    let asked =
        shared.records.update(key, |task| task.step(TaskStatus::Stopping, now, String::new()));
    let task = asked.await?;
    if task.task.status.is_final() {
        return Ok(());
    }
    let lane = Lane::new(&task.lane)?;
    let head = Head { job: Job::Stop, ..task.head.clone() };
    let envelope = Envelope { head, body: Bytes::new() };
    let again = NewTask::new(envelope.queue_id(), envelope.encode()?);
    let again = again.visible_at(shared.wall.after(AFTER));
    let id = again.id.clone();
    shared.ports.queue.push(cx, &lane, again).await?;
    finish(shared, cx, key, function, &task).await?;
    // Left there, it finds nothing to do.
    let _ = shared.ports.queue.cancel(cx, &lane, &id).await;
    Ok(())
}

/// Looks after a stop whose caller may have died.
pub(super) async fn again(work: &Work<'_>, held: &mut Held<'_>) -> Result<Load, Lost> {
    let shared = work.shared;
    let (cx, key) = (shared.context(), work.key());
    let finished = held.during(async {
        match shared.records.read(key).await? {
            Some((task, _)) if task.task.status == TaskStatus::Stopping => {
                finish(shared, cx, key, &work.function, &task).await
            }
            _ => Ok(()),
        }
    });
    match finished.await? {
        Ok(()) => settle(held, Verdict::Done).await,
        Err(error) => {
            tracing::warn!(task = key.id, %error, "a task is not stopped yet");
            let at = shared.wall.after(AFTER);
            settle(held, Verdict::Retry { at, note: NO_NOTE }).await
        }
    }
}

/// Takes the task out of the queue and ends it, or tells its runner.
async fn finish(
    shared: &Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    function: &FunctionName,
    task: &StoredTask,
) -> Result<()> {
    let (lane, id) = (Lane::new(&task.lane)?, invoke_id(key.function, key.id));
    for look in 0..LOOKS_MAX {
        match shared.ports.queue.cancel(cx, &lane, &id).await? {
            Cancelled::Removed => return ending::stopped_in_queue(shared, key, function).await,
            Cancelled::Held => {
                let running = (key.account, function.clone(), key.id.to_owned());
                let here = shared.running.lock().get(&running).cloned();
                // Elsewhere, or not begun: whoever has it reads the record.
                here.iter().for_each(CancellationToken::cancel);
                return Ok(());
            }
            Cancelled::Absent => {}
        }
        // Not pushed yet, or just over.
        let read = shared.records.read(key).await?;
        if read.is_none_or(|(task, _)| task.task.status.is_final()) {
            return Ok(());
        }
        let clock = &shared.ports.clock;
        clock.sleep_until(clock.now() + LOOK_PAUSE * (look + 1)).await;
    }
    // It was never pushed, or is taken out already: it will never run.
    ending::stopped_in_queue(shared, key, function).await
}
