//! From a caller's request to a durable task (INV-2).

use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask, Pushed};
use fc_core::{
    AccountId, Asynchronous, Body, Context, Dialect, Error, ErrorKind, FunctionName, Invocation,
    InvocationKind, Reply, Response, Result, Target, TaskStatus, Timestamp, header,
};
use http::{HeaderValue, StatusCode};

use crate::core::envelope::{Envelope, Head, HttpHead, Job};
use crate::core::stored_task::StoredTask;
use crate::counters::Count;
use crate::engine::Shared;
use crate::tasks::{Created, TaskKey};

/// How often a push whose outcome was not known is done again before its caller is told.
const PUSHES_MAX: u32 = 5;
const PUSH_PAUSE: Duration = Duration::from_millis(50);

/// An invocation that is about to be queued.
struct Submission {
    account: AccountId,
    function: FunctionName,
    envelope: Envelope,
    visible_at: Timestamp,
}

/// Queues an invocation, and answers 202 once it is durable.
pub(crate) async fn enqueue(
    shared: &Arc<Shared>,
    cx: Context,
    invocation: Invocation,
) -> Result<Reply> {
    let (count, answer) = match answer(shared, cx, invocation).await {
        Ok(reply) => (Count::Accepted, Ok(reply)),
        Err(Refusal { count, error }) => (count, Err(error)),
    };
    shared.counters.add(count);
    answer
}

/// Why an invocation is not queued, or may not be.
struct Refusal {
    /// As what it is counted.
    count: Count,
    error: Error,
}

impl Refusal {
    /// Of a payload that was read to its limit, and no further.
    fn of_payload(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidArgument => Self { count: Count::TooLarge, error },
            _ => error.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let count = match error.kind() {
            ErrorKind::TaskAlreadyExists => Count::Duplicate,
            ErrorKind::ResourceExhausted | ErrorKind::ResourceThrottled => Count::Throttled,
            ErrorKind::Unknown => Count::Unknown,
            _ => Count::Refused,
        };
        Self { count, error }
    }
}

async fn answer(
    shared: &Arc<Shared>,
    cx: Context,
    invocation: Invocation,
) -> Result<Reply, Refusal> {
    if shared.closing.is_cancelled() {
        let what = "no invocation is queued any more: the platform is shutting down";
        return Err(Error::new(ErrorKind::ResourceThrottled, what).into());
    }
    let submission = prove(shared, cx, invocation).await?;
    let task_id = submission.envelope.head.task_id.clone();
    submit(shared, cx, submission).await?;
    let mut response = Response::new(Body::EMPTY);
    *response.status_mut() = StatusCode::ACCEPTED;
    let value = HeaderValue::try_from(task_id)
        .map_err(|error| Error::internal("a task's id is no header value").with_source(error))?;
    response.headers_mut().insert(header::ASYNC_TASK_ID, value);
    Ok(Reply::new(response))
}

