//! One invocation on its way, and its answer on the way back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    AccountId, Asynchronous, FailureType, FunctionName, FunctionVersion, InstanceId, Qualifier,
    Request, Response, VersionId,
};

/// Which function is meant.
#[derive(Clone, Debug)]
pub enum Target {
    /// By name: the scheduler asks the catalog.
    Named {
        /// Whose function.
        account: AccountId,
        /// Its name.
        function: FunctionName,
        /// Which version.
        qualifier: Qualifier,
    },
    /// A version that a trigger has already looked up: the one look-up of the request.
    Resolved {
        /// What the catalog gave.
        version: Arc<FunctionVersion>,
        /// What the caller asked for.
        qualifier: Qualifier,
    },
}

/// Which part of the runtime contract a request belongs to (spec `alibaba-fc.md` 5.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InvocationKind {
    /// An event: the function's `POST /invoke`.
    Event,
    /// An HTTP trigger: the caller's own method and path.
    Http,
}

/// Whether the caller wants the invocation's log back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LogType {
    /// No.
    #[default]
    None,
    /// Its last 4 KB.
    Tail,
}

/// One invocation: which function, in what form, for whom.
#[derive(Debug)]
pub struct Invocation {
    /// Which function.
    pub target: Target,
    /// Event or HTTP.
    pub kind: InvocationKind,
    /// The caller's address, if it came over a network.
    pub client_ip: Option<IpAddr>,
    /// Whether the log is wanted.
    pub log: LogType,
    /// Whether it is to be queued, and how. Whoever carries invocations out at once refuses it.
    pub asynchronous: Option<Box<Asynchronous>>,
    /// The payload.
    pub request: Request,
}

impl Invocation {
    /// An event for LATEST of `function`.
    pub fn event(
        account: AccountId,
        function: FunctionName,
        payload: impl Into<crate::Body>,
    ) -> Self {
        Self {
            target: Target::Named { account, function, qualifier: Qualifier::default() },
            kind: InvocationKind::Event,
            client_ip: None,
            log: LogType::None,
            asynchronous: None,
            request: Request::new(payload.into()),
        }
    }
}

/// What the platform tells of an invocation.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The instance that served.
    pub instance: Option<InstanceId>,
    /// The version that served.
    pub version: VersionId,
    /// Whether an instance was started for it.
    pub cold: bool,
    /// From acceptance to a slot.
    pub waited: Duration,
    /// What the instance's start and initializer took, if the invocation was cold.
    pub initialized: Duration,
    /// From the slot to the answer's head.
    pub ran: Duration,
    /// Peak memory of the instance, bytes, where the runtime knows it.
    pub memory_bytes: Option<u64>,
    /// The end of the invocation's log, where it was asked for and the runtime keeps one.
    pub log_tail: Option<Bytes>,
}

/// A function's answer.
#[derive(Debug)]
pub struct Reply {
    /// Head and body. What was reserved for the invocation travels in the body.
    pub response: Response,
    /// How the function says that it failed, if it says so.
    pub failure: Option<FailureType>,
    /// What the platform tells of it.
    pub report: Report,
}

impl Reply {
    /// A success.
    pub fn new(response: Response) -> Self {
        Self { response, failure: None, report: Report::default() }
    }
}
