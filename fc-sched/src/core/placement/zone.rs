//! Where a node stands: what fails together.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use fc_core::{Error, Result};

/// Characters of a zone's name, at most: as many as of a node's.
const ZONE_CHARS_MAX: usize = 47;

/// A zone: nodes that may be lost together (NOD-4).
///
/// ```
/// use fc_sched::core::placement::Zone;
/// assert_eq!(Zone::new("cn-hangzhou-h").unwrap().as_str(), "cn-hangzhou-h");
/// assert!(Zone::new("").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(Arc<str>);

impl Zone {
    /// Proves `text`: 1 to 47 letters, digits, `-` or `_`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names `zone`.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() > ZONE_CHARS_MAX {
            let (limit, value) = (ZONE_CHARS_MAX as u64, text.len() as u64);
            return Err(Error::over_limit("zone", "characters", limit, value));
        }
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || !text.bytes().all(named) {
            return Err(Error::invalid("zone", "must be 1 to 47 letters, digits, '-' or '_'"));
        }
        Ok(Self(text.into()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
