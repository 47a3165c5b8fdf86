//! What becomes of one leased task. [`run`] is the page to read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{Lane, Leased, Verdict};
use fc_core::{
    AccountId, Error, ErrorKind, FunctionName, Instant, Qualifier, Result, Target, TaskStatus,
    Timestamp,
};
use tokio_util::sync::CancellationToken;

use super::attempt::{Answer, attempt};
use super::deliver;
use super::ending::{self, End};
use super::lease::{Held, Lost};
use crate::core::envelope::{Envelope, InvokeJob, Job};
use crate::core::retry::{Next, Outcome, Progress, RetryPolicy};
use crate::core::stored_task::StoredTask;
use crate::counters::Count;
use crate::engine::{NO_NOTE, Shared};
use crate::tasks::TaskKey;

/// The condition of a task whose holders died again and again: it may be what kills them (I11).
const HOLDERS_LOST: &str = "HoldersLost";

/// What a task has shown of the capacity behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Load {
    /// There was enough.
    Fits,
    /// There was not.
    Exceeds,
    /// Nothing.
    Unknown,
}

/// A task that is held, and all that is known of it.
pub(super) struct Work<'w> {
    pub(super) shared: &'w Arc<Shared>,
    pub(super) envelope: Envelope,
    pub(super) account: AccountId,
    pub(super) function: FunctionName,
    pub(super) qualifier: Qualifier,
    pub(super) progress: Progress,
    /// Leases whose holders did not say what became of them: they died, or lost them.
    lost_leases: u32,
    /// It was a dead letter, and an operator lets it run again.
    is_redriven: bool,
}

impl Work<'_> {
    pub(super) fn key(&self) -> TaskKey<'_> {
        let (function, id) = (self.function.as_str(), &*self.envelope.head.task_id);
        TaskKey { account: self.account, function, id }
    }

    /// The same for the same attempt of the same task, whoever runs it (FNV-1a).
    pub(super) fn seed(&self) -> u64 {
        let attempt = self.progress.attempts().to_le_bytes();
        let bytes = self.envelope.head.task_id.bytes().chain(attempt);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Nobody has tried it, and nobody has redriven it.
    fn is_first(&self) -> bool {
        self.progress.attempts() == 0 && !self.is_redriven
    }

    /// What was known of it when it was leased.
    fn note(&self) -> Bytes {
        if self.is_first() { NO_NOTE } else { note_of(&self.progress) }
    }

    pub(super) fn tell(&self, status: TaskStatus, attempts: u32) {
        let id = &self.envelope.head.task_id;
        self.shared.tell(self.account, &self.function, id, status, attempts);
    }
}

/// The note of a task that was accepted `now`.
pub(crate) fn fresh_note(now: Timestamp) -> Bytes {
    note_of(&Progress::new(now))
}

/// What is kept of a task's attempts while it waits.
pub(super) fn note_of(progress: &Progress) -> Bytes {
    Bytes::copy_from_slice(&progress.encode())
}

/// Runs a leased task, and settles it. Whatever happens, the task is settled, or its lease ends and
/// somebody leases it again.
pub(super) async fn run(shared: &Arc<Shared>, leased: Leased, asked_at: Instant) -> Load {
    let mut held = Held::new(shared, leased.token.clone(), asked_at);
    let envelope = Envelope::decode(&leased.payload);
    let work = envelope.and_then(|envelope| work(shared, envelope, &leased));
    let done = match work {
        Ok(work) => match &work.envelope.head.job {
            Job::Invoke(job) => invoke(&work, job, &mut held).await,
            Job::Deliver { destination, status } => {
                deliver::deliver(&work, destination, *status, &mut held).await
            }
        },
        Err(error) => bury(&mut held, &error, leased.note).await,
    };
    done.unwrap_or(Load::Unknown)
}

fn work<'w>(shared: &'w Arc<Shared>, envelope: Envelope, leased: &Leased) -> Result<Work<'w>> {
    let head = &envelope.head;
    let progress = if leased.note.is_empty() {
        Progress::new(Timestamp::from_unix_millis(head.accepted_at))
    } else {
        Progress::decode(&leased.note)?
    };
    Ok(Work {
        shared,
        account: head.account.parse()?,
        function: head.function.parse()?,
        qualifier: head.qualifier.parse()?,
        envelope,
        lost_leases: leased.leases_before.saturating_sub(progress.attempts()),
        is_redriven: !leased.note.is_empty() && progress.attempts() == 0,
        progress,
    })
}

/// A task that this version of the engine cannot read is kept for one that can.
async fn bury(held: &mut Held<'_>, error: &Error, note: Bytes) -> Result<Load, Lost> {
    tracing::error!(task = held.token().task, %error, "a task cannot be read");
    let verdict = Verdict::Bury { reason: ending::reason(error.message()), note };
    settle(held, verdict, &[]).await
}

/// Settles with what the queue cannot refuse, and counts what that is.
pub(super) async fn settle(
    held: &mut Held<'_>,
    verdict: Verdict,
    counts: &[Count],
) -> Result<Load, Lost> {
    match held.settle(verdict).await? {
        Ok(()) => held.count(counts),
        Err(error) => {
            tracing::error!(task = held.token().task, %error, "a settlement was refused");
        }
    }
    Ok(Load::Unknown)
}

