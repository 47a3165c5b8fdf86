//! What every store checks alike.

use fc_core::port::store::{Revision, When};
use fc_core::{Error, ErrorKind, Result};

/// Whether a write may be done to a record that is at revision `is`.
pub(crate) fn check(key: &str, when: When, is: Option<Revision>) -> Result<()> {
    let what = match (when, is) {
        (When::Always, _) | (When::Absent, None) => return Ok(()),
        (When::Unchanged(expected), Some(is)) if expected == is => return Ok(()),
        (When::Absent, Some(is)) => format!("'{key}' exists at revision {}", is.0),
        (When::Unchanged(expected), Some(is)) => {
            format!("'{key}' is at revision {}, not {}", is.0, expected.0)
        }
        (When::Unchanged(expected), None) => {
            format!("'{key}' does not exist, revision {} was expected", expected.0)
        }
    };
    Err(Error::new(ErrorKind::Conflict, what))
}

/// Whether a field is within its limit.
pub(crate) fn within(field: &str, limit: u64, bytes: usize) -> Result<()> {
    let bytes = bytes as u64;
    if bytes <= limit { Ok(()) } else { Err(Error::over_limit(field, "bytes", limit, bytes)) }
}
