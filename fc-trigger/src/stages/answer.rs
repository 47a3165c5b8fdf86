//! From a function's reply to the caller's answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fc_core::header::{
    ERROR_TYPE, INSTANCE_ID, INVOCATION_DURATION, LOG_RESULT, MAX_MEMORY_USAGE, SERVICE_VERSION,
    is_platform,
};
use fc_core::{Body, Error, ErrorKind, LogType, Reply, Report, RequestId, VersionId};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use super::Surface;
use super::refusal::Refusal;
pub(super) use super::refusal::{JSON, stamp};
use crate::config::GatewayConfig;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment");
const LATEST: HeaderValue = HeaderValue::from_static("LATEST");

/// What the answer depends on beside the reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) surface: Surface,
    pub(super) log: LogType,
}

/// The caller's answer.
///
/// A reply that is refused here is the function's fault. Dropping its stream would say that the
/// client left, and cost an instance that serves one request at a time; it is discarded instead, so
/// that the scheduler sees what it sees of every other `BadResponse`: the instance is kept.
pub(super) fn of(
    asked: Asked,
    reply: Reply,
    config: &GatewayConfig,
) -> Result<Response<Body>, Refusal> {
    let Reply { mut response, failure, report } = reply;
    let found = Found::in_headers(response.headers());
    if let Err(refusal) = check(asked.surface, &response, &found, config) {
        response.into_body().discard();
        return Err(refusal);
    }
    let limits = &config.limits;
    // Nothing of the function's is to speak to the server: no version, no reason phrase, no upgrade.
    *response.version_mut() = Version::HTTP_11;
    *response.extensions_mut() = http::Extensions::new();
    // What lies in memory was checked.
    if let Some(limit) = limits.response_body_bytes_max
        && !response.body().is_in_memory()
    {
        let (parts, body) = response.into_parts();
        let (body, _) = body.limited("response body", limit, ErrorKind::BadResponse)?;
        response = Response::from_parts(parts, body);
    }
    match asked.surface {
        Surface::Api => {
            // Only the body counts (`alibaba-fc.md` 2.6); the map's memory is used again.
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().clear();
            response.headers_mut().insert(CONTENT_TYPE, OCTETS);
            describe(response.headers_mut(), &report);
        }
        Surface::Trigger => {
            if found.is_unclean {
                clean(response.headers_mut());
            }
            response.headers_mut().insert(CONTENT_DISPOSITION, ATTACHMENT);
        }
    }
    stamp(&mut response, asked.id, limits.dialect);
    if let Some(failure) = failure {
        let value = HeaderValue::from_static(failure.as_str());
        response.headers_mut().insert(ERROR_TYPE, value);
    }
    if asked.log == LogType::Tail
        && let Some(tail) = &report.log_tail
        && let Ok(value) =
            HeaderValue::try_from(BASE64.encode(last(tail, limits.log_tail_bytes_max)))
    {
        response.headers_mut().insert(LOG_RESULT, value);
    }
    Ok(response)
}

/// Whether the function's head may go to the caller, and the length that it names.
fn check(
    surface: Surface,
    response: &Response<Body>,
    found: &Found,
    config: &GatewayConfig,
) -> Result<(), Refusal> {
    let limits = &config.limits;
    let status = response.status();
    if found.bytes > limits.response_headers_bytes_max {
        let limit = limits.response_headers_bytes_max;
        return Err(bad(&format!("headers: {} bytes is over the limit of {limit}", found.bytes)));
    }
    if status.is_informational() {
        return Err(bad(&format!("{status} is no final status")));
    }
    if let (Some(limit), Some(length)) =
        (limits.response_body_bytes_max, response.body().known_length())
        && length > limit
    {
        return Err(bad(&format!("body: {length} bytes is over the limit of {limit}")));
    }
    let is_redirect = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    if surface == Surface::Trigger && config.refuse_redirects && is_redirect {
        return Err(Refusal::redirect(status));
    }
    Ok(())
}

/// The answer to a `HEAD`: what a `GET` would say, and no body.
pub(super) fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // A function that knows of HEAD sends nothing; then nobody knows the length.
    if let Some(length) = body.known_length().filter(|length| *length > 0) {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    body.discard();
    Response::from_parts(parts, Body::EMPTY)
}

fn bad(message: &str) -> Refusal {
    Error::new(ErrorKind::BadResponse, format!("response: {message}")).into()
}

fn last(tail: &[u8], max: u64) -> &[u8] {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    &tail[tail.len().saturating_sub(max)..]
}

/// What one pass over the function's headers found.
struct Found {
    bytes: u64,
    is_unclean: bool,
}

impl Found {
    fn in_headers(headers: &HeaderMap) -> Self {
        let mut found = Self { bytes: 0, is_unclean: false };
        for (name, value) in headers {
            found.bytes += (name.as_str().len() + value.len()) as u64;
            found.is_unclean |= is_forbidden(name.as_str()) || name == CONTENT_DISPOSITION;
        }
        found
    }
}

