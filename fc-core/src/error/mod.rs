//! One error for the workspace: what happened, whose fault it is, whether doing it again helps.

mod kind;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use kind::{ErrorKind, FailureType};

/// The workspace's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who is billed for it, and who is paged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Blame {
    /// The one who asked: a bad argument, no right, over a quota, gone away.
    Caller,
    /// The function's code or configuration.
    Function,
    /// The platform.
    Platform,
}

/// Whether the same operation may be tried again. Classified where the failure happens, decided
/// where the call was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retry {
    /// The same call fails the same way, or may already have had its effect.
    Never,
    /// It had no effect: try again at will.
    Safe,
    /// It had no effect: try again no earlier than after this.
    After(Duration),
    /// It was tried again, and the attempts are used up.
    Exhausted,
}

/// What went wrong, as a pointer: cheap to return, and every question has one answer.
///
/// The message names the field, the limit and the value, and never holds a secret.
///
/// ```
/// use fc_core::{Blame, Error, ErrorKind, Retry};
/// let error = Error::over_limit("timeout", "seconds", 86_400, 90_000);
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!((error.status().as_u16(), error.blame(), error.retry()),
///            (400, Blame::Caller, Retry::Never));
/// assert_eq!(error.to_string(), "timeout: 90000 seconds is over the limit of 86400");
/// ```
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    message: Cow<'static, str>,
    blame: Blame,
    retry: Retry,
    log_tail: Option<Bytes>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with that kind's blame and retry class.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let (blame, retry) = (kind.blame(), kind.retry());
        let message = message.into();
        Self(Box::new(Repr { kind, message, blame, retry, log_tail: None, source: None }))
    }

    /// `InvalidArgument` about one field.
    pub fn invalid(field: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidArgument, format!("{field}: {what}"))
    }

    /// `InvalidArgument`: `field` has `value` `unit`, and `limit` is the most.
    pub fn over_limit(field: &str, unit: &str, limit: u64, value: u64) -> Self {
        Self::invalid(field, format_args!("{value} {unit} is over the limit of {limit}"))
    }

    /// `InternalServerError`: the platform's fault.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InternalServerError, message)
    }

    /// `FunctionNotFound` in the documented words.
    pub fn function_not_found(name: &str) -> Self {
        Self::new(ErrorKind::FunctionNotFound, format!("function '{name}' does not exist"))
    }

    /// With another retry class than the kind's own.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// With another blame than the kind's own.
    #[must_use]
    pub fn with_blame(mut self, blame: Blame) -> Self {
        self.0.blame = blame;
        self
    }

    /// With the failure that led to it. It is shown by `source()`, never in the message.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// With the end of the log of the invocation that failed, for a caller who asked for it (INV-9).
    #[must_use]
    pub fn with_log_tail(mut self, log_tail: Option<Bytes>) -> Self {
        self.0.log_tail = log_tail;
        self
    }

    /// The end of the log of the invocation that failed, if its caller asked for it.
    pub fn log_tail(&self) -> Option<&Bytes> {
        self.0.log_tail.as_ref()
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        self.0.blame
    }

    /// Whether trying again helps.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The message without the code.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The public error code.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The HTTP status of the public API.
    pub fn status(&self) -> http::StatusCode {
        self.0.kind.status()
    }

    /// An equal error for a second receiver. The source stays with the first.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let Repr { kind, message, blame, retry, .. } = &*self.0;
        Self(Box::new(Repr {
            kind: *kind,
            message: message.clone(),
            blame: *blame,
            retry: *retry,
            log_tail: None,
            source: None,
        }))
    }

    /// The first of our errors in `error` and its chain of sources: what a foreign library wrapped.
    pub fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        // An `io::Error` shows the source of what it wraps, and not what it wraps.
        let next = |error: &'e (dyn std::error::Error + 'static)| {
            let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            match wrapped {
                Some(wrapped) => Some(wrapped as &'e (dyn std::error::Error + 'static)),
                None => error.source(),
            }
        };
        std::iter::successors(Some(error), |error| next(*error))
            .find_map(|error| error.downcast_ref::<Self>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({:?}, {:?})", self.code(), self.0.message, self.0.blame, self.0.retry)?;
        match &self.0.source {
            Some(source) => write!(f, ", from {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn ours_is_found_inside_a_foreign_error() {
        let foreign = std::io::Error::other(Error::invalid("body", "too long"));
        assert_eq!(Error::find(&foreign).map(Error::code), Some("InvalidArgument"));
    }
}
