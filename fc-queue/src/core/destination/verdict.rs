//! What an HTTP endpoint's answer means.

use std::time::{Duration, UNIX_EPOCH};

use fc_core::{Blame, Error, ErrorKind, Result, Retry, Timestamp};
use http::StatusCode;

/// Longest pause that an endpoint can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(86_400);

/// What an answer of `status` with this `Retry-After` means at `now`, wall-clock time.
///
/// | status | meaning |
/// |---|---|
/// | 2xx | delivered |
/// | 429, 503 | again, not before `Retry-After`, which is at most a day |
/// | 401, 403, 404, 408, 409, 425, other 5xx | again: what a deployment or a new key mends |
/// | 410, other 4xx, 501, 505, 1xx, 3xx | never: the endpoint is gone, does not take this, or is elsewhere |
///
/// # Errors
///
/// The retry class says which: `Safe` or `After` to try again, `Never` to give up.
pub fn judge(
    origin: &str,
    status: StatusCode,
    retry_after: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    if status.is_success() {
        return Ok(());
    }
    let kind = match status.as_u16() {
        429 => ErrorKind::ResourceExhausted,
        503 => ErrorKind::ResourceThrottled,
        _ => ErrorKind::BadResponse,
    };
    let retry = match status.as_u16() {
        429 | 503 => match retry_after.and_then(|text| pause(text, now)) {
            Some(pause) => Retry::After(pause.min(PAUSE_MAX)),
            None => Error::new(kind, "").retry(),
        },
        501 | 505 => Retry::Never,
        401 | 403 | 404 | 408 | 409 | 425 | 500.. => Retry::Safe,
        _ => Retry::Never,
    };
    let message = format!("{origin} answered {}", status.as_u16());
    Err(Error::new(kind, message).with_blame(Blame::Caller).with_retry(retry))
}

/// `Retry-After`: seconds, or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(PAUSE_MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(Duration::from_millis(now.as_unix_millis())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(status: u16, retry_after: Option<&str>) -> Option<Retry> {
        let now = Timestamp::from_unix_millis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        let status = StatusCode::from_u16(status).unwrap();
        judge("https://x", status, retry_after, now).err().map(|error| error.retry())
    }

    #[test]
    fn asy_5_each_status_is_delivered_tried_again_or_given_up() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(retry(status, None), None, "{status}");
        }
        for status in [401, 403, 404, 408, 409, 425, 500, 502, 504, 599] {
            assert_eq!(retry(status, None), Some(Retry::Safe), "{status}");
        }
        for status in [101, 301, 302, 307, 308, 400, 405, 410, 413, 415, 422, 501, 505] {
            assert_eq!(retry(status, None), Some(Retry::Never), "{status}");
        }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept() {
        let after = |text: &str| match retry(429, Some(text)) {
            Some(Retry::After(pause)) => pause.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(after("0"), 0);
        assert_eq!(after(" 120 "), 120);
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), 60);
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), 0);
        assert_eq!(after("86401"), 86_400);
        assert_eq!(after("99999999999999999999999999"), 86_400);
        for text in ["", "-1", "soon", "1.5"] {
            assert_eq!(after(text), 1, "{text:?}: the kind's own");
        }
        assert_eq!(retry(503, Some("7")), Some(Retry::After(Duration::from_secs(7))));
    }
}
