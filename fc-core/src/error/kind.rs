//! What can happen, and the one table that maps it to codes, statuses, blame and retry.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::{Blame, Retry};

/// How a function failed, as `X-Fc-Error-Type` says (spec `alibaba-fc.md` 2.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailureType {
    /// The function's code reported the error itself.
    Handled,
    /// Anything else raised, a crash, a time-out.
    Unhandled,
    /// The initializer failed or timed out.
    Initialization,
}

impl FailureType {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "HandledInvocationError",
            Self::Unhandled => "UnhandledInvocationError",
            Self::Initialization => "InitializationError",
        }
    }
}

impl fmt::Display for FailureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened. One variant per documented code, and one per way a function can fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value that the contract does not allow.
    InvalidArgument,
    /// A header that must be there is not.
    MissingRequiredHeader,
    /// No such path and method in the API.
    PathNotSupported,
    /// A method that the trigger does not enable.
    MethodNotAllowed,
    /// A payload of the management API over its limit.
    EntityTooLarge,
    /// A count per account or function over its limit.
    LimitExceeded,
    /// No right to do this.
    AccessDenied,
    /// The request's signature is not the computed one.
    SignatureNotMatch,
    /// An access key that does not exist.
    InvalidAccessKeyId,
    /// No such function.
    FunctionNotFound,
    /// No such alias.
    AliasNotFound,
    /// No such version.
    VersionNotFound,
    /// No such domain.
    DomainNameNotFound,
    /// The function has no such trigger.
    TriggerNotFound,
    /// The function has no such asynchronous task.
    TaskNotFound,
    /// Nothing was configured for the function's asynchronous invocations.
    AsyncConfigNotExists,
    /// A task of this id exists (`alibaba-fc.md` 3.7).
    TaskAlreadyExists,
    /// A name that is taken.
    FunctionAlreadyExists,
    /// An alias that is taken.
    AliasAlreadyExists,
    /// A second writer came first.
    ConcurrentUpdateError,
    /// A record changed, or a lease was lost, since it was read.
    Conflict,
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// The function's server did not come up.
    FunctionNotStarted,
    /// Over a quota or a maximum: come back later.
    ResourceExhausted,
    /// The caller went away.
    ClientClosedRequest,
    /// The platform failed.
    InternalServerError,
    /// The function's answer breaks the contract, or its connection broke.
    BadResponse,
    /// The platform has no capacity now, or is shutting down.
    ResourceThrottled,
    /// The operation is not one that the driver declares.
    Unsupported,
    /// It may have been done: the answer was lost. Read back by id.
    Unknown,
    /// The function's initializer failed or timed out.
    InitializationError,
    /// The function ran past its time-out.
    FunctionTimeout,
    /// The function's process or handler died under the request.
    FunctionCrashed,
    /// The function reported a failure itself.
    FunctionFailed,
}

/// Rough time after which a throttled caller may come back.
const THROTTLE_PAUSE: Duration = Duration::from_secs(1);

impl ErrorKind {
    /// Code, HTTP status, blame and retry class, in one place.
    const fn row(self) -> (&'static str, u16, Blame, Retry) {
        use Blame::{Caller, Function, Platform};
        use Retry::{Never, Safe};
        const LATER: Retry = Retry::After(THROTTLE_PAUSE);
        match self {
            Self::InvalidArgument => ("InvalidArgument", 400, Caller, Never),
            Self::MissingRequiredHeader => ("MissingRequiredHeader", 400, Caller, Never),
            Self::PathNotSupported => ("PathNotSupported", 400, Caller, Never),
            Self::MethodNotAllowed => ("MethodNotAllowed", 405, Caller, Never),
            Self::EntityTooLarge => ("EntityTooLarge", 400, Caller, Never),
            Self::LimitExceeded => ("LimitExceededError", 400, Caller, Never),
            Self::AccessDenied => ("AccessDenied", 403, Caller, Never),
            Self::SignatureNotMatch => ("SignatureNotMatch", 403, Caller, Never),
            Self::InvalidAccessKeyId => ("InvalidAccessKeyID", 403, Caller, Never),
            Self::FunctionNotFound => ("FunctionNotFound", 404, Caller, Never),
            Self::AliasNotFound => ("AliasNotFound", 404, Caller, Never),
            Self::VersionNotFound => ("VersionNotFound", 404, Caller, Never),
            Self::DomainNameNotFound => ("DomainNameNotFound", 404, Caller, Never),
            Self::TriggerNotFound => ("TriggerNotFound", 404, Caller, Never),
            Self::TaskNotFound => ("StatefulAsyncInvocationNotFound", 404, Caller, Never),
            Self::AsyncConfigNotExists => ("AsyncConfigNotExists", 404, Caller, Never),
            Self::TaskAlreadyExists => ("StatefulAsyncInvocationAlreadyExists", 409, Caller, Never),
            Self::FunctionAlreadyExists => ("FunctionAlreadyExists", 409, Caller, Never),
            Self::AliasAlreadyExists => ("AliasAlreadyExists", 409, Caller, Never),
            Self::ConcurrentUpdateError => ("ConcurrentUpdateError", 409, Caller, Safe),
            Self::Conflict => ("Conflict", 409, Caller, Never),
            Self::PreconditionFailed => ("PreconditionFailed", 412, Caller, Never),
            Self::FunctionNotStarted => ("FunctionNotStarted", 412, Function, Safe),
            Self::ResourceExhausted => ("ResourceExhausted", 429, Caller, LATER),
            Self::ClientClosedRequest => ("ClientClosedRequest", 499, Caller, Never),
            Self::InternalServerError => ("InternalServerError", 500, Platform, Safe),
            Self::BadResponse => ("BadResponse", 502, Function, Never),
            Self::ResourceThrottled => ("ResourceThrottled", 503, Platform, LATER),
            Self::Unsupported => ("InvalidArgument", 400, Caller, Never),
            Self::Unknown => ("InternalServerError", 500, Platform, Never),
            Self::InitializationError => ("InitializationError", 502, Function, Safe),
            Self::FunctionTimeout => ("FunctionTimeout", 502, Function, Never),
            Self::FunctionCrashed => ("FunctionCrashed", 502, Function, Never),
            Self::FunctionFailed => ("FunctionFailed", 502, Function, Never),
        }
    }

    /// The public code.
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of the public API. A function's failure has this status on an HTTP trigger,
    /// and 200 when it was invoked through the API (spec `alibaba-fc.md` 2.5).
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) const fn blame(self) -> Blame {
        self.row().2
    }

    pub(super) const fn retry(self) -> Retry {
        self.row().3
    }

    /// How the function failed, if it is the function's code that did.
    pub const fn failure(self) -> Option<FailureType> {
        match self {
            Self::InitializationError => Some(FailureType::Initialization),
            Self::FunctionTimeout | Self::FunctionCrashed | Self::FunctionFailed => {
                Some(FailureType::Unhandled)
            }
            _ => None,
        }
    }
}
