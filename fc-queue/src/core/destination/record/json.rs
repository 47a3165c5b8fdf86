//! JSON objects whose members keep their order, and payloads in them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// An object whose members keep their order.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(&'static str, Value<'a>)>);

pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    /// JSON to the byte, so that no number and no order is lost.
    Raw(&'a RawValue),
    Object(Object<'a>),
}

impl<'a> Object<'a> {
    pub(super) fn add(&mut self, name: &'static str, value: Value<'a>) {
        self.0.push((name, value));
    }

    /// Adds a payload, and how it is written unless that goes without saying.
    pub(super) fn payload(
        &mut self,
        (name, encoding_name): (&'static str, &'static str),
        (value, encoding): (Value<'a>, Option<&'static str>),
    ) {
        self.add(name, value);
        if let Some(encoding) = encoding {
            self.add(encoding_name, Value::Text(encoding.into()));
        }
    }
}

/// A payload as a string: itself if it is UTF-8.
pub(super) fn as_string(payload: &[u8]) -> (Value<'_>, Option<&'static str>) {
    match std::str::from_utf8(payload) {
        Ok(text) => (Value::Text(text.into()), None),
        Err(_) => (Value::Text(STANDARD.encode(payload).into()), Some("base64")),
    }
}

/// A payload as JSON: itself if it is JSON.
pub(super) fn as_json(payload: &[u8]) -> (Value<'_>, Option<&'static str>) {
    match serde_json::from_slice::<&RawValue>(payload) {
        Ok(raw) => (Value::Raw(raw), None),
        Err(_) => {
            let (value, encoding) = as_string(payload);
            (value, encoding.or(Some("text")))
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Raw(raw) => raw.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}
