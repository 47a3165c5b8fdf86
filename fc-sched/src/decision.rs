//! Why an invocation went where it went (OBS-6).

use std::fmt::Debug;
use std::time::Duration;

use fc_core::{Error, FunctionVersion, InstanceId, NodeId, RequestId};

use crate::core::WaitsFor;

/// What was decided for one invocation, and why.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'d> {
    /// The invocation.
    pub request_id: RequestId,
    /// What it invoked.
    pub version: &'d FunctionVersion,
    /// What it got.
    pub outcome: Outcome<'d>,
    /// How long it waited for that.
    pub waited: Duration,
    /// What it waited for; `None`: a slot was free.
    pub waited_for: Option<WaitsFor>,
}

/// What an invocation got.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'d> {
    /// A slot of an instance.
    Slot {
        /// The instance.
        instance: InstanceId,
        /// Its node: the best fit, in the zone with the fewest of the function's instances, when the
        /// instance was started.
        node: &'d NodeId,
        /// Whether the instance was started while the invocation waited.
        cold: bool,
        /// What its start and its initializer took.
        initialized: Duration,
    },
    /// Nothing: the error names the quota or the limit, its value and its use.
    Refused(&'d Error),
}

/// Who is told of decisions.
///
/// Called on the request's own task for every invocation: it answers at once, and does not block.
pub trait DecisionSink: Debug + Send + Sync + 'static {
    /// Takes note of a decision.
    fn decided(&self, decision: &Decision<'_>);
}

impl Decision<'_> {
    /// Tells it as fields of an event, which costs a comparison when nobody listens.
    pub(crate) fn trace(&self) {
        let Self { request_id, version, outcome, waited, waited_for } = *self;
        let waited_us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let function = version.name();
        match outcome {
            Outcome::Slot { instance, node, cold, initialized } => tracing::debug!(
                target: "fc::decision",
                %request_id, %function, account = %version.account(), version = %version.id(),
                %instance, %node, cold, waited_us, ?waited_for,
                initialized_us = u64::try_from(initialized.as_micros()).unwrap_or(u64::MAX),
            ),
            Outcome::Refused(error) => tracing::debug!(
                target: "fc::decision",
                %request_id, %function, account = %version.account(), version = %version.id(),
                waited_us, ?waited_for, code = error.code(), refused = %error,
            ),
        }
    }
}
