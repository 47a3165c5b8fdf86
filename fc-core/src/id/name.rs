//! Names of accounts, functions, qualifiers, instances and nodes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Bytes an inline name holds: enough for both clouds' account and instance ids.
const INLINE_BYTES: usize = 47;

/// A short text kept in place, so that copying it touches no shared counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Inline {
    bytes: [u8; INLINE_BYTES],
    len: u8,
}

impl Inline {
    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; INLINE_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: text.len() as u8 })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

macro_rules! inline_id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Inline);

        impl $name {
            /// Proves `text`: 1 to 47 letters, digits, `-` or `_`.
            ///
            /// # Errors
            ///
            /// `InvalidArgument` that names the field.
            pub fn new(text: &str) -> Result<Self, Error> {
                if text.is_empty() || !text.bytes().all(is_name_byte) {
                    return Err(Error::invalid(
                        $field,
                        "must be 1 to 47 letters, digits, '-' or '_'",
                    ));
                }
                Inline::new(text).map(Self).ok_or_else(|| {
                    Error::over_limit($field, "characters", INLINE_BYTES as u64, text.len() as u64)
                })
            }

            /// The text form.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

inline_id!(
    /// An account: the unit of quotas, queues and isolation.
    ///
    /// ```
    /// use fc_core::AccountId;
    /// assert_eq!(AccountId::new("1234567890").unwrap().as_str(), "1234567890");
    /// assert!(AccountId::new("a/b").is_err());
    /// ```
    AccountId, "account"
);

inline_id!(
    /// An instance, in the form `c-<8 hex: Unix seconds>-<8 hex>-<12 hex>` when the scheduler makes
    /// it (spec `alibaba-fc.md` 1.1).
    InstanceId, "instance_id"
);

inline_id!(
    /// A compute node.
    NodeId, "node_id"
);

impl InstanceId {
    /// The instance id that corresponds to a freshly made request id: `c-…` in place of `1-…`.
    pub fn from_request(id: crate::RequestId) -> Self {
        let mut text = id.encode();
        text[0] = b'c';
        let mut bytes = [0; INLINE_BYTES];
        bytes[..text.len()].copy_from_slice(&text);
        Self(Inline { bytes, len: text.len() as u8 })
    }
}

/// A function's name: letters, digits, `_` and `-`, not starting with a digit or `-`, at most 128
/// (spec `alibaba-fc.md` 1.3; the stricter limits of an API are in [`Limits`](crate::Limits)).
///
/// ```
/// use fc_core::FunctionName;
/// assert!(FunctionName::new("resize_2").is_ok());
/// assert!(FunctionName::new("2resize").is_err());
/// assert!(FunctionName::new("a.b").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(Arc<str>);

/// The longest function name any API takes (META in `alibaba-fc.md` 1.3).
const FUNCTION_NAME_CHARS_MAX: usize = 128;

impl FunctionName {
    /// Proves `text`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names `function_name`.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.len() > FUNCTION_NAME_CHARS_MAX {
            return Err(Error::over_limit(
                "function_name",
                "characters",
                FUNCTION_NAME_CHARS_MAX as u64,
                text.len() as u64,
            ));
        }
        let starts = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !starts || !text.bytes().all(is_name_byte) {
            return Err(Error::invalid(
                "function_name",
                "must be letters, digits, '_' or '-', and start with a letter or '_'",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for FunctionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

/// A version of a function: 0 is LATEST, which changes; the others are immutable and never reused.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct VersionId(u32);

impl VersionId {
    /// The mutable head.
    pub const LATEST: Self = Self(0);

    /// The published version `number`; 0 is [`VersionId::LATEST`].
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number; 0 for LATEST.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("LATEST") } else { self.0.fmt(f) }
    }
}

/// Which version of a function a caller asks for.
///
/// ```
/// use fc_core::{Qualifier, VersionId};
/// assert_eq!("LATEST".parse::<Qualifier>().unwrap(), Qualifier::Version(VersionId::LATEST));
/// assert_eq!("7".parse::<Qualifier>().unwrap(), Qualifier::Version(VersionId::new(7)));
/// assert!(matches!("prod".parse::<Qualifier>().unwrap(), Qualifier::Alias(_)));
/// assert!("pro d".parse::<Qualifier>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Qualifier {
    /// LATEST or a published version.
    Version(VersionId),
    /// An alias, which the catalog resolves to a version.
    Alias(Arc<str>),
}

impl Default for Qualifier {
    fn default() -> Self {
        Self::Version(VersionId::LATEST)
    }
}

impl FromStr for Qualifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text == "LATEST" {
            return Ok(Self::default());
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(number) if number > 0 && text.len() <= 10 => {
                    Ok(Self::Version(VersionId::new(number)))
                }
                _ => Err(Error::invalid("qualifier", "is no version number")),
            };
        }
        if text.len() > 128 {
            return Err(Error::over_limit("qualifier", "characters", 128, text.len() as u64));
        }
        if !text.bytes().all(is_name_byte) {
            return Err(Error::invalid(
                "qualifier",
                "must be LATEST, a version number or an alias of letters, digits, '_' and '-'",
            ));
        }
        Ok(Self::Alias(text.into()))
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Alias(alias) => f.write_str(alias),
        }
    }
}
