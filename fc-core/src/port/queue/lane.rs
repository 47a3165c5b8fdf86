//! Names of queues.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::{AccountId, Error, FunctionName, Result};

/// Longest name of a lane, bytes: an account and a function of the longest names fit.
pub const LANE_BYTES_MAX: usize = 200;

/// A queue of one account or one busy function: what isolates its tasks from all others'.
///
/// ```
/// use fc_core::{AccountId, FunctionName};
/// use fc_core::port::queue::Lane;
/// let account = AccountId::new("1234").unwrap();
/// assert_eq!(Lane::account(account).as_str(), "1234");
/// let busy = FunctionName::new("resize").unwrap();
/// assert_eq!(Lane::function(account, &busy).as_str(), "1234/resize");
/// assert!(Lane::new("a.b").is_err() && Lane::new("").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(Arc<str>);

impl Lane {
    /// Proves `text`: 1 to 200 letters, digits, `-`, `_`, `:` or `/`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field.
    pub fn new(text: &str) -> Result<Self> {
        check_name("lane", text, LANE_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// The lane of an account.
    pub fn account(account: AccountId) -> Self {
        Self(account.as_str().into())
    }

    /// The lane of one busy function.
    pub fn function(account: AccountId, function: &FunctionName) -> Self {
        Self(format!("{account}/{function}").into())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every driver can keep these characters: they mean nothing to a broker, a file system or SQL.
pub(super) fn check_name(field: &str, text: &str, bytes_max: usize) -> Result<()> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'/');
    if text.is_empty() || !text.bytes().all(is_plain) {
        let what = "must be letters, digits, '-', '_', ':' or '/', and not empty";
        return Err(Error::invalid(field, what));
    }
    if text.len() > bytes_max {
        return Err(Error::over_limit(field, "bytes", bytes_max as u64, text.len() as u64));
    }
    Ok(())
}

impl Borrow<str> for Lane {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