/// What a function cannot set (HTT-3), and what belongs to the connection.
fn is_forbidden(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "date"
            | "keep-alive"
            | "server"
            | "upgrade"
            | "transfer-encoding"
            | "trailer"
            | "te"
    ) || name.starts_with("proxy-con")
        || is_platform(name)
}

fn clean(headers: &mut HeaderMap) {
    super::survey::remove(headers, |name| is_forbidden(name.as_str()));
    if headers.contains_key(CONTENT_DISPOSITION) {
        let kept: Vec<HeaderValue> = headers
            .get_all(CONTENT_DISPOSITION)
            .iter()
            .filter(|value| !is_attachment(value))
            .cloned()
            .collect();
        headers.remove(CONTENT_DISPOSITION);
        for value in kept {
            headers.append(CONTENT_DISPOSITION, value);
        }
    }
}

fn is_attachment(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|&byte| byte == b';').next();
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"attachment"))
}

/// What the platform tells of the invocation (`alibaba-fc.md` 2.2).
fn describe(headers: &mut HeaderMap, report: &Report) {
    if let Some(instance) = &report.instance
        && let Ok(value) = HeaderValue::from_str(instance.as_str())
    {
        headers.insert(INSTANCE_ID, value);
    }
    let millis = u64::try_from(report.ran.as_millis()).unwrap_or(u64::MAX);
    headers.insert(INVOCATION_DURATION, HeaderValue::from(millis));
    let version = match report.version {
        VersionId::LATEST => LATEST,
        numbered => HeaderValue::from(numbered.number()),
    };
    headers.insert(SERVICE_VERSION, version);
    if let Some(bytes) = report.memory_bytes {
        headers.insert(MAX_MEMORY_USAGE, megabytes(bytes));
    }
}

/// MB with two decimals, without the formatting machinery: it is on every answer.
fn megabytes(bytes: u64) -> HeaderValue {
    const MB: u64 = 1024 * 1024;
    let hundredths = (u128::from(bytes) * 100 + u128::from(MB) / 2) / u128::from(MB);
    let mut text = [b'0'; 24];
    let mut left = hundredths;
    let mut at = text.len();
    let mut digits = 0;
    while left > 0 || digits < 3 {
        if digits == 2 {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        text[at] = b'0' + (left % 10) as u8;
        left /= 10;
        digits += 1;
    }
    // Digits and a point.
    HeaderValue::from_bytes(&text[at..]).unwrap_or(HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_two_decimals() {
        for (bytes, text) in [
            (0, "0.00"),
            (1024 * 1024, "1.00"),
            (9_646_899, "9.20"),
            (10_485, "0.01"),
            (u64::MAX, "17592186044416.00"),
        ] {
            assert_eq!(megabytes(bytes), text, "{bytes}");
        }
    }

    /// A streamed reply that is refused is the function's fault: nobody left.
    #[test]
    fn refused_streams_are_discarded() {
        use std::sync::{Arc, Mutex};

        let account = fc_core::AccountId::new("1234567890").unwrap();
        let mut config = GatewayConfig::new(account);
        config.refuse_redirects = true;
        config.limits.response_body_bytes_max = Some(1000);
        let refused: [fn(&mut Response<Body>); 4] = [
            |response| *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS,
            |response| *response.status_mut() = StatusCode::FOUND,
            |response| {
                let value = HeaderValue::try_from("v".repeat(9000)).unwrap();
                response.headers_mut().insert("large", value);
            },
            |response| {
                let body = std::mem::take(response.body_mut());
                *response.body_mut() = body.map_stream(|_| Unread(Some(u64::MAX)));
            },
        ];
        for (index, break_it) in refused.into_iter().enumerate() {
            let endings = Arc::new(Mutex::new(Vec::new()));
            let heard = endings.clone();
            let body = Body::stream(Unread(None))
                .guarded(move |ending| heard.lock().unwrap().push(ending));
            let mut response = Response::new(body);
            break_it(&mut response);
            let asked = Asked { id: RequestId::NIL, surface: Surface::Trigger, log: LogType::None };
            assert!(of(asked, Reply::new(response), &config).is_err(), "{index}");
            assert_eq!(*endings.lock().unwrap(), [fc_core::Ending::Complete], "{index}");
        }
    }

    /// A stream of a length that nobody asks for a frame.
    struct Unread(Option<u64>);

    impl http_body::Body for Unread {
        type Data = bytes::Bytes;
        type Error = Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Error>>> {
            std::task::Poll::Pending
        }

        fn size_hint(&self) -> http_body::SizeHint {
            self.0.map_or_else(http_body::SizeHint::new, http_body::SizeHint::with_exact)
        }
    }

    #[test]
    fn htt_3_attachments_are_told_from_other_dispositions() {
        for value in ["attachment", "Attachment; filename=x", " attachment ;x"] {
            assert!(is_attachment(&HeaderValue::from_static(value)), "{value}");
        }
        for value in ["inline", "attachments", "form-data; name=attachment"] {
            assert!(!is_attachment(&HeaderValue::from_static(value)), "{value}");
        }
    }
}
