//! Results as CloudEvents 1.0 over HTTP (`functiongraph-lambda.md` C1).

use bytes::Bytes;
use fc_core::{Error, Result, TaskStatus};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Message, rfc3339};

/// A result as a CloudEvent: its data is the record.
///
/// `type` is `fc.async.succeeded`, `.failed`, `.expired`, `.invalid` or `.stopped`; `source` names the
/// function; `id` is the message's, so that a second delivery is the same event.
#[derive(Clone, Copy, Debug)]
pub struct CloudEvent<'a>(pub &'a Message);

#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'static str,
    time: String,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

const JSON: &str = "application/json";

impl CloudEvent<'_> {
    /// Binary mode: attributes are headers, the body is the record.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if an attribute cannot be a header.
    pub fn binary(&self) -> Result<(HeaderMap, Bytes)> {
        let Self(message) = self;
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", message.id()),
            ("ce-source", message.source()),
            ("ce-type", event_type(message.status())),
            ("ce-time", &rfc3339(message.at())),
        ] {
            let value = HeaderValue::from_str(&percent_encoded(value)).map_err(|error| {
                Error::internal(format!("{name} cannot be sent")).with_source(error)
            })?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok((headers, message.record().clone()))
    }

    /// Structured mode: the whole event is the body.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if the record is no JSON.
    pub fn structured(&self) -> Result<(HeaderMap, Bytes)> {
        let Self(message) = self;
        let no_json = |error| Error::internal("the record is no JSON").with_source(error);
        let event = Structured {
            specversion: "1.0",
            id: message.id(),
            source: message.source(),
            r#type: event_type(message.status()),
            time: rfc3339(message.at()),
            datacontenttype: JSON,
            data: serde_json::from_slice(message.record()).map_err(no_json)?,
        };
        let body = serde_json::to_vec(&event).map_err(no_json)?;
        let mut headers = HeaderMap::with_capacity(1);
        let structured = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
        headers.insert(CONTENT_TYPE, structured);
        Ok((headers, body.into()))
    }
}

const fn event_type(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Succeeded => "fc.async.succeeded",
        TaskStatus::Expired => "fc.async.expired",
        TaskStatus::Invalid => "fc.async.invalid",
        TaskStatus::Stopped => "fc.async.stopped",
        // A message's status is final: there is no other.
        _ => "fc.async.failed",
    }
}

/// A header's value: space, `"`, `%` and whatever is no printable ASCII as upper-case hex.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            encoded.push(char::from(byte));
        } else {
            let hex = |digit: u8| char::from(b"0123456789ABCDEF"[usize::from(digit)]);
            encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use fc_core::{AccountId, Timestamp};

    fn message(status: TaskStatus) -> Message {
        let source = "acs:fc:cn:1:functions/f/LATEST".to_owned();
        let at = Timestamp::from_unix_millis(1_000);
        let record = Bytes::from_static(b"{\"n\":1.50}");
        let account = AccountId::new("1").unwrap();
        Message::new(account, "1-ab-success".into(), source, status, at, record).unwrap()
    }

    #[test]
    fn the_specification_s_vector_is_encoded() {
        let encoded = percent_encoded("Euro \u{20ac} \u{1f600}");
        assert_eq!(encoded, "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(percent_encoded("a\"b%c"), "a%22b%25c");
    }

    #[test]
    fn asy_5_binary_mode_has_the_record_as_its_body() {
        let message = message(TaskStatus::Succeeded);
        let (headers, body) = CloudEvent(&message).binary().unwrap();
        let mut headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let expected = [
            ("ce-id", "1-ab-success"),
            ("ce-source", "acs:fc:cn:1:functions/f/LATEST"),
            ("ce-specversion", "1.0"),
            ("ce-time", "1970-01-01T00:00:01.000Z"),
            ("ce-type", "fc.async.succeeded"),
            ("content-type", "application/json"),
        ];
        assert_eq!(headers, expected);
        assert_eq!(&body[..], b"{\"n\":1.50}");
    }

    #[test]
    fn asy_5_structured_mode_has_the_record_as_its_data_to_the_byte() {
        let message = message(TaskStatus::Expired);
        let (headers, body) = CloudEvent(&message).structured().unwrap();
        assert_eq!(headers[CONTENT_TYPE], "application/cloudevents+json; charset=utf-8");
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            "{\"specversion\":\"1.0\",\"id\":\"1-ab-success\",\
             \"source\":\"acs:fc:cn:1:functions/f/LATEST\",\"type\":\"fc.async.expired\",\
             \"time\":\"1970-01-01T00:00:01.000Z\",\"datacontenttype\":\"application/json\",\
             \"data\":{\"n\":1.50}}"
        );
    }

    #[test]
    fn each_end_of_a_task_has_a_type_of_its_own() {
        let types: std::collections::BTreeSet<_> = TaskStatus::ALL
            .into_iter()
            .filter(|status| status.is_final())
            .map(event_type)
            .collect();
        assert_eq!(types.len(), 5);
    }
}
