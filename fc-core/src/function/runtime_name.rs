//! The runtimes a function can name.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result, RuntimeKind};

/// A runtime as a function names it (`alibaba-fc.md` 5.1), with `in-process` and `wasm` beside it.
///
/// ```
/// use fc_core::{RuntimeKind, RuntimeName};
/// let custom: RuntimeName = "custom.debian12".parse().unwrap();
/// assert_eq!(custom.kind(), RuntimeKind::Process);
/// assert!("cobol".parse::<RuntimeName>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuntimeName {
    /// A Rust handler of this process.
    InProcess,
    /// A WASI HTTP component.
    Wasm,
    /// A program that serves HTTP; the number is the Debian release it asks for, 0 for any.
    Custom(u8),
    /// A container image that serves HTTP.
    CustomContainer,
    /// A built-in event runtime: an index into the table below.
    BuiltIn(u8),
}

/// `alibaba-fc.md` 5.1.
const BUILT_IN: [&str; 14] = [
    "nodejs12",
    "nodejs14",
    "nodejs16",
    "nodejs18",
    "nodejs20",
    "go1",
    "python3",
    "python3.9",
    "python3.10",
    "python3.12",
    "java8",
    "java11",
    "php7.2",
    "dotnetcore3.1",
];

impl RuntimeName {
    /// Which kind of runtime serves it.
    pub const fn kind(self) -> RuntimeKind {
        match self {
            Self::InProcess => RuntimeKind::InProcess,
            Self::Wasm => RuntimeKind::Wasm,
            Self::Custom(_) => RuntimeKind::Process,
            Self::CustomContainer => RuntimeKind::Container,
            Self::BuiltIn(_) => RuntimeKind::BuiltIn,
        }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProcess => "in-process",
            Self::Wasm => "wasm",
            Self::Custom(10) => "custom.debian10",
            Self::Custom(11) => "custom.debian11",
            Self::Custom(12) => "custom.debian12",
            Self::Custom(_) => "custom",
            Self::CustomContainer => "custom-container",
            Self::BuiltIn(index) => BUILT_IN.get(usize::from(index)).copied().unwrap_or("unknown"),
        }
    }
}

impl FromStr for RuntimeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "in-process" => Self::InProcess,
            "wasm" => Self::Wasm,
            "custom" => Self::Custom(0),
            "custom.debian10" => Self::Custom(10),
            "custom.debian11" => Self::Custom(11),
            "custom.debian12" => Self::Custom(12),
            "custom-container" => Self::CustomContainer,
            _ => match BUILT_IN.iter().position(|name| *name == text) {
                Some(index) => Self::BuiltIn(index as u8),
                None => {
                    let what = format!("'{}' is no known runtime", text.escape_debug());
                    return Err(Error::invalid("runtime", what));
                }
            },
        })
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