async fn invoke(work: &Work<'_>, job: &InvokeJob, held: &mut Held<'_>) -> Result<Load, Lost> {
    let Work { shared, envelope, .. } = work;
    let not_before = Timestamp::from_unix_millis(job.not_before);
    if work.is_first() && !due(shared, not_before, held).await? {
        let verdict = Verdict::Retry { at: not_before, note: NO_NOTE };
        return settle(held, verdict, &[Count::GivenBack]).await;
    }
    let now = shared.wall.now();
    let policy = shared.policy(job);
    if policy.is_expired(&work.progress, now) {
        let end = End::expired(&policy, work.progress.attempts());
        return unrun(work, job, end, held).await;
    }
    if work.lost_leases > shared.config.lost_leases_max && !work.is_redriven {
        let end = End::failed(HOLDERS_LOST, work.progress.attempts() + work.lost_leases);
        return unrun(work, job, end, held).await;
    }
    if envelope.head.is_tracked {
        match held.during(begin(work, held.token().lane.clone())).await? {
            Ok(Begin::Run) => {}
            Ok(Begin::Stop) => {
                let end = End::stopped(&policy, work.progress.attempts());
                return unrun(work, job, end, held).await;
            }
            Ok(Begin::Over(task)) => {
                ending::again(work, job, *task, held).await?;
                return Ok(Load::Unknown);
            }
            Ok(Begin::Refused) => {
                return settle(held, Verdict::Done, &[Count::Withdrawn]).await;
            }
            Err(error) => {
                tracing::warn!(task = envelope.head.task_id, %error, "no record can be kept");
                let answer = Answer::none(Outcome::System, error.message().to_owned());
                return decide(work, job, &policy, answer, held).await;
            }
        }
    }
    if shared.closing.is_cancelled() {
        // Leased before the engine was told to close, and not begun (I28): for whoever comes next.
        let verdict = Verdict::Retry { at: shared.wall.now(), note: work.note() };
        return settle(held, verdict, &[Count::GivenBack]).await;
    }
    // Writing that down took its time (I7).
    if policy.is_expired(&work.progress, shared.wall.now()) {
        let end = End::expired(&policy, work.progress.attempts());
        return unrun(work, job, end, held).await;
    }
    work.tell(TaskStatus::Running, work.progress.attempts());
    let target = Target::Named {
        account: work.account,
        function: work.function.clone(),
        qualifier: work.qualifier.clone(),
    };
    let stop = Stop::register(work);
    let attempted = attempt(shared, envelope, job, target, work.progress.attempts());
    let attempted = held.during(async {
        tokio::select! {
            biased;
            answer = attempted => Attempted::Answered(Box::new(answer)),
            () = stop.asked(work) => Attempted::Stopped,
            () = shared.abandoning.cancelled() => Attempted::Abandoned,
        }
    });
    match attempted.await? {
        Attempted::Answered(answer) => decide(work, job, &policy, *answer, held).await,
        Attempted::Stopped => {
            let end = End::stopped(&policy, work.progress.attempts() + 1);
            unrun(work, job, end, held).await
        }
        Attempted::Abandoned => {
            let note = note_of(&work.progress.after(Outcome::System));
            let verdict = Verdict::Retry { at: shared.wall.now(), note };
            settle(held, verdict, &[Count::GivenBack]).await
        }
    }
}

/// Ends a task without an answer.
async fn unrun(
    work: &Work<'_>,
    job: &InvokeJob,
    end: End,
    held: &mut Held<'_>,
) -> Result<Load, Lost> {
    ending::end(work, job, end, None, held).await?;
    Ok(Load::Unknown)
}

/// Waits for a time that the queue's clock has reached and ours has not (I5), as it may be a fraction of
/// a millisecond ahead, or more; no longer than a while, and not while the engine closes. Whether it
/// has come.
async fn due(
    shared: &Arc<Shared>,
    not_before: Timestamp,
    held: &mut Held<'_>,
) -> Result<bool, Lost> {
    const LONGEST: Duration = Duration::from_secs(1);
    if shared.wall.now() < not_before {
        let clock = &shared.ports.clock;
        let until = shared.wall.instant(not_before).min(clock.now() + LONGEST);
        held.during(shared.closing.run_until_cancelled(clock.sleep_until(until))).await?;
    }
    Ok(shared.wall.now() >= not_before)
}

enum Attempted {
    Answered(Box<Answer>),
    Stopped,
    Abandoned,
}

enum Begin {
    Run,
    Stop,
    Over(Box<StoredTask>),
    Refused,
}

