//! Why bytes are no request that two servers would read alike.

use fc_core::{Error, ErrorKind};

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What is wrong with the bytes of a request.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) enum Violation {
            $($(#[$doc])* $name,)*
        }

        impl Violation {
            const ALL: &'static [Self] = &[$(Self::$name),*];

            /// For the caller.
            pub(crate) const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

violations! {
    BareLineFeed = "request head: a line ends in LF without CR";
    BareCarriageReturn = "request head: CR without LF";
    ControlByte = "request head: a control byte";
    Folded = "request head: a folded header";
    FieldName = "request head: a header name is empty or has a byte that no name has";
    RequestLine = "request head: the request line is not 'METHOD target HTTP/1.1'";
    HttpVersion = "request head: the version is neither HTTP/1.0 nor HTTP/1.1";
    Target = "request target: a byte that must be percent-encoded";
    PathTooLong = "path: over the limit, query included";
    HeadTooLarge = "headers: over the limit";
    TooManyFields = "headers: over the limit of 100 fields";
    NoHost = "Host: the header is missing";
    TwoHosts = "Host: more than one";
    ContentLength = "Content-Length: not a plain number";
    TwoLengths = "Content-Length: more than one";
    TransferEncoding = "Transfer-Encoding: only a single 'chunked' of HTTP/1.1 is taken";
    TwoFramings = "Content-Length and Transfer-Encoding exclude each other";
    ChunkSize = "request body: a malformed chunk";
    Trailers = "request body: malformed or too many trailers";
    HeadTimeout = "request head: it was not complete in time";
    BodyStalled = "request body: no byte came for too long";
}

impl Violation {
    /// Never 0.
    pub(crate) fn code(self) -> u8 {
        self as u8 + 1
    }

    /// The inverse of [`Violation::code`].
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// `InvalidArgument` in the violation's words.
    pub(crate) fn error(self) -> Error {
        Error::new(ErrorKind::InvalidArgument, self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for violation in Violation::ALL {
            assert_eq!(Violation::from_code(violation.code()), Some(*violation));
        }
        assert_eq!(Violation::from_code(0), None);
        assert_eq!(Violation::from_code(255), None);
    }
}
