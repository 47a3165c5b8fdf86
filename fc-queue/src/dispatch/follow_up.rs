//! What follows a task that is over: a task that brings its result to a function, a lane, or somewhere
//! else (ASY-5).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{FollowUp, Lane, NewTask};
use fc_core::{
    AccountId, AsyncConfig, Error, FailureType, FunctionName, Qualifier, Result, TaskStatus,
    Timestamp, VersionId,
};

use super::lanes::is_external;
use crate::core::destination::{
    Address, Answer, Edges, FunctionKey, Kind, Record, Source, next_depth,
};
use crate::core::envelope::{Envelope, Head, InvokeJob, Job};
use crate::core::stored_task::Ending;
use crate::engine::Shared;

/// A task that is over.
pub(super) struct Ended<'e> {
    pub(super) envelope: &'e Envelope,
    pub(super) ending: &'e Ending,
    /// What is kept of the function's last answer.
    pub(super) body: Bytes,
    pub(super) status: TaskStatus,
}

/// What follows a task.
pub(super) struct Follow {
    pub(super) task: FollowUp,
    /// The function that it runs, if it runs one.
    function: Option<FunctionName>,
}

impl Follow {
    /// It is queued now.
    pub(super) fn queued(&self, shared: &Arc<Shared>, account: AccountId) {
        if let Some(function) = &self.function {
            shared.sideline.lock().enqueue(account, function);
        }
        shared.lanes.found(shared, &self.task.lane);
    }
}

/// The task that brings a result to where it goes; `None`: it goes nowhere.
///
/// # Errors
///
/// `LimitExceeded` for a chain that is too long, `InvalidArgument` for a record that is too large, or a
/// destination that is none any more.
pub(super) fn of(
    shared: &Shared,
    account: AccountId,
    job: &InvokeJob,
    ended: &Ended<'_>,
) -> Result<Option<Follow>> {
    let is_success = ended.status == TaskStatus::Succeeded;
    let destination = if is_success { &job.on_success } else { &job.on_failure };
    let Some(destination) = destination else {
        return Ok(None);
    };
    let address: Address = destination.parse()?;
    address.check_owner(account)?;
    if let Some(answer) = &ended.ending.answer
        && answer.bytes > ended.body.len() as u64
    {
        let kept = shared.config.result_bytes_max.min(ended.body.len() as u64);
        return Err(Error::over_limit("function's answer", "bytes", kept, answer.bytes));
    }
    let head = &ended.envelope.head;
    let record = record(shared, ended)?;
    shared.ports.destinations.check_size(&address, record.len())?;
    let follow_up = match address {
        Address::Function { function, qualifier, .. } => {
            let depth = next_depth(head.depth, shared.config.depth_max)?;
            let qualifier = qualifier.unwrap_or_default();
            let task = chained(shared, account, head, (&function, &qualifier), depth, record)?;
            return Ok(Some(Follow { task, function: Some(function) }));
        }
        Address::Lane(lane) => plain(lane, head, record)?,
        Address::MnsQueue(queue) if !shared.ports.destinations.serves(Kind::MnsQueue) => {
            plain(mns_lane(account, &queue.name)?, head, record)?
        }
        _ => {
            let job = Job::Deliver { destination: destination.clone(), status: ended.status };
            let accepted_at = shared.wall.after(Duration::ZERO).as_unix_millis();
            let head = Head { job, accepted_at, ..head.clone() };
            let envelope = Envelope { head, body: record };
            let task = NewTask::new(envelope.queue_id(), envelope.encode()?);
            FollowUp { lane: Lane::account(account), task }
        }
    };
    Ok(Some(Follow { task: follow_up, function: None }))
}

/// A result in a lane that an integrator reads.
fn plain(lane: Lane, head: &Head, record: Bytes) -> Result<FollowUp> {
    check_external(&lane)?;
    let id = format!("{}/{}", head.function, head.task_id);
    Ok(FollowUp { lane, task: NewTask::new(id, record) })
}

/// The lane of a queue of the cloud's message service that nobody delivers to.
fn mns_lane(account: AccountId, queue: &str) -> Result<Lane> {
    Lane::new(&format!("{account}/mns:{queue}"))
}

fn check_external(lane: &Lane) -> Result<()> {
    if is_external(lane) {
        return Ok(());
    }
    let what = format_args!(
        "the lane '{lane}' is the platform's own: a lane for results has a ':' in its name"
    );
    Err(Error::invalid("destination", what))
}

