//! How an attempt ended, as far as trying again is concerned.

use fc_core::{Blame, Error, ErrorKind, FailureType, Reply, Result};

/// A kind of failure with a schedule and a count of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The function ran, or was to start, and failed.
    FunctionError,
    /// There was no room for it.
    Throttled,
    /// The platform failed.
    System,
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The function succeeded.
    Succeeded,
    /// The function failed.
    FunctionError(FailureType),
    /// A quota or a want of capacity kept it from running (429, 503).
    Throttled,
    /// The platform failed; the function may have run.
    System,
    /// It cannot run, however often it is tried: no such function, a bad argument, no right.
    Invalid(ErrorKind),
}

impl Outcome {
    /// How an attempt ended that gave `result`.
    pub fn of(result: &Result<Reply>) -> Self {
        match result {
            Ok(reply) => Self::of_reply(reply),
            Err(error) => Self::of_error(error),
        }
    }

    /// How an attempt ended that was answered. Whoever reads the answer's body may still meet an
    /// error: that is [`Outcome::of_error`]'s.
    pub fn of_reply(reply: &Reply) -> Self {
        reply.failure.map_or(Self::Succeeded, Self::FunctionError)
    }

    /// How an attempt ended that failed with `error`.
    ///
    /// The error's own blame decides where its kind leaves room: an instance that the platform
    /// stopped under a request is no fault of the function.
    pub fn of_error(error: &Error) -> Self {
        use ErrorKind as Kind;
        match (error.kind(), error.blame()) {
            (Kind::ResourceExhausted | Kind::ResourceThrottled, _) => Self::Throttled,
            // Somebody came first or went away: the platform's doing, as nobody waits for a task.
            (Kind::ConcurrentUpdateError | Kind::Conflict | Kind::ClientClosedRequest, _)
            | (_, Blame::Platform) => Self::System,
            (Kind::FunctionNotStarted, Blame::Function) => {
                Self::FunctionError(FailureType::Initialization)
            }
            (kind, Blame::Function) => {
                Self::FunctionError(kind.failure().unwrap_or(FailureType::Unhandled))
            }
            (kind, Blame::Caller) => Self::Invalid(kind),
        }
    }

    /// What failed, as `X-Fc-Error-Type` or a code says; empty for a success.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::FunctionError(failure) => failure.as_str(),
            Self::Throttled => ErrorKind::ResourceExhausted.code(),
            Self::System => ErrorKind::InternalServerError.code(),
            Self::Invalid(kind) => kind.code(),
            Self::Succeeded => "",
        }
    }

    /// Its class, if it is a failure that may be tried again.
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::FunctionError(_) => Some(Class::FunctionError),
            Self::Throttled => Some(Class::Throttled),
            Self::System => Some(Class::System),
            Self::Succeeded | Self::Invalid(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fc_core::{Body, Response};

    fn of(kind: ErrorKind) -> Outcome {
        Outcome::of_error(&Error::new(kind, "x"))
    }

    #[test]
    fn asy_3_what_is_over_a_quota_or_short_of_room_is_throttled() {
        assert_eq!(of(ErrorKind::ResourceExhausted), Outcome::Throttled);
        assert_eq!(of(ErrorKind::ResourceThrottled), Outcome::Throttled);
    }

    #[test]
    fn asy_3_what_the_platform_did_or_does_not_know_is_a_system_error() {
        for kind in [
            ErrorKind::InternalServerError,
            ErrorKind::Unknown,
            ErrorKind::Conflict,
            ErrorKind::ConcurrentUpdateError,
            ErrorKind::ClientClosedRequest,
        ] {
            assert_eq!(of(kind), Outcome::System, "{kind:?}");
        }
        let stopped = Error::new(ErrorKind::FunctionCrashed, "x").with_blame(Blame::Platform);
        assert_eq!(Outcome::of_error(&stopped), Outcome::System);
    }

    #[test]
    fn asy_2_what_the_function_did_is_a_function_error() {
        use FailureType::{Initialization, Unhandled};
        for (kind, failure) in [
            (ErrorKind::FunctionFailed, Unhandled),
            (ErrorKind::FunctionCrashed, Unhandled),
            (ErrorKind::FunctionTimeout, Unhandled),
            (ErrorKind::BadResponse, Unhandled),
            (ErrorKind::InitializationError, Initialization),
            (ErrorKind::FunctionNotStarted, Initialization),
        ] {
            assert_eq!(of(kind), Outcome::FunctionError(failure), "{kind:?}");
        }
        let handled = Reply {
            failure: Some(FailureType::Handled),
            ..Reply::new(Response::new(Body::default()))
        };
        assert_eq!(Outcome::of(&Ok(handled)), Outcome::FunctionError(FailureType::Handled));
    }

    #[test]
    fn asy_9_what_can_never_run_is_invalid() {
        for kind in [
            ErrorKind::FunctionNotFound,
            ErrorKind::VersionNotFound,
            ErrorKind::AliasNotFound,
            ErrorKind::InvalidArgument,
            ErrorKind::AccessDenied,
            ErrorKind::EntityTooLarge,
            ErrorKind::Unsupported,
        ] {
            assert_eq!(of(kind), Outcome::Invalid(kind));
        }
    }

    #[test]
    fn an_answer_without_a_failure_is_a_success() {
        let reply = Reply::new(Response::new(Body::default()));
        assert_eq!(Outcome::of_reply(&reply), Outcome::Succeeded);
        assert_eq!(Outcome::of(&Ok(reply)), Outcome::Succeeded);
    }
}
