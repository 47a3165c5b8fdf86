//! How a task ends: its record first, then, in one step where the queue can, its settlement and what
//! follows it.

use std::sync::Arc;

use bytes::Bytes;
use fc_core::port::queue::{Cancelled, FollowUp, Lane, Settlement, Verdict};
use fc_core::{Context, Error, ErrorKind, FunctionName, Result, TaskStatus};

use super::attempt::Answer;
use super::follow_up::{self, Ended};
use super::lease::{Held, Lost, Pause};
use super::run::{Work, settle};
use crate::core::envelope::{Envelope, InvokeJob, Job};
use crate::core::retry::{Outcome, RetryPolicy};
use crate::core::stored_task::{Ending, EndingAnswer, StoredTask};
use crate::counters::Count;
use crate::engine::{NO_NOTE, Shared};
use crate::tasks::TaskKey;

/// Longest reason of a dead letter, bytes.
pub(crate) const REASON_BYTES_MAX: usize = 1024;

/// An end that was decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    status: TaskStatus,
    condition: &'static str,
    attempts: u32,
}

impl End {
    pub(super) fn succeeded(policy: &RetryPolicy, attempts: u32) -> Self {
        let condition = policy.conditions.succeeded();
        Self { status: TaskStatus::Succeeded, condition, attempts }
    }

    pub(super) fn failed(condition: &'static str, attempts: u32) -> Self {
        Self { status: TaskStatus::Failed, condition, attempts }
    }

    pub(super) fn expired(policy: &RetryPolicy, attempts: u32) -> Self {
        let condition = policy.conditions.expired();
        Self { status: TaskStatus::Expired, condition, attempts }
    }

    pub(super) fn stopped(policy: &RetryPolicy, attempts: u32) -> Self {
        let condition = policy.conditions.stopped();
        Self { status: TaskStatus::Stopped, condition, attempts }
    }

    pub(super) fn with(self, status: TaskStatus) -> Self {
        Self { status, ..self }
    }
}

/// Ends a task.
pub(super) async fn end(
    work: &Work<'_>,
    job: &InvokeJob,
    end: End,
    answer: Option<Answer>,
    held: &mut Held<'_>,
) -> Result<(), Lost> {
    let ending = Ending {
        condition: end.condition.to_owned(),
        attempts: end.attempts,
        answer: answer.as_ref().filter(|answer| answer.has_run).map(|answer| EndingAnswer {
            failure: match answer.outcome {
                Outcome::FunctionError(failure) => Some(failure.to_string()),
                _ => None,
            },
            version: answer.report.version,
            bytes: answer.bytes,
            fence: held.token().fence,
        }),
    };
    let body = answer.as_ref().map(|answer| answer.body.clone()).unwrap_or_default();
    if work.envelope.head.is_tracked {
        let task = recorded(work, end, answer.as_ref(), &ending, &body, held).await?;
        // Somebody else has ended it, or this did before a crash: that end stands.
        if let Some(task) = task.filter(|task| task.ending.as_ref() != Some(&ending)) {
            return again(work, job, task, held).await;
        }
    }
    let message = answer.and_then(|answer| answer.message);
    conclude(work, job, end.status, &ending, body, message.as_deref(), held).await
}

/// Writes the end down, however often it takes while the lease holds: the function is not run again
/// because a store is away. `None`: there is no record any more.
async fn recorded(
    work: &Work<'_>,
    end: End,
    answer: Option<&Answer>,
    ending: &Ending,
    body: &Bytes,
    held: &mut Held<'_>,
) -> Result<Option<StoredTask>, Lost> {
    let mut pause = Pause::default();
    loop {
        let error = match held.during(record(work, end, answer, ending, body)).await? {
            Ok(task) => return Ok(Some(task)),
            Err(error) if error.kind() == ErrorKind::TaskNotFound => return Ok(None),
            Err(error) => error,
        };
        let id = &work.envelope.head.task_id;
        tracing::warn!(task = id, %error, "the end of a task is not recorded yet");
        held.pause(&mut pause).await?;
    }
}