/// All that may be refused before anything is written.
async fn prove(
    shared: &Arc<Shared>,
    cx: Context,
    invocation: Invocation,
) -> Result<Submission, Refusal> {
    let Invocation { target, kind, client_ip, asynchronous, request, .. } = invocation;
    let Asynchronous { task_id, delay } = asynchronous.map(|boxed| *boxed).unwrap_or_default();
    let (account, function, qualifier) = match target {
        Target::Named { account, function, qualifier } => (account, function, qualifier),
        Target::Resolved { version, qualifier } => {
            (version.account(), version.name().clone(), qualifier)
        }
    };
    // What does not exist, or is disabled, is refused and not queued.
    shared.ports.catalog.resolve(&account, function.as_str(), &qualifier)?;
    let limits = &shared.config.limits;
    if kind == InvocationKind::Http && limits.dialect == Dialect::FunctionGraph {
        let what = "an HTTP function cannot be invoked asynchronously";
        return Err(Error::invalid("invocation type", what).into());
    }
    if let Some(id) = &task_id {
        Asynchronous::check_task_id("task id", id.as_bytes())?;
    }
    let config = shared.configs.of(account, &function, &qualifier);
    let config = config.as_deref().map(|stored| &stored.config);
    let (mut job, is_task) = shared.job(config)?;
    if let Some(delay) = delay {
        let (limit, value) = (shared.config.delay_s_max, delay.as_secs_f64());
        if delay.is_zero() || delay > Duration::from_secs(limit) {
            let what = format_args!("{value} seconds is not in (0, {limit}]");
            return Err(Error::invalid("async delay", what).into());
        }
        shared.policy(&job).check_delay(delay)?;
    }
    let (head, body) = request.into_parts();
    let body = body.read(limits.async_request_body_bytes_max).await;
    let body = body.map_err(Refusal::of_payload)?;
    let http = (kind == InvocationKind::Http).then(|| HttpHead {
        method: head.method.to_string(),
        uri: head.uri.to_string(),
        headers: head.headers.iter().map(|(name, value)| text_of(name, value)).collect(),
    });
    // Rounded up: what is counted from here is never early.
    let accepted = shared.wall.after(Duration::ZERO);
    // Without a delay: at once, whatever the queue's clock says.
    let visible_at = delay.map(|delay| shared.wall.after(delay)).unwrap_or_default();
    job.not_before = visible_at.as_unix_millis();
    job.client_ip = client_ip;
    job.http = http;
    let head = Head {
        account: account.to_string(),
        function: function.to_string(),
        qualifier: qualifier.to_string(),
        is_tracked: is_task || task_id.is_some(),
        // By the grammar of those that callers give it is none, and so nobody else's.
        task_id: task_id.unwrap_or_else(|| cx.request_id.to_string()),
        request_id: cx.request_id.to_string(),
        accepted_at: accepted.as_unix_millis(),
        depth: 0,
        job: Job::Invoke(job),
    };
    Ok(Submission { account, function, envelope: Envelope { head, body }, visible_at })
}

async fn submit(shared: &Arc<Shared>, cx: Context, submission: Submission) -> Result<()> {
    let Submission { account, function, envelope, visible_at } = submission;
    let payload = envelope.encode()?;
    let task = NewTask::new(envelope.queue_id(), payload).visible_at(visible_at);
    let queued = Queued::count(shared, account, &function);
    if !envelope.head.is_tracked {
        return push(shared, cx, queued, task).await;
    }
    let key = TaskKey { account, function: function.as_str(), id: &envelope.head.task_id };
    let arn = shared.arn(account, &function);
    let record = StoredTask::new(envelope.head.clone(), &queued.lane, arn);
    match shared.records.create(key, &record, &envelope.body).await {
        Ok(Created::New) => {}
        Ok(Created::Exists(first)) => return Err(already_exists(shared, cx, key, &first).await),
        Err(error) => return Err(give_up(shared, key, &record, error).await),
    }
    match push(shared, cx, queued, task).await {
        Ok(()) => {
            shared.tell(account, &function, key.id, TaskStatus::Enqueued, 0);
            Ok(())
        }
        Err(error) => Err(give_up(shared, key, &record, error).await),
    }
}

/// The lane of a new task, which is counted there unless it is not queued after all.
struct Queued<'q> {
    shared: &'q Arc<Shared>,
    account: AccountId,
    function: &'q FunctionName,
    lane: Lane,
    is_queued: bool,
}

impl<'q> Queued<'q> {
    fn count(shared: &'q Arc<Shared>, account: AccountId, function: &'q FunctionName) -> Self {
        let is_aside = shared.sideline.lock().enqueue(account, function);
        let lane = shared.lane(account, function, is_aside);
        Self { shared, account, function, lane, is_queued: false }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if !self.is_queued {
            self.shared.sideline.lock().over(self.account, self.function);
        }
    }
}

