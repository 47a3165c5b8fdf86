//! How an answer goes on behind its head, and where it ends.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{StatusCode, Version};

use super::chunked::Chunked;
use super::{Asked, Malformed};

/// What of an answer's body is to come.
#[derive(Debug)]
pub(super) enum Rest {
    /// Nothing, or so many bytes.
    Length(u64),
    Chunked(Chunked),
    /// All until the program closes the connection.
    UntilClose,
}

/// What a head says of its body's end, header by header.
#[derive(Default, Debug)]
pub(super) struct Framing {
    length: Option<u64>,
    is_chunked: bool,
}

impl Framing {
    /// Takes note of one header.
    ///
    /// # Errors
    ///
    /// A length that is no plain number or comes twice, a coding that is not `chunked` alone.
    pub(super) fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
        if *name == CONTENT_LENGTH {
            let length = decimal(value).ok_or(Malformed("a Content-Length that is no number"))?;
            if self.length.replace(length).is_some() {
                return Err(Malformed("two Content-Length"));
            }
        } else if *name == TRANSFER_ENCODING {
            if self.is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed("a Transfer-Encoding that is not chunked alone"));
            }
            self.is_chunked = true;
        }
        Ok(())
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }
}

impl Rest {
    /// Of the answer to what was asked (RFC 9112, 6.3).
    ///
    /// # Errors
    ///
    /// Two framings, or a coding that HTTP/1.0 does not know: hyper's client takes the first, and
    /// equal lengths twice, and other codings; each is a place where the next reader may see another
    /// end. nginx refuses the same.
    pub(super) fn of(
        framing: &Framing,
        asked: Asked,
        status: StatusCode,
        version: Version,
    ) -> Result<Self, Malformed> {
        match (framing.is_chunked, framing.length) {
            (true, Some(_)) => return Err(Malformed("Transfer-Encoding beside Content-Length")),
            (true, None) if version == Version::HTTP_10 => {
                return Err(Malformed("Transfer-Encoding in HTTP/1.0"));
            }
            _ => {}
        }
        let without_body = match asked {
            Asked::Head => true,
            // What follows is a tunnel, and nobody's.
            Asked::Connect => status.is_success(),
            Asked::Other => false,
        };
        if without_body || is_empty(status) {
            return Ok(Self::Length(0));
        }
        Ok(match (framing.is_chunked, framing.length) {
            (true, _) => Self::Chunked(Chunked::new()),
            (false, Some(length)) => Self::Length(length),
            (false, None) => Self::UntilClose,
        })
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(coding) => coding.is_over(),
            Self::UntilClose => false,
        }
    }

    /// Bytes that are to come, where that is known.
    pub(super) fn exact(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(coding) => coding.is_over().then_some(0),
            Self::UntilClose => None,
        }
    }

    /// Takes the next data out of `input`. `None`: more is needed, or nothing follows.
    pub(super) fn data(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        let count = match self {
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= count as u64;
                count
            }
            Self::Chunked(coding) => return coding.data(input),
            Self::UntilClose => input.len(),
        };
        Ok((count > 0).then(|| input.split_to(count).freeze()))
    }

    /// The program has closed the connection: whether that is the body's end.
    pub(super) fn close(&mut self) -> bool {
        if let Self::UntilClose = self {
            *self = Self::Length(0);
        }
        self.is_over()
    }
}

/// Whether an answer of `status` has no body, whatever its head says.
fn is_empty(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Digits alone.
fn decimal(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(headers: &[(&HeaderName, &str)], asked: Asked, status: u16) -> Result<Rest, Malformed> {
        let mut framing = Framing::default();
        for (name, value) in headers {
            framing.note(name, value.as_bytes())?;
        }
        Rest::of(&framing, asked, StatusCode::from_u16(status).unwrap(), Version::HTTP_11)
    }

    #[test]
    fn run_2_the_answers_end_is_where_rfc_9112_says() {
        const LENGTH: &HeaderName = &CONTENT_LENGTH;
        const CODING: &HeaderName = &TRANSFER_ENCODING;
        use Asked::{Connect, Head, Other};
        let shown = |headers: &[_], asked, status| {
            rest(headers, asked, status).map(|rest| match rest {
                Rest::Length(0) => "none",
                Rest::Length(_) => "length",
                Rest::Chunked(_) => "chunked",
                Rest::UntilClose => "close",
            })
        };
        for (headers, asked, status, end) in [
            (&[(LENGTH, "5")][..], Other, 200, "length"),
            (&[(LENGTH, " 5\t")], Other, 404, "length"),
            (&[(LENGTH, "0")], Other, 200, "none"),
            (&[(CODING, "Chunked")], Other, 200, "chunked"),
            (&[], Other, 200, "close"),
            (&[(LENGTH, "5")], Head, 200, "none"),
            (&[(CODING, "chunked")], Head, 200, "none"),
            (&[(LENGTH, "5")], Other, 304, "none"),
            (&[], Other, 204, "none"),
            (&[], Connect, 200, "none"),
            (&[(LENGTH, "5")], Connect, 404, "length"),
        ] {
            assert_eq!(shown(headers, asked, status).unwrap(), end, "{headers:?} {status}");
        }
        for headers in [
            &[(LENGTH, "5"), (LENGTH, "5")][..],
            &[(LENGTH, "5"), (LENGTH, "6")],
            &[(LENGTH, "5, 5")],
            &[(LENGTH, "+5")],
            &[(LENGTH, "-5")],
            &[(LENGTH, "0x5")],
            &[(LENGTH, "")],
            &[(LENGTH, "18446744073709551616")],
            &[(CODING, "chunked"), (LENGTH, "5")],
            &[(LENGTH, "5"), (CODING, "chunked")],
            &[(CODING, "chunked"), (CODING, "chunked")],
            &[(CODING, "gzip, chunked")],
            &[(CODING, "chunked, chunked")],
            &[(CODING, "chunked, gzip")],
            &[(CODING, "identity")],
            &[(CODING, "xchunked")],
            &[(CODING, "")],
        ] {
            // Whatever was asked: the head itself is at fault.
            for asked in [Other, Head, Connect] {
                assert!(rest(headers, asked, 200).is_err(), "{headers:?}");
            }
        }
        let mut framing = Framing::default();
        framing.note(CODING, b"chunked").unwrap();
        Rest::of(&framing, Other, StatusCode::OK, Version::HTTP_10).unwrap_err();
    }
}