/// Ends a task whose record says that it is over: what follows may not have been pushed.
pub(super) async fn again(
    work: &Work<'_>,
    job: &InvokeJob,
    task: StoredTask,
    held: &mut Held<'_>,
) -> Result<(), Lost> {
    let Some(ending) = task.ending.clone() else {
        settle(held, Verdict::Done, &[count_of(task.task.status)]).await?;
        return Ok(());
    };
    let mut pause = Pause::default();
    let result = loop {
        match held.during(work.shared.records.result(work.key(), &task)).await? {
            Ok(result) => break result.unwrap_or_default(),
            Err(error) => {
                let id = &work.envelope.head.task_id;
                tracing::warn!(task = id, %error, "the result of a task is not read yet");
                held.pause(&mut pause).await?;
            }
        }
    };
    let message = task.task.task_error_message;
    conclude(work, job, task.task.status, &ending, result, message.as_deref(), held).await
}

/// Writes the end down, if no other is: gives the record as it is then.
async fn record(
    work: &Work<'_>,
    end: End,
    answer: Option<&Answer>,
    ending: &Ending,
    body: &Bytes,
) -> Result<StoredTask> {
    let records = &work.shared.records;
    if let Some(EndingAnswer { fence, .. }) = ending.answer {
        let most = records.store().capabilities().value_bytes_max;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let kept = body.slice(..body.len().min(most));
        records.keep_result(work.key(), fence, &kept).await?;
    }
    let now = work.shared.wall.now();
    let detail = answer.map(detail).unwrap_or_default();
    let updated = records.update(work.key(), |task| {
        let stepped = task.step(end.status, now, detail.clone());
        if stepped {
            task.ending = Some(ending.clone());
            task.task.already_retried_times = end.attempts.saturating_sub(1);
            if let Some(answer) = answer {
                answer.show(&mut task.task);
            }
        }
        stepped
    });
    updated.await
}

/// Settles a task that is over, and pushes what follows.
async fn conclude(
    work: &Work<'_>,
    job: &InvokeJob,
    status: TaskStatus,
    ending: &Ending,
    body: Bytes,
    message: Option<&str>,
    held: &mut Held<'_>,
) -> Result<(), Lost> {
    let Work { shared, envelope, .. } = work;
    let ended = Ended { envelope, ending, body, status };
    let mut found = None;
    let mut is_deliverable = true;
    let settlement = match follow_up::of(shared, work.account, job, &ended) {
        Ok(follow) => {
            let task = follow.as_ref().map(|follow| follow.task.clone());
            found = follow;
            settlement(status, ending, message, task)
        }
        Err(error) => {
            is_deliverable = false;
            undelivered(work, &error, held).await?;
            Settlement::from(undeliverable(&error))
        }
    };
    let counts = [count_of(status), Count::DeliveryDead];
    match held.settle(settlement).await? {
        Ok(()) if is_deliverable => held.count(&counts[..1]),
        Ok(()) => held.count(&counts),
        Err(error) => {
            // What follows is not one that the queue can keep.
            found = None;
            undelivered(work, &error, held).await?;
            settle(held, undeliverable(&error), &counts).await?;
        }
    }
    if let Some(follow) = &found {
        follow.queued(shared, work.account);
    }
    shared.sideline.lock().over(work.account, &work.function);
    work.tell(status, ending.attempts);
    Ok(())
}

/// A result that goes nowhere is a dead letter if it is a failure (ASY-6).
fn settlement(
    status: TaskStatus,
    ending: &Ending,
    message: Option<&str>,
    follow_up: Option<FollowUp>,
) -> Settlement {
    let is_failure = !matches!(status, TaskStatus::Succeeded | TaskStatus::Stopped);
    let verdict = match (&follow_up, is_failure) {
        (Some(_), _) | (None, false) => Verdict::Done,
        (None, true) => {
            let said = message.map(|message| format!(": {message}")).unwrap_or_default();
            dead_letter(&format!("{}{said}", ending.condition))
        }
    };
    Settlement { verdict, follow_ups: follow_up.into_iter().collect() }
}

