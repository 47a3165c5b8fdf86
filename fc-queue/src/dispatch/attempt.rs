//! One attempt: the function runs, and its answer is read.

use bytes::{Bytes, BytesMut};
use fc_core::{
    AsyncTask, Body, Context, Error, FailureType, Invocation, InvocationKind, LogType, Reply,
    Report, Request, RequestId, Result, Target,
};
use http::{HeaderName, HeaderValue, Method, Uri};

use crate::core::envelope::{Envelope, HttpHead, InvokeJob};
use crate::core::retry::Outcome;
use crate::counters::{Count, Counters};
use crate::engine::Shared;

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The function's answer, or the error in JSON; at most what is kept.
    pub(super) body: Bytes,
    /// Bytes of the whole answer.
    pub(super) bytes: u64,
    /// Why it did not succeed, for people.
    pub(super) message: Option<String>,
    pub(super) report: Report,
    pub(super) has_run: bool,
}

impl Answer {
    /// Of a task that was not run.
    pub(super) fn none(outcome: Outcome, message: String) -> Self {
        Self {
            outcome,
            body: Bytes::new(),
            bytes: 0,
            message: Some(message),
            report: Report::default(),
            has_run: false,
        }
    }

    fn of_error(error: &Error) -> Self {
        let outcome = Outcome::of_error(error);
        let has_run = matches!(outcome, Outcome::FunctionError(_));
        let mut answer = Self::none(outcome, error.message().to_owned());
        if has_run {
            answer.body = error_body(error).into();
            answer.bytes = answer.body.len() as u64;
        }
        Self { has_run, ..answer }
    }

    /// Writes into a task what is shown of its last attempt.
    pub(super) fn show(&self, task: &mut AsyncTask) {
        task.instance_id = self.report.instance.map(|id| id.to_string());
        task.duration_ms = u64::try_from(self.report.ran.as_millis()).ok();
        task.task_error_message.clone_from(&self.message);
    }
}

/// What a caller of the API would get (`alibaba-fc.md` 2.5).
fn error_body(error: &Error) -> String {
    serde_json::json!({ "errorMessage": error.message(), "errorType": error.code() }).to_string()
}

/// An attempt that is counted; dropped without an answer it was given up.
struct Begun<'c> {
    counters: &'c Counters,
    end: Count,
}

impl<'c> Begun<'c> {
    fn count(counters: &'c Counters) -> Self {
        counters.add(Count::AttemptBegun);
        Self { counters, end: Count::AttemptCut }
    }

    fn answered(mut self, outcome: Outcome) {
        self.end = match outcome {
            Outcome::Succeeded => Count::AttemptSucceeded,
            Outcome::FunctionError(_) => Count::AttemptFunctionError,
            Outcome::Throttled => Count::AttemptThrottled,
            Outcome::System => Count::AttemptSystemError,
            Outcome::Invalid(_) => Count::AttemptInvalid,
        };
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.counters.add(self.end);
    }
}

/// Runs a function once.
pub(super) async fn attempt(
    shared: &Shared,
    envelope: &Envelope,
    job: &InvokeJob,
    target: Target,
    attempt: u32,
) -> Answer {
    let invocation = match invocation(envelope, job, target) {
        Ok(invocation) => invocation,
        Err(error) => return Answer::of_error(&error),
    };
    // The submission's own, in every attempt: what the caller was told.
    let request_id = envelope.head.request_id.parse().unwrap_or(RequestId::NIL);
    let cx = Context { attempt, ..Context::new(request_id) };
    let begun = Begun::count(&shared.counters);
    let answer = run(shared, cx, invocation).await;
    begun.answered(answer.outcome);
    answer
}

async fn run(shared: &Shared, cx: Context, invocation: Invocation) -> Answer {
    let reply = match shared.ports.invoke.invoke(cx, invocation).await {
        Ok(reply) => reply,
        Err(error) => return Answer::of_error(&error),
    };
    let Reply { response, failure, report } = reply;
    match read(response.into_body(), shared.config.result_bytes_max).await {
        Ok((body, bytes)) => {
            let outcome = failure.map_or(Outcome::Succeeded, Outcome::FunctionError);
            let message = failure.map(|failure| message_of(failure, &body));
            Answer { outcome, body, bytes, message, report, has_run: true }
        }
        Err(error) => Answer { report, ..Answer::of_error(&error) },
    }
}

/// Reads a body to its end: its first `kept` bytes, and how many there are.
async fn read(mut body: Body, kept: u64) -> Result<(Bytes, u64)> {
    let mut bytes = 0u64;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = usize::try_from(kept.saturating_sub(bytes)).unwrap_or(usize::MAX);
        bytes += data.len() as u64;
        let data = data.slice(..data.len().min(room));
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, bytes))
}

/// The function's own words, if its answer has the documented form.
fn message_of(failure: FailureType, body: &[u8]) -> String {
    const CHARS_MAX: usize = 1024;
    let said = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|answer| {
        answer.get("errorMessage")?.as_str().map(|text| text.chars().take(CHARS_MAX).collect())
    });
    said.unwrap_or_else(|| failure.to_string())
}

fn invocation(envelope: &Envelope, job: &InvokeJob, target: Target) -> Result<Invocation> {
    let mut request = Request::new(Body::from(envelope.body.clone()));
    let kind = match &job.http {
        Some(head) => {
            restore(&mut request, head)
                .map_err(|error| error.with_source("the request's head was damaged"))?;
            InvocationKind::Http
        }
        None => {
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static("/invoke");
            InvocationKind::Event
        }
    };
    let client_ip = job.client_ip;
    let log = LogType::None;
    Ok(Invocation { target, kind, client_ip, log, asynchronous: None, request })
}

fn restore(request: &mut Request, head: &HttpHead) -> Result<()> {
    let broken = |field: &str| Error::invalid(field, "cannot be read back");
    *request.method_mut() =
        Method::from_bytes(head.method.as_bytes()).map_err(|_| broken("method"))?;
    *request.uri_mut() = head.uri.parse().map_err(|_| broken("uri"))?;
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| broken("header"))?;
        let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
        let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        request.headers_mut().append(name, value.ok_or_else(|| broken("header"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_long_answer_is_read_to_its_end_and_cut() {
        let frames = (0..10u8).map(|n| Ok::<_, Error>(http_body::Frame::data(vec![n; 10].into())));
        let body = Body::stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
        let (kept, bytes) = read(body, 25).await.unwrap();
        assert_eq!(bytes, 100);
        assert_eq!(kept, [[0; 10], [1; 10], [2; 10]].concat()[..25]);
        let (kept, bytes) = read(Body::from("abc"), 25).await.unwrap();
        assert_eq!((&kept[..], bytes), (&b"abc"[..], 3));
    }
}
