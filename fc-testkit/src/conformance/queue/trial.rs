//! What the cases have in common.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, FollowUp, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, Settlement,
    TaskView, Verdict as End,
};
use fc_core::{Clock, Context, Deadline, Error, Queue, RequestId, RequestIds, Timestamp};

use super::Subject;
use crate::conformance::{PATIENCE, Verdict, done, ensure, equal, soon};

/// A lease that ends while the case waits for it.
pub(super) const SHORT: Duration = Duration::from_millis(150);
/// A lease that does not end during a case.
pub(super) const HOLD: Duration = Duration::from_secs(45);
/// How long a case waits for what must come: longer than it may take, and less than `HOLD`.
pub(super) const WAIT: Duration = Duration::from_secs(5);
/// A time that has passed.
pub(super) const PAST: Timestamp = Timestamp::from_unix_millis(0);
/// The largest limit that a case tries out, bytes: what is above is taken on trust.
pub(super) const TRIED_MAX: u64 = 64 * 1024 * 1024;

/// One run of a case: a queue, and lanes that no other run uses.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lane: Lane,
}

impl Trial {
    pub(super) fn new(subject: &Subject) -> Result<Self, String> {
        let clock = subject.clock().clone();
        let id = RequestIds::from_machine().next(clock.wall());
        Ok(Self { queue: subject.queue(), clock, lane: named(&id.to_string())? })
    }

    /// The queue as it is after it was opened again.
    pub(super) async fn reopen(self, subject: &Subject) -> Self {
        let Self { queue, clock, lane } = self;
        drop(queue);
        subject.reopen().await;
        Self { queue: subject.queue(), clock, lane }
    }

    /// The same with another lane, whose name begins with this one's.
    pub(super) fn beside(&self, suffix: &str) -> Result<Self, String> {
        let lane = named(&format!("{}{suffix}", self.lane))?;
        Ok(Self { queue: self.queue.clone(), clock: self.clock.clone(), lane })
    }

    pub(super) fn cx(&self) -> Context {
        Context::new(RequestId::NIL)
    }

    /// A context with a soft deadline after `span`.
    pub(super) fn within(&self, span: Duration) -> Context {
        let soft = self.clock.now() + span;
        self.cx().with_deadline(Deadline { soft, hard: soft + PATIENCE })
    }