/// An invocation of another function with the record.
fn chained(
    shared: &Shared,
    account: AccountId,
    head: &Head,
    (function, qualifier): (&FunctionName, &Qualifier),
    depth: u32,
    record: Bytes,
) -> Result<FollowUp> {
    let config = shared.configs.of(account, function, qualifier);
    let config = config.as_deref().map(|stored| &stored.config);
    let (job, is_tracked) = shared.job(config)?;
    let head = Head {
        account: account.to_string(),
        function: function.to_string(),
        qualifier: qualifier.to_string(),
        // One chain passes a depth once.
        task_id: format!("{}-{depth}", head.request_id),
        request_id: head.request_id.clone(),
        accepted_at: shared.wall.after(Duration::ZERO).as_unix_millis(),
        depth,
        is_tracked,
        job: Job::Invoke(job),
    };
    let envelope = Envelope { head, body: record };
    let task = NewTask::new(envelope.queue_id(), envelope.encode()?);
    // Counted once it is queued.
    let is_aside = shared.sideline.lock().is_aside(account, function);
    Ok(FollowUp { lane: shared.lane(account, function, is_aside), task })
}

/// What the destination is told (`alibaba-fc.md` 3.5).
fn record(shared: &Shared, ended: &Ended<'_>) -> Result<Bytes> {
    let Ended { envelope: Envelope { head, body: request }, ending, body, .. } = ended;
    let (account, function) = (head.account.parse()?, head.function.parse()?);
    let qualifier = head.qualifier.parse()?;
    let version = ending.answer.as_ref().map(|answer| answer.version);
    let source = Source {
        region: &shared.config.region,
        account,
        function: &function,
        qualifier: &qualifier,
        version: version.unwrap_or(VersionId::LATEST),
    };
    let answer = ending.answer.as_ref().map(|answer| Answer {
        status: 200,
        failure: answer.failure.as_deref().map(failure_of),
        payload: body,
    });
    let at: Timestamp = shared.wall.now();
    let record = Record {
        at,
        request_id: &head.request_id,
        source,
        condition: &ending.condition,
        approximate_invoke_count: ending.attempts,
        request,
        answer,
    };
    record.encode(shared.record_form())
}

fn failure_of(text: &str) -> FailureType {
    let all = [FailureType::Handled, FailureType::Initialization];
    all.into_iter().find(|failure| failure.as_str() == text).unwrap_or(FailureType::Unhandled)
}

/// Refuses settings whose destinations are unknown, another's, or close a cycle (ASY-8).
pub(crate) fn check_destinations(
    shared: &Shared,
    account: AccountId,
    function: &FunctionName,
    key: &str,
    config: &AsyncConfig,
) -> Result<()> {
    let mut edges = Edges::default();
    let from = |function: &FunctionName| FunctionKey { account, function: function.clone() };
    for (other, stored) in shared.configs.of_account(account) {
        let owner = other.split('/').nth(2).map(FunctionName::new);
        if other != key
            && let Some(Ok(owner)) = owner
        {
            for address in texts(&stored.config).filter_map(|text| text.parse().ok()) {
                add(&mut edges, from(&owner), account, &address);
            }
        }
    }
    let registry = &shared.ports.destinations;
    for text in texts(config) {
        let address: Address = text.parse()?;
        match &address {
            Address::MnsQueue(queue) if !registry.serves(Kind::MnsQueue) => {
                mns_lane(account, &queue.name)?;
                address.check_owner(account)?;
            }
            _ => _ = registry.configure(account, text)?,
        }
        match &address {
            Address::Function { function: to, qualifier, .. } => {
                let qualifier = qualifier.clone().unwrap_or_default();
                shared.ports.catalog.resolve(&account, to.as_str(), &qualifier).map_err(
                    |error| {
                        Error::invalid("destination", error.message())
                            .with_source(error.duplicate())
                    },
                )?;
            }
            Address::Lane(lane) => check_external(lane)?,
            _ => {}
        }
        add(&mut edges, from(function), account, &address);
    }
    edges.check(&from(function))
}

fn texts(config: &AsyncConfig) -> impl Iterator<Item = &str> {
    let both = config
        .destination_config
        .iter()
        .flat_map(|config| [&config.on_success, &config.on_failure].into_iter().flatten());
    both.map(|to| &*to.destination)
}

fn add(edges: &mut Edges, from: FunctionKey, account: AccountId, to: &Address) {
    if let Address::Function { function, .. } = to {
        edges.add(from, FunctionKey { account, function: function.clone() });
    }
}