/// Writes down that a task is begun, if it still may.
async fn begin(work: &Work<'_>, lane: Lane) -> Result<Begin> {
    let Work { shared, envelope, .. } = work;
    let now = shared.wall.now();
    let attempts = work.progress.attempts();
    let begun = shared.records.update(work.key(), |task| {
        if work.is_redriven && task.task.status.is_final() {
            task.reopen(now);
        }
        let begun = task.step(TaskStatus::Dequeued, now, String::new())
            && task.step(TaskStatus::Running, now, String::new());
        if begun {
            task.task.already_retried_times = attempts;
        }
        begun
    });
    match begun.await {
        Ok(task) if task.task.status == TaskStatus::Running => Ok(Begin::Run),
        Ok(task) if task.task.status.is_final() => Ok(Begin::Over(Box::new(task))),
        Ok(_) => Ok(Begin::Stop),
        // The task of a chain is recorded when it is run: its queue knew of it first.
        Err(error) if error.kind() == ErrorKind::TaskNotFound && envelope.head.depth > 0 => {
            let arn = shared.arn(work.account, &work.function);
            let task = StoredTask::new(envelope.head.clone(), &lane, arn);
            shared.records.create(work.key(), &task, &envelope.body).await?;
            Box::pin(begin(work, lane)).await
        }
        Err(error) if error.kind() == ErrorKind::TaskNotFound => {
            tracing::warn!(task = envelope.head.task_id, "a task without a record was refused");
            Ok(Begin::Refused)
        }
        Err(error) => Err(error),
    }
}

/// What comes after an attempt.
async fn decide(
    work: &Work<'_>,
    job: &InvokeJob,
    policy: &RetryPolicy,
    answer: Answer,
    held: &mut Held<'_>,
) -> Result<Load, Lost> {
    let Work { shared, envelope, .. } = work;
    let now = shared.wall.now();
    let seed = work.seed();
    let whose = (work.account, &work.function);
    let outcome = answer.outcome;
    let decision = shared.budgets.decide(policy, whose, &work.progress, outcome, (now, seed));
    let attempts = decision.progress.attempts();
    let load = match outcome {
        Outcome::Succeeded | Outcome::FunctionError(_) => Load::Fits,
        Outcome::Throttled | Outcome::System => Load::Exceeds,
        Outcome::Invalid(_) => Load::Unknown,
    };
    let end = match decision.next {
        Next::Succeeded => End::succeeded(policy, attempts),
        Next::Failed { condition } => End::failed(condition, attempts),
        Next::Expired { condition } => End::failed(condition, attempts).with(TaskStatus::Expired),
        Next::Invalid { condition } => End::failed(condition, attempts).with(TaskStatus::Invalid),
        Next::Retry { at } => {
            if envelope.head.is_tracked && !retrying(work, &answer, attempts, held).await? {
                let end = End::stopped(policy, attempts);
                ending::end(work, job, end, Some(answer), held).await?;
                return Ok(load);
            }
            let note = note_of(&decision.progress);
            settle(held, Verdict::Retry { at, note }, &[Count::Retried]).await?;
            work.tell(TaskStatus::Retrying, attempts);
            return Ok(load);
        }
    };
    ending::end(work, job, end, Some(answer), held).await?;
    Ok(load)
}

/// Writes down that a task is tried again; `false` if it is to be stopped. A record that cannot be
/// written does not keep the task from being tried again.
async fn retrying(
    work: &Work<'_>,
    answer: &Answer,
    attempts: u32,
    held: &mut Held<'_>,
) -> Result<bool, Lost> {
    let now = work.shared.wall.now();
    let detail = ending::detail(answer);
    let updated = work.shared.records.update(work.key(), |task| {
        let stepped = task.step(TaskStatus::Retrying, now, detail.clone());
        if stepped {
            task.task.already_retried_times = attempts;
            answer.show(&mut task.task);
        }
        stepped
    });
    match held.during(updated).await? {
        Ok(task) => Ok(task.task.status != TaskStatus::Stopping),
        Err(error) => {
            tracing::warn!(task = work.envelope.head.task_id, %error, "a step is not recorded");
            Ok(true)
        }
    }
}

/// A running task that its caller may stop.
struct Stop<'s> {
    shared: &'s Arc<Shared>,
    key: (AccountId, FunctionName, String),
    token: Option<CancellationToken>,
}

impl<'s> Stop<'s> {
    fn register(work: &Work<'s>) -> Self {
        let shared = work.shared;
        let id = work.envelope.head.task_id.clone();
        let key = (work.account, work.function.clone(), id);
        let token = work.envelope.head.is_tracked.then(CancellationToken::new);
        if let Some(token) = &token {
            shared.running.lock().insert(key.clone(), token.clone());
        }
        Self { shared, key, token }
    }

    /// Ready once somebody has asked for a stop: here, or through another process, which the record
    /// tells.
    async fn asked(&self, work: &Work<'_>) {
        let Some(token) = &self.token else {
            return std::future::pending().await;
        };
        let clock = &self.shared.ports.clock;
        loop {
            let next = clock.now() + self.shared.config.stop_poll;
            if clock.with_deadline(next, token.cancelled()).await.is_ok() {
                return;
            }
            let record = self.shared.records.read(work.key()).await;
            if let Ok(Some((task, _))) = record
                && task.task.status == TaskStatus::Stopping
            {
                return;
            }
        }
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if self.token.is_some() {
            self.shared.running.lock().remove(&self.key);
        }
    }
}
