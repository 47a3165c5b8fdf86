//! The `x-fc-*` headers that a caller may send (`alibaba-fc.md` 2.1).

use std::time::Duration;

use fc_core::header::{
    ASYNC_DELAY, ASYNC_TASK_ID, INVOCATION_TYPE, LOG_TYPE, STATEFUL_INVOCATION_ID,
};
use fc_core::{Asynchronous, Dialect, Error, LogType, Result};
use http::{HeaderMap, HeaderName};

use super::Surface;
use super::survey::Survey;
use crate::gateway::Shared;

/// The longest `X-Fc-Async-Delay`, seconds (INV-5).
const DELAY_S_MAX: u64 = 3600;

/// What the caller asks of the platform.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Control {
    pub(super) log: LogType,
    /// Whether the invocation is to be queued.
    pub(super) queued: Option<Box<Queued>>,
}

/// An invocation to be queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Queued {
    pub(super) asynchronous: Box<Asynchronous>,
    /// The task was named by FC 2's header, and so is its answer's.
    pub(super) is_stateful: bool,
}

/// Whether invocations can be queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Queueing {
    /// Yes.
    Possible,
    /// Nobody queues.
    Absent,
    /// Not those of FunctionGraph's HTTP functions (ASY-10).
    Forbidden,
}

impl Queueing {
    pub(super) fn of(shared: &Shared, surface: Surface) -> Self {
        match (&shared.ports.enqueue, surface, shared.config.limits.dialect) {
            (None, _, _) => Self::Absent,
            (Some(_), Surface::Trigger, Dialect::FunctionGraph) => Self::Forbidden,
            (Some(_), _, _) => Self::Possible,
        }
    }

    fn check(self, name: &HeaderName) -> Result<()> {
        let what = match self {
            Self::Possible => return Ok(()),
            Self::Absent => "asynchronous invocation is not enabled in this gateway",
            Self::Forbidden => "an HTTP function cannot be invoked asynchronously",
        };
        Err(Error::invalid(name.as_str(), what))
    }
}

impl Control {
    pub(super) fn read(
        headers: &HeaderMap,
        survey: &Survey<'_>,
        queueing: Queueing,
    ) -> Result<Self> {
        if !survey.has_platform {
            return Ok(Self::default());
        }
        let is_async = match single(headers, &INVOCATION_TYPE)? {
            None | Some(b"Sync") => false,
            Some(b"Async") => true,
            Some(_) => return Err(Error::invalid("X-Fc-Invocation-Type", "must be Sync or Async")),
        };
        if is_async {
            queueing.check(&INVOCATION_TYPE)?;
        }
        for name in [&ASYNC_TASK_ID, &STATEFUL_INVOCATION_ID, &ASYNC_DELAY] {
            if single(headers, name)?.is_some() && !is_async {
                queueing.check(name)?;
                return Err(Error::invalid(
                    name.as_str(),
                    "goes with X-Fc-Invocation-Type: Async only",
                ));
            }
        }
        let queued = if is_async { Some(Box::new(Queued::read(headers)?)) } else { None };
        let log = match single(headers, &LOG_TYPE)? {
            None | Some(b"None") => LogType::None,
            // Taken, and without effect: a log comes with Sync only (`alibaba-fc.md` 2.2).
            Some(b"Tail") if is_async => LogType::None,
            Some(b"Tail") => LogType::Tail,
            Some(_) => return Err(Error::invalid("X-Fc-Log-Type", "must be Tail or None")),
        };
        Ok(Self { log, queued })
    }

    /// Refuses to queue what is no invocation.
    pub(super) fn check_no_invocation(&self) -> Result<()> {
        match self.queued {
            None => Ok(()),
            Some(_) => Err(Error::invalid(
                INVOCATION_TYPE.as_str(),
                "only an invocation can be asynchronous",
            )),
        }
    }
}

impl Queued {
    #[cold]
    fn read(headers: &HeaderMap) -> Result<Self> {
        let task_id = named(headers, &ASYNC_TASK_ID)?;
        let stateful = named(headers, &STATEFUL_INVOCATION_ID)?;
        let is_stateful = stateful.is_some();
        let task_id = match (task_id, stateful) {
            (Some(new), Some(old)) if new != old => {
                return Err(Error::invalid(
                    STATEFUL_INVOCATION_ID.as_str(),
                    format_args!("differs from {ASYNC_TASK_ID}"),
                ));
            }
            (new, old) => new.or(old).map(str::to_owned),
        };
        let delay = single(headers, &ASYNC_DELAY)?.map(delay).transpose()?;
        Ok(Self { asynchronous: Box::new(Asynchronous { task_id, delay }), is_stateful })
    }
}

/// The task's id in `name`.
fn named<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>> {
    let Some(id) = single(headers, name)? else {
        return Ok(None);
    };
    Asynchronous::check_task_id(name.as_str(), id).map(Some)
}

/// INV-5: whole seconds in (0, 3600].
fn delay(value: &[u8]) -> Result<Duration> {
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(seconds @ 1..=DELAY_S_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::invalid(
            ASYNC_DELAY.as_str(),
            format_args!(
                "must be whole seconds, more than 0 and at most {DELAY_S_MAX}; is '{}'",
                shown(value)
            ),
        )),
    }
}

/// Enough of a value to recognise it by.
fn shown(value: &[u8]) -> impl std::fmt::Display {
    const SHOWN_BYTES: usize = 64;
    value[..value.len().min(SHOWN_BYTES)].escape_ascii()
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
