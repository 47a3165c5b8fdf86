//! Tasks that are kept: recorded, listed, stopped, forgotten (ASY-9).

mod api;
mod keys;
mod list;
mod records;
pub(crate) mod sweep;

pub(crate) use keys::TaskKey;
pub(crate) use records::{Created, Records};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A payload in JSON: as it is where it is text, otherwise in base64.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", BASE64_STANDARD.encode(bytes)),
    }
}
