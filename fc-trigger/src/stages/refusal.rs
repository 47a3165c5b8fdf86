//! What the platform itself answers when it does not serve.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fc_core::header::{ERROR_TYPE, LOG_RESULT, REQUEST_ID};
use fc_core::{Body, Dialect, Error, ErrorKind, FailureType, MethodSet, RequestId, Retry};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::Surface;

/// FunctionGraph's name for the request id.
pub(super) const GRAPH_REQUEST_ID: HeaderName = HeaderName::from_static("x-cff-request-id");

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What a trigger's platform errors have in `X-Fc-Error-Type` (`alibaba-fc.md` 1.4).
const COMMON_ERROR: HeaderValue = HeaderValue::from_static("FcCommonError");

/// An error on its way to the caller.
#[derive(Debug)]
pub(super) struct Refusal {
    code: &'static str,
    status: StatusCode,
    message: Cow<'static, str>,
    failure: Option<FailureType>,
    retry: Retry,
    allow: Option<MethodSet>,
    /// The end of the failed invocation's log, if its caller asked for it (INV-9).
    log_tail: Option<Bytes>,
}

impl Refusal {
    /// 405 that says what is allowed (HTT-1).
    pub(super) fn method_not_allowed(method: &Method, allow: MethodSet) -> Self {
        let message = format!("method {method} is not enabled; enabled: {allow}");
        Self { allow: Some(allow), ..Error::new(ErrorKind::MethodNotAllowed, message).into() }
    }

    /// The built-in domain passes no redirect on (`alibaba-fc.md` 6.1).
    pub(super) fn redirect(status: StatusCode) -> Self {
        let message =
            format!("the function answered {status}; the built-in domain passes no redirect on");
        Self {
            code: "ExternalRedirectForbidden",
            ..Error::new(ErrorKind::InvalidArgument, message).into()
        }
    }

    /// The answer in the words of `dialect`.
    pub(super) fn answer(
        self,
        id: RequestId,
        surface: Surface,
        dialect: Dialect,
    ) -> Response<Body> {
        let status = match (self.failure, surface) {
            // A function's failure is no failure of the API that ran it (`alibaba-fc.md` 2.5).
            (Some(_), Surface::Api) => StatusCode::OK,
            _ => self.status,
        };
        let json = match (self.failure, dialect) {
            (Some(_), _) => serde_json::json!({
                "errorMessage": self.message,
                "errorType": self.code,
            }),
            (None, Dialect::FunctionCompute) => serde_json::json!({
                "Code": self.code,
                "Message": self.message,
                "RequestId": id.to_string(),
            }),
            (None, Dialect::FunctionGraph) => serde_json::json!({
                "error_code": graph_code(status),
                "error_msg": self.message,
            }),
        };
        let mut response = Response::new(Body::from(json.to_string()));
        *response.status_mut() = status;
        stamp(&mut response, id, dialect);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        match (self.failure, surface) {
            (Some(failure), _) => {
                headers.insert(ERROR_TYPE, HeaderValue::from_static(failure.as_str()));
            }
            // The function's answer broke the contract (`alibaba-fc.md` 1.4).
            (None, _) if self.code == ErrorKind::BadResponse.code() => {
                let failure = FailureType::Unhandled;
                headers.insert(ERROR_TYPE, HeaderValue::from_static(failure.as_str()));
            }
            (None, Surface::Trigger) => {
                headers.insert(ERROR_TYPE, COMMON_ERROR);
            }
            (None, Surface::Api) => {}
        }
        if let Retry::After(pause) = self.retry {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow
            && let Ok(value) = HeaderValue::try_from(allow.to_string())
        {
            headers.insert(ALLOW, value);
        }
        if let Some(tail) = self.log_tail
            && let Ok(value) = HeaderValue::try_from(BASE64.encode(tail))
        {
            headers.insert(LOG_RESULT, value);
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            code: error.code(),
            status: error.status(),
            message: error.message().to_owned().into(),
            failure: error.kind().failure(),
            retry: error.retry(),
            allow: None,
            log_tail: error.log_tail().cloned(),
        }
    }
}

/// Names the request in its answer (INV-3).
pub(super) fn stamp(response: &mut Response<Body>, id: RequestId, dialect: Dialect) {
    // The text form is hexadecimal digits and dashes.
    let Ok(value) = HeaderValue::from_bytes(&id.encode()) else {
        return;
    };
    if dialect == Dialect::FunctionGraph {
        response.headers_mut().insert(GRAPH_REQUEST_ID, value.clone());
    }
    response.headers_mut().insert(REQUEST_ID, value);
}

/// The generic codes (`functiongraph-lambda.md` A12). The cloud has no 405 and no 499 of its own.
fn graph_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "FSS.0401",
        403 => "FSS.0403",
        404 => "FSS.0404",
        408 => "FSS.0408",
        409 => "FSS.0409",
        412 | 428 => "FSS.0428",
        413 => "FSS.0413",
        429 => "FSS.0429",
        500 => "FSS.0500",
        502 => "FSS.0502",
        503 => "FSS.0503",
        504 => "FSS.0504",
        400..500 => "FSS.0400",
        _ => "FSS.0500",
    }
}
