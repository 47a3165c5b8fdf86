//! Where a function's code lies, and how large it is.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Error, ErrorKind, Limits, Result};

/// Where a version's code lies. What a runtime cannot take it refuses in `prepare`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodeRef {
    /// Code that the runtime knows by itself, by the function's name.
    Registered,
    /// A handler of this process.
    Handler(HandlerCode),
    /// A directory of this machine that holds the unpacked package.
    Directory {
        /// The directory; the program starts in it.
        path: PathBuf,
        /// Its size.
        unpacked_bytes: u64,
    },
    /// A package that was sent inside the API call.
    Inline {
        /// Its address.
        location: String,
        /// Size as sent.
        packed_bytes: u64,
        /// Size unpacked.
        unpacked_bytes: u64,
    },
    /// A package in object storage.
    Stored {
        /// Its address.
        location: String,
        /// Size as stored.
        packed_bytes: u64,
        /// Size unpacked.
        unpacked_bytes: u64,
    },
    /// A container image.
    Image {
        /// Its reference.
        reference: String,
        /// Its size.
        bytes: u64,
    },
}

/// A handler of this process as a function's code: what it is only its runtime knows. It lives as
/// long as a version has it, and two versions with different handlers have different code.
#[derive(Clone)]
pub struct HandlerCode(Arc<dyn Any + Send + Sync>);

impl HandlerCode {
    /// `handler`, as its runtime wants it.
    pub fn new(handler: impl Any + Send + Sync) -> Self {
        Self(Arc::new(handler))
    }

    /// The handler, if it is of this type.
    pub fn get<H: Any>(&self) -> Option<&H> {
        self.0.downcast_ref()
    }
}

impl PartialEq for HandlerCode {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HandlerCode {}

impl fmt::Debug for HandlerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerCode")
    }
}

impl CodeRef {
    /// Bytes that count towards the account's packages (QUO-7).
    pub fn package_bytes(&self) -> u64 {
        match self {
            Self::Registered | Self::Handler(_) | Self::Image { .. } => 0,
            Self::Directory { unpacked_bytes, .. } => *unpacked_bytes,
            Self::Inline { packed_bytes, .. } | Self::Stored { packed_bytes, .. } => *packed_bytes,
        }
    }

    /// Whether it is within the limits of QUO-8.
    ///
    /// # Errors
    ///
    /// `EntityTooLarge`, naming the field, the limit and the size.
    pub fn validate(&self, limits: &Limits) -> Result<()> {
        let within = |field: &str, limit: u64, bytes: u64| {
            if bytes <= limit {
                return Ok(());
            }
            let message = format!("{field}: {bytes} bytes is over the limit of {limit}");
            Err(Error::new(ErrorKind::EntityTooLarge, message))
        };
        match self {
            Self::Registered | Self::Handler(_) => Ok(()),
            Self::Directory { unpacked_bytes, .. } => {
                within("code.unpacked", limits.code_unpacked_bytes_max, *unpacked_bytes)
            }
            Self::Inline { packed_bytes, unpacked_bytes, .. } => {
                within("code.zip_file", limits.code_inline_bytes_max, *packed_bytes)?;
                within("code.unpacked", limits.code_unpacked_bytes_max, *unpacked_bytes)
            }
            Self::Stored { packed_bytes, unpacked_bytes, .. } => {
                within("code.oss_object", limits.code_packed_bytes_max, *packed_bytes)?;
                within("code.unpacked", limits.code_unpacked_bytes_max, *unpacked_bytes)
            }
            Self::Image { bytes, .. } => {
                within("custom_container_config.image", limits.image_bytes_max, *bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    /// QUO-8: 50 MB in the call, 300 MB packed, 1500 MB unpacked, image 10 GB.
    #[test]
    fn quo_8_code_sizes_on_both_sides_of_each_limit() {
        let location = String::new;
        type Sized = fn(u64) -> CodeRef;
        let cases: [(Sized, u64, &str); 4] = [
            (
                |bytes| CodeRef::Inline {
                    location: String::new(),
                    packed_bytes: bytes,
                    unpacked_bytes: bytes,
                },
                50 * MB,
                "code.zip_file",
            ),
            (
                |bytes| CodeRef::Stored {
                    location: String::new(),
                    packed_bytes: bytes,
                    unpacked_bytes: bytes,
                },
                300 * MB,
                "code.oss_object",
            ),
            (
                |bytes| CodeRef::Directory { path: PathBuf::new(), unpacked_bytes: bytes },
                1_500 * MB,
                "code.unpacked",
            ),
            (
                |bytes| CodeRef::Image { reference: String::new(), bytes },
                10 * 1024 * MB,
                "custom_container_config.image",
            ),
        ];
        let limits = Limits::function_compute();
        for (code, limit, field) in cases {
            assert!(code(limit).validate(&limits).is_ok());
            let refused = code(limit + 1).validate(&limits).unwrap_err();
            assert_eq!(refused.code(), "EntityTooLarge");
            assert!(refused.message().starts_with(field), "{refused}");
        }
        let bomb =
            CodeRef::Inline { location: location(), packed_bytes: 1, unpacked_bytes: 1_501 * MB };
        assert!(bomb.validate(&limits).unwrap_err().message().starts_with("code.unpacked"));
    }
}
