//! The functions, which see what is run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc::core::{Clock, ErrorKind, FailureType, Invocation, Invoke, Target};
use fc::{Body, Context, Error, Reply, Response, Result};
use fc_testkit::SimClock;
use fc_testkit::history::{Branch, Outcome, What};
use parking_lot::Mutex;

use crate::gate::Life;
use crate::log::Log;
use crate::truth::{Shared, payload_of, record_of};
use crate::workload::{Act, act, depth_of};

/// The functions as one process runs them.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) seed: u64,
    pub(crate) life: Arc<Life>,
    pub(crate) log: Log,
    pub(crate) clock: SimClock,
    pub(crate) facts: Shared,
    /// Attempts of each task, of all processes.
    pub(crate) attempts: Arc<Mutex<HashMap<String, u32>>>,
}

/// An attempt; dropped without an end, it was given up, unless its process died.
struct Running<'w> {
    witness: &'w Witness,
    task: String,
    fence: u64,
    is_over: bool,
}

impl Running<'_> {
    fn end(&mut self, outcome: Outcome) {
        self.is_over = true;
        if !self.witness.life.is_dead() {
            let (task, fence) = (self.task.clone(), self.fence);
            let end = What::AttemptEnd { task, fence, outcome };
            self.witness.log.record(&self.witness.life.host, end);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Outcome::Unknown);
        }
    }
}

#[async_trait]
impl Invoke for Witness {
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        /// What the platform gives a function.
        const TIMEOUT: Duration = Duration::from_secs(90);
        self.life.seen.lock().asked();
        self.life.step().await;
        let Target::Named { function, .. } = &invocation.target else {
            panic!("by name");
        };
        let function = function.to_string();
        let payload = invocation.request.into_body().read(1 << 20).await?;
        let text = String::from_utf8_lossy(&payload).into_owned();
        let host = &self.life.host;
        let task = match record_of(&payload) {
            Some(told) => {
                let branch = if function == "bad" { Branch::Failure } else { Branch::Success };
                let dest = What::Dest { task: told.source, branch, ok: true, body: None };
                self.log.record(host, dest);
                format!("{function}/{}-{}", cx.request_id, depth_of(&function))
            }
            None => format!("{function}/{}", text.split(' ').next().unwrap_or_default()),
        };
        let n = {
            let mut attempts = self.attempts.lock();
            let n = attempts.entry(task.clone()).or_default();
            *n += 1;
            *n
        };
        let fence = self.facts.lock().fence(&task);
        self.log.record(
            host,
            What::AttemptBegin {
                task: task.clone(),
                n,
                instance: host.clone(),
                fence,
                payload: payload_of(&payload),
            },
        );
        let mut running = Running { witness: self, task, fence, is_over: false };
        let answer = |failure| {
            let body = Body::from(format!("answer {n}"));
            Ok(Reply { failure, ..Reply::new(Response::new(body)) })
        };
        self.life.step().await;
        let (outcome, reply) = match act(self.seed, &running.task, n - 1) {
            Act::Echo => (Outcome::Success, answer(None)),
            Act::Fail => (Outcome::FunctionError, answer(Some(FailureType::Unhandled))),
            Act::Error(kind) => {
                let outcome = match kind {
                    ErrorKind::ResourceExhausted => Outcome::Throttled,
                    _ => Outcome::SystemError,
                };
                (outcome, Err(Error::new(kind, "as told")))
            }
            Act::Take(time) => {
                self.clock.sleep_until(self.clock.now() + time).await;
                (Outcome::Success, answer(None))
            }
            Act::Never => {
                self.clock.sleep_until(self.clock.now() + TIMEOUT).await;
                let error = Error::new(ErrorKind::FunctionTimeout, "90 seconds are over");
                (Outcome::FunctionError, Err(error))
            }
        };
        self.life.step().await;
        running.end(outcome);
        reply
    }
}
