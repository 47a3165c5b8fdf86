//! A leased task: held while it runs, and settled once.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use fc_core::port::queue::{LeaseToken, Settlement, Verdict};
use fc_core::{Error, ErrorKind, Instant, Result};

use crate::counters::Count;
use crate::engine::Shared;

/// Renewals in the time that a lease holds.
const RENEWALS: u32 = 3;
/// Pause before a settlement is tried again, doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The lease is somebody else's, or may be: whoever holds it now runs the task.
#[derive(Debug)]
pub(super) struct Lost;

/// How long to wait before the next try.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

/// A task that is held here.
pub(super) struct Held<'s> {
    shared: &'s Shared,
    token: LeaseToken,
    /// When it is renewed next.
    renew_at: Instant,
    /// Until when it is surely held.
    ends_at: Instant,
}

impl<'s> Held<'s> {
    /// A task that was leased after `asked_at`.
    pub(super) fn new(shared: &'s Shared, token: LeaseToken, asked_at: Instant) -> Self {
        shared.counters.add(Count::Leased);
        let visibility = shared.config.visibility;
        let renew_at = asked_at + visibility / RENEWALS;
        Self { shared, token, renew_at, ends_at: asked_at + visibility }
    }

    pub(super) fn token(&self) -> &LeaseToken {
        &self.token
    }

    pub(super) fn count(&self, counts: &[Count]) {
        counts.iter().for_each(|count| self.shared.counters.add(*count));
    }

    /// Does `work` and renews the lease meanwhile. `Lost` drops the work half done: it is run
    /// elsewhere, or soon will be.
    pub(super) async fn during<F: Future>(&mut self, work: F) -> Result<F::Output, Lost> {
        let clock = &self.shared.ports.clock.clone();
        let mut work = pin!(work);
        loop {
            match clock.with_deadline(self.renew_at, work.as_mut()).await {
                Ok(output) => return Ok(output),
                Err(_) => self.renew().await?,
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Lost> {
        let (queue, clock) = (&self.shared.ports.queue, &self.shared.ports.clock);
        let visibility = self.shared.config.visibility;
        let asked_at = clock.now();
        // No longer than it holds: an answer that comes later than that says nothing.
        let extended = queue.extend(self.shared.context(), &self.token, visibility);
        match clock.with_deadline(self.ends_at, extended).await {
            Ok(Ok(())) => {
                self.renew_at = asked_at + visibility / RENEWALS;
                self.ends_at = asked_at + visibility;
                Ok(())
            }
            Ok(Err(error)) if error.kind() != ErrorKind::Conflict && clock.now() < self.ends_at => {
                let LeaseToken { lane, task, .. } = &self.token;
                tracing::warn!(%lane, task, %error, "a lease is not renewed yet");
                self.renew_at = (clock.now() + PAUSE_MIN).min(self.ends_at);
                Ok(())
            }
            _ => {
                let LeaseToken { lane, task, .. } = &self.token;
                tracing::warn!(%lane, task, "a lease is lost: its task runs again");
                self.shared.counters.add(Count::LeaseLost);
                Err(Lost)
            }
        }
    }

    /// Ends the lease, however often it takes while it holds. A dead letter is counted here.
    ///
    /// # Errors
    ///
    /// The outer: `Lost`, nothing more is to be done. The inner: `InvalidArgument`, the settlement is
    /// not one that the queue can keep; the task is still held.
    pub(super) async fn settle(
        &mut self,
        settlement: impl Into<Settlement>,
    ) -> Result<Result<(), Error>, Lost> {
        let settlement = settlement.into();
        let settled = self.settle_until_known(&settlement).await?;
        if settled.is_ok() && matches!(settlement.verdict, Verdict::Bury { .. }) {
            self.shared.counters.add(Count::DeadLetter);
        }
        Ok(settled)
    }

    async fn settle_until_known(
        &mut self,
        settlement: &Settlement,
    ) -> Result<Result<(), Error>, Lost> {
        let (shared, token) = (self.shared, self.token.clone());
        let queue = &shared.ports.queue;
        let mut may_be_settled = false;
        let mut pause = Pause::default();
        loop {
            let settled = queue.settle(shared.context(), &token, settlement.clone());
            let error = match self.during(settled).await? {
                Ok(()) => return Ok(Ok(())),
                Err(error) => error,
            };
            match error.kind() {
                // That was us: the answer was lost.
                ErrorKind::Conflict if may_be_settled => return Ok(Ok(())),
                ErrorKind::Conflict => {
                    shared.counters.add(Count::LeaseLost);
                    return Err(Lost);
                }
                ErrorKind::InvalidArgument => return Ok(Err(error)),
                kind => may_be_settled |= kind == ErrorKind::Unknown,
            }
            tracing::warn!(task = token.task, %error, "a task is not settled yet");
            self.pause(&mut pause).await?;
        }
    }

    /// Waits before something is tried again, and holds the lease meanwhile; not while the engine lets
    /// go of what runs, so that whoever shuts down waits no longer than he said.
    pub(super) async fn pause(&mut self, pause: &mut Pause) -> Result<(), Lost> {
        let shared = self.shared;
        let clock = &shared.ports.clock;
        let sleep = clock.sleep_until(clock.now() + pause.0);
        pause.0 = (pause.0 * 2).min(PAUSE_MAX);
        shared.abandoning.run_until_cancelled(self.during(sleep)).await.ok_or(Lost)?
    }
}