/// A task that was refused leaves no record that would take its name. One that may be queued keeps it.
async fn give_up(
    shared: &Arc<Shared>,
    key: TaskKey<'_>,
    record: &StoredTask,
    error: Error,
) -> Error {
    if error.kind() == ErrorKind::Unknown {
        return error;
    }
    match shared.records.withdraw(key, record).await {
        Ok(true) => error,
        // Another submission of this id has pushed it, or will: it may run.
        Ok(false) => may_run(&error),
        Err(second) => {
            tracing::warn!(task = key.id, error = %second, "the record of a refused task is left");
            may_run(&error)
        }
    }
}

/// What is told of a task that was refused at last, and may have been taken before.
fn may_run(error: &Error) -> Error {
    let what = format!("the invocation may be queued: {}", error.message());
    Error::new(ErrorKind::Unknown, what)
}

/// What the second of two is told. If the first was cut off between its record and its push, nobody
/// would ever run it: the push is done for it, before anybody is told that the task exists.
async fn already_exists(
    shared: &Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    first: &StoredTask,
) -> Error {
    let is_untouched = first.task.events.len() <= 1 && first.task.status == TaskStatus::Enqueued;
    if is_untouched
        && !first.is_vouched
        && let Err(error) = complete(shared, cx, key, first).await
    {
        return error;
    }
    let what = format!("asynchronous task '{}' already exists", key.id);
    Error::new(ErrorKind::TaskAlreadyExists, what)
}

/// Pushes what the first submission would have.
async fn complete(
    shared: &Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    first: &StoredTask,
) -> Result<()> {
    let Some(body) = shared.records.sent(key).await? else {
        // It is being written just now, or its writer died: there is nothing that could be run.
        return Err(being_submitted(key));
    };
    let envelope = Envelope { head: first.head.clone(), body };
    let Job::Invoke(job) = &envelope.head.job else {
        return Ok(());
    };
    let visible_at = Timestamp::from_unix_millis(job.not_before);
    let task = NewTask::new(envelope.queue_id(), envelope.encode()?).visible_at(visible_at);
    let function = FunctionName::new(key.function)?;
    let mut queued = Queued::count(shared, key.account, &function);
    queued.lane = Lane::new(&first.lane)?;
    push(shared, cx, queued, task).await?;
    let vouched = shared.records.update(key, |task| !std::mem::replace(&mut task.is_vouched, true));
    match vouched.await {
        Ok(_) => Ok(()),
        // Taken back meanwhile: what was pushed has no record, and does not run.
        Err(error) if error.kind() == ErrorKind::TaskNotFound => Err(being_submitted(key)),
        Err(error) => Err(error),
    }
}

fn being_submitted(key: TaskKey<'_>) -> Error {
    let what = format!("asynchronous task '{}' is being submitted", key.id);
    Error::new(ErrorKind::ResourceThrottled, what)
}

async fn push(
    shared: &Arc<Shared>,
    cx: Context,
    mut queued: Queued<'_>,
    task: NewTask,
) -> Result<()> {
    let pushed = push_until_known(shared, cx, &queued.lane, task).await?;
    queued.is_queued = pushed == Pushed::New;
    shared.lanes.found(shared, &queued.lane);
    Ok(())
}

/// Pushes; again, if the outcome is not known: a known id changes nothing.
async fn push_until_known(
    shared: &Arc<Shared>,
    cx: Context,
    lane: &Lane,
    task: NewTask,
) -> Result<Pushed> {
    let mut pushes = 1;
    loop {
        let pushed = shared.ports.queue.push(cx, lane, task.clone()).await;
        match pushed {
            // What an earlier push did is not known: this refusal does not say that nothing runs (I4).
            Err(error) if error.kind() != ErrorKind::Unknown && pushes > 1 => {
                return Err(may_run(&error));
            }
            Err(error) if error.kind() == ErrorKind::Unknown && pushes < PUSHES_MAX => {
                let clock = &shared.ports.clock;
                clock.sleep_until(clock.now() + PUSH_PAUSE * pushes).await;
                pushes += 1;
            }
            pushed => return pushed,
        }
    }
}

fn text_of(name: &http::HeaderName, value: &HeaderValue) -> (String, String) {
    (name.to_string(), value.as_bytes().iter().copied().map(char::from).collect())
}
