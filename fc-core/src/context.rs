//! What every operation is told about its surroundings.

use crate::{Instant, RequestId};

/// By when an operation must have answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// Answer by then, with an error if need be.
    pub soft: Instant,
    /// At this instant the future is dropped.
    pub hard: Instant,
}

impl Deadline {
    /// No deadline.
    pub const NONE: Self = Self { soft: Instant::MAX, hard: Instant::MAX };

    /// Answer by `at`, and be dropped at `at`.
    pub const fn at(at: Instant) -> Self {
        Self { soft: at, hard: at }
    }
}

/// What every operation of a port is told about its surroundings.
///
/// ```
/// use fc_core::{Context, Deadline, Instant, RequestId};
/// let cx = Context::new(RequestId::NIL).with_deadline(Deadline::at(Instant::from_nanos(5)));
/// assert_eq!(cx.attempt, 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The request on whose behalf this happens.
    pub request_id: RequestId,
    /// How often this was tried before: 0 for the first time (`x-fc-retry-count`).
    pub attempt: u32,
    /// By when the answer is due.
    pub deadline: Deadline,
}

impl Context {
    /// A first attempt without a deadline.
    pub const fn new(request_id: RequestId) -> Self {
        Self { request_id, attempt: 0, deadline: Deadline::NONE }
    }

    /// The same with another deadline.
    #[must_use]
    pub const fn with_deadline(self, deadline: Deadline) -> Self {
        Self { deadline, ..self }
    }
}