fn dead_letter(text: &str) -> Verdict {
    Verdict::Bury { reason: reason(text), note: NO_NOTE }
}

/// As much of a reason as is kept.
pub(super) fn reason(text: &str) -> String {
    text[..text.floor_char_boundary(REASON_BYTES_MAX)].to_owned()
}

/// As what an end is counted.
fn count_of(status: TaskStatus) -> Count {
    match status {
        TaskStatus::Succeeded => Count::EndSucceeded,
        TaskStatus::Expired => Count::EndExpired,
        TaskStatus::Stopped => Count::EndStopped,
        TaskStatus::Invalid => Count::EndInvalid,
        _ => Count::EndFailed,
    }
}

/// What becomes of a result whose destination never gets it.
pub(super) fn undeliverable(error: &Error) -> Verdict {
    dead_letter(&format!("destination: {}", error.message()))
}

/// A result cannot be sent to its destination, and never will be.
async fn undelivered(work: &Work<'_>, error: &Error, held: &mut Held<'_>) -> Result<(), Lost> {
    let id = &work.envelope.head.task_id;
    tracing::warn!(task = id, %error, "a result cannot be delivered");
    delivered(work, false, held).await
}

/// Writes down what became of a task's destination.
pub(super) async fn delivered(
    work: &Work<'_>,
    is_delivered: bool,
    held: &mut Held<'_>,
) -> Result<(), Lost> {
    if !work.envelope.head.is_tracked {
        return Ok(());
    }
    let status = if is_delivered { "Succeeded" } else { "Failed" };
    let updated = work.shared.records.update(work.key(), |task| {
        task.task.destination_status.replace(status.to_owned()).as_deref() != Some(status)
    });
    if let Err(error) = held.during(updated).await? {
        // The delivery itself is done; a record may be swept, too.
        tracing::warn!(task = work.envelope.head.task_id, %error, "a delivery is not recorded");
    }
    Ok(())
}

/// What an event of the task says of an attempt (`alibaba-fc.md` 3.6).
pub(super) fn detail(answer: &Answer) -> String {
    match answer.outcome {
        Outcome::Succeeded => String::new(),
        failed => serde_json::json!({ "Error": failed.error_type() }).to_string(),
    }
}

/// Takes a task out of the queue that is over by its record, and tells its destination. What fails, or is
/// cut off, is made up for by whoever leases the task.
pub(crate) async fn stopped_in_queue(
    shared: &Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    function: &FunctionName,
    task: StoredTask,
) {
    let attempts = task.task.already_retried_times;
    shared.tell(key.account, function, key.id, TaskStatus::Stopped, attempts);
    if let Err(error) = take_out(shared, cx, key, function, task).await {
        tracing::warn!(task = key.id, %error, "a stopped task is left in the queue");
    }
}

async fn take_out(
    shared: &Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    function: &FunctionName,
    task: StoredTask,
) -> Result<()> {
    let envelope = Envelope { body: shared.records.payload(key).await?, head: task.head };
    if let (Job::Invoke(job), Some(ending)) = (&envelope.head.job, &task.ending) {
        let (body, status) = (Bytes::new(), TaskStatus::Stopped);
        let ended = Ended { envelope: &envelope, ending, body, status };
        // Told first: a crash in between tells again, under the same id.
        match follow_up::of(shared, key.account, job, &ended) {
            Ok(Some(follow)) => {
                let FollowUp { lane, task } = follow.task.clone();
                shared.ports.queue.push(cx, &lane, task).await?;
                follow.queued(shared, key.account);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(task = key.id, %error, "a stop cannot be delivered"),
        }
    }
    let lane = Lane::new(&task.lane)?;
    if shared.ports.queue.cancel(cx, &lane, &envelope.queue_id()).await? == Cancelled::Removed {
        shared.counters.add(Count::EndStopped);
        shared.sideline.lock().over(key.account, function);
    }
    Ok(())
}