    /// The time after `ms` milliseconds.
    pub(super) fn at(&self, ms: u64) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.wall().as_unix_millis() + ms)
    }

    pub(super) async fn sleep(&self, span: Duration) {
        self.clock.sleep_until(self.clock.now() + span).await;
    }

    pub(super) async fn push(&self, task: NewTask) -> Result<Pushed, String> {
        done("push", self.queue.push(self.cx(), &self.lane, task).await)
    }

    /// Pushes a task that must be new.
    pub(super) async fn add(&self, task: NewTask) -> Verdict {
        let what = format!("push of the new task '{}'", task.id);
        equal(&what, self.push(task).await?, Pushed::New)
    }

    pub(super) async fn add_all(&self, ids: &[&str]) -> Verdict {
        for id in ids {
            self.add(task(id)).await?;
        }
        Ok(())
    }

    pub(super) async fn lease(&self, max: usize, span: Duration) -> Result<Vec<Leased>, String> {
        done("lease", self.queue.lease(self.cx(), &self.lane, max, span).await)
    }

    /// Leases `count` tasks, in as many calls as the queue needs, as soon as it gives them.
    pub(super) async fn take(&self, count: usize, span: Duration) -> Result<Vec<Leased>, String> {
        let taking = async {
            let mut taken = Vec::new();
            while taken.len() < count {
                let more = self.lease(count - taken.len(), span).await?;
                if more.is_empty() {
                    self.sleep(Duration::from_millis(3)).await;
                }
                taken.extend(more);
            }
            Ok::<_, String>(taken)
        };
        soon(&format!("a lease of {count} tasks"), taking).await?
    }

    pub(super) async fn take_one(&self, span: Duration) -> Result<Leased, String> {
        self.take(1, span).await?.pop().ok_or_else(|| "no task was leased".into())
    }

    /// Pushes a new task and leases it: nothing else may be visible.
    pub(super) async fn hold(&self, id: &str, span: Duration) -> Result<Leased, String> {
        self.add(task(id)).await?;
        let held = self.take_one(span).await?;
        equal("the leased task", &*held.token.task, id)?;
        Ok(held)
    }

    /// Pushes a new task, leases it and sets it aside.
    pub(super) async fn bury(&self, id: &str) -> Verdict {
        let held = self.hold(id, HOLD).await?;
        self.settled("bury", &held.token, buried("why", "buried")).await
    }

    /// Nothing can be leased now.
    pub(super) async fn none(&self, why: &str) -> Verdict {
        let leased: Vec<_> = self.lease(10, HOLD).await?;
        ensure(leased.is_empty(), || format!("{why}: leased {leased:?}, must be nothing"))
    }

    pub(super) async fn settle(
        &self,
        token: &LeaseToken,
        settlement: impl Into<Settlement>,
    ) -> Result<(), Error> {
        self.queue.settle(self.cx(), token, settlement.into()).await
    }

    /// A settlement that must succeed.
    pub(super) async fn settled(
        &self,
        what: &str,
        token: &LeaseToken,
        settlement: impl Into<Settlement>,
    ) -> Verdict {
        done(what, self.settle(token, settlement).await)
    }

    pub(super) async fn extend(&self, token: &LeaseToken, span: Duration) -> Result<(), Error> {
        self.queue.extend(self.cx(), token, span).await
    }

    pub(super) async fn cancel(&self, id: &str) -> Result<Cancelled, String> {
        done("cancel", self.queue.cancel(self.cx(), &self.lane, id).await)
    }

    pub(super) async fn redrive(
        &self,
        id: Option<&str>,
        at: Timestamp,
        note: &'static str,
    ) -> Result<u64, String> {
        let note = Bytes::from_static(note.as_bytes());
        done("redrive", self.queue.redrive(self.cx(), &self.lane, id, at, note).await)
    }

    pub(super) async fn purge(&self, place: Place) -> Result<u64, String> {
        done("purge", self.queue.purge(self.cx(), &self.lane, place).await)
    }

    pub(super) async fn depth(&self) -> Result<LaneDepth, String> {
        done("depth", self.queue.depth(&self.lane).await)
    }

    /// What waits, what is leased, what is buried.
    pub(super) async fn counts(&self) -> Result<(u64, u64, u64), String> {
        let depth = self.depth().await?;
        Ok((depth.waiting, depth.leased, depth.buried))
    }

    pub(super) async fn views(&self, place: Place) -> Result<Vec<TaskView>, String> {
        done("list", self.queue.list(&self.lane, place, None, 1_000).await)
    }

    pub(super) async fn ids(&self, place: Place) -> Result<Vec<String>, String> {
        Ok(self.views(place).await?.into_iter().map(|view| view.id).collect())
    }
}

/// A task that is visible at once, whose payload names it.
pub(super) fn task(id: &str) -> NewTask {
    NewTask::new(id, format!("payload of {id}"))
}

pub(super) fn noted(id: &str, note: &'static str) -> NewTask {
    NewTask { note: note.into(), ..task(id) }
}

pub(super) fn retried(at: Timestamp, note: &'static str) -> End {
    End::Retry { at, note: note.into() }
}

pub(super) fn buried(reason: &str, note: &'static str) -> End {
    End::Bury { reason: reason.into(), note: note.into() }
}

pub(super) fn with(verdict: End, follow_ups: Vec<FollowUp>) -> Settlement {
    Settlement { verdict, follow_ups }
}

pub(super) fn named(name: &str) -> Result<Lane, String> {
    done("lane", Lane::new(name))
}

pub(super) fn by_id(mut leased: Vec<Leased>) -> Vec<Leased> {
    leased.sort_by(|one, other| one.token.task.cmp(&other.token.task));
    leased
}
