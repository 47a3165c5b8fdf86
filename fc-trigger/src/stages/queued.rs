//! An asynchronous invocation: queued, and answered 202 when it is kept (INV-2).

use std::sync::Arc;

use fc_core::header::{ASYNC_TASK_ID, STATEFUL_INVOCATION_ID};
use fc_core::{Body, Context, Error, Invocation, Reply, RequestId, Result, Target};
use http::{HeaderValue, Response, StatusCode};

use super::control::{Control, Queued};
use super::refusal::Refusal;
use super::{Exchange, Plan, answer, client_ip, request};

impl Exchange {
    /// Hands the invocation to whoever queues, with its whole body: nothing is kept of one that did
    /// not come to its end.
    pub(super) async fn enqueue(
        &mut self,
        cx: Context,
        plan: Plan,
    ) -> Result<Response<Body>, Refusal> {
        let Plan { version, qualifier, control: Control { log, queued }, .. } = plan;
        let shared = Arc::clone(&self.call.link().shared);
        let (Some(enqueue), Some(queued)) = (&shared.ports.enqueue, queued) else {
            return Err(Error::internal("an invocation is to be queued, and nobody queues").into());
        };
        let limits = &shared.config.limits;
        self.inbound.limit_to(limits.async_request_body_bytes_max);
        let body = self.inbound.read(limits.async_request_body_bytes_max).await?;
        let Queued { asynchronous, is_stateful } = queued;
        let task_id = named(self.id, asynchronous.task_id.as_deref())?;
        let invocation = Invocation {
            target: Target::Resolved { version, qualifier },
            kind: self.surface.kind(),
            client_ip: client_ip(&self.call, &self.head),
            log,
            asynchronous: Some(asynchronous),
            request: request(&mut self.head, self.surface, body.into()),
        };
        let reply = enqueue.invoke(cx, invocation).await?;
        let task_id = kept(&reply)?.unwrap_or(task_id);
        let mut response = Response::new(Body::EMPTY);
        *response.status_mut() = StatusCode::ACCEPTED;
        answer::stamp(&mut response, self.id, limits.dialect);
        if is_stateful {
            response.headers_mut().insert(STATEFUL_INVOCATION_ID, task_id.clone());
        }
        response.headers_mut().insert(ASYNC_TASK_ID, task_id);
        Ok(response)
    }
}

/// The name that the task has by rule: the caller's, or the request's id.
fn named(id: RequestId, asked: Option<&str>) -> Result<HeaderValue> {
    let named = match asked {
        Some(asked) => HeaderValue::from_str(asked),
        None => HeaderValue::from_bytes(&id.encode()),
    };
    named.map_err(|error| Error::internal("a task's id is no header value").with_source(error))
}

/// The id under which the invocation is kept, if the one who keeps it says one.
///
/// # Errors
///
/// `InternalServerError` for any reply that does not say that it is kept.
fn kept(reply: &Reply) -> Result<Option<HeaderValue>> {
    let status = reply.response.status();
    if status != StatusCode::ACCEPTED || reply.failure.is_some() {
        let message = format!("the queue answered {status}, which is no acceptance");
        return Err(Error::internal(message));
    }
    Ok(reply.response.headers().get(ASYNC_TASK_ID).cloned())
}
