//! The answer to an asynchronous invocation: 202 once it is kept, and for nothing else (INV-2).

use fc_core::header::{ASYNC_TASK_ID, STATEFUL_INVOCATION_ID};
use fc_core::{Body, Dialect, Error, Reply, RequestId, Result};
use http::{HeaderValue, Response, StatusCode};

use super::answer;
use super::control::Queued;
use super::refusal::Refusal;

/// 202 with the task's id.
///
/// # Errors
///
/// `InternalServerError` for any reply that does not say that the invocation is kept.
#[cold]
pub(super) fn accepted(
    id: RequestId,
    reply: &Reply,
    queued: &Queued,
    dialect: Dialect,
) -> Result<Response<Body>, Refusal> {
    let status = reply.response.status();
    if status != StatusCode::ACCEPTED || reply.failure.is_some() {
        let message = format!("the queue answered {status}, which is no acceptance");
        return Err(Error::internal(message).into());
    }
    let task_id = match reply.response.headers().get(ASYNC_TASK_ID) {
        Some(task_id) => task_id.clone(),
        None => named(id, queued.asynchronous.task_id.as_deref())?,
    };
    let mut response = Response::new(Body::EMPTY);
    *response.status_mut() = StatusCode::ACCEPTED;
    answer::stamp(&mut response, id, dialect);
    if queued.is_stateful {
        response.headers_mut().insert(STATEFUL_INVOCATION_ID, task_id.clone());
    }
    response.headers_mut().insert(ASYNC_TASK_ID, task_id);
    Ok(response)
}

/// The name that the task has by rule: the caller's, or the request's id.
fn named(id: RequestId, asked: Option<&str>) -> Result<HeaderValue> {
    let named = match asked {
        Some(asked) => HeaderValue::from_str(asked),
        None => HeaderValue::from_bytes(&id.encode()),
    };
    named.map_err(|error| Error::internal("a task's id is no header value").with_source(error))
}
