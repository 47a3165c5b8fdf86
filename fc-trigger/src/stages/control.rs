//! The `x-fc-*` headers that a caller may send (`alibaba-fc.md` 2.1).

use fc_core::header::{
    ASYNC_DELAY, ASYNC_TASK_ID, INVOCATION_TYPE, LOG_TYPE, STATEFUL_INVOCATION_ID,
};
use fc_core::{Error, LogType, Result};
use http::{HeaderMap, HeaderName};

use super::survey::Survey;

/// What the caller asks of the platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Control {
    pub(super) log: LogType,
}

impl Control {
    pub(super) fn read(headers: &HeaderMap, survey: &Survey<'_>) -> Result<Self> {
        if !survey.has_platform {
            return Ok(Self::default());
        }
        if let Some(kind) = single(headers, &INVOCATION_TYPE)? {
            match kind {
                b"Sync" => {}
                b"Async" => return Err(no_async(&INVOCATION_TYPE)),
                _ => return Err(Error::invalid("X-Fc-Invocation-Type", "must be Sync or Async")),
            }
        }
        for name in [&ASYNC_TASK_ID, &STATEFUL_INVOCATION_ID, &ASYNC_DELAY] {
            if single(headers, name)?.is_some() {
                return Err(no_async(name));
            }
        }
        let log = match single(headers, &LOG_TYPE)? {
            None | Some(b"None") => LogType::None,
            Some(b"Tail") => LogType::Tail,
            Some(_) => return Err(Error::invalid("X-Fc-Log-Type", "must be Tail or None")),
        };
        Ok(Self { log })
    }
}

/// Whether a caller may send `name`: the exact spelling, no other.
pub(super) fn is_control(name: &HeaderName) -> bool {
    [INVOCATION_TYPE, LOG_TYPE, ASYNC_TASK_ID, STATEFUL_INVOCATION_ID, ASYNC_DELAY].contains(name)
}

/// The function does not see them.
pub(super) fn strip(headers: &mut HeaderMap) {
    super::survey::remove(headers, |name| fc_core::header::is_platform(name.as_str()));
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::invalid(name.as_str(), "is given more than once"));
    }
    Ok(first.map(|value| value.as_bytes()))
}

fn no_async(name: &HeaderName) -> Error {
    Error::invalid(name.as_str(), "asynchronous invocation is not enabled in this gateway")
}
