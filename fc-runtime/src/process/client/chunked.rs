//! The chunked coding of an answer (RFC 9112, 7.1), byte by byte but for the data.

use bytes::{Buf, Bytes, BytesMut};

use super::Malformed;

/// Digits of a chunk's length: what a `u64` holds.
const DIGITS_MAX: u8 = 16;

/// Bytes of all of a body's chunk extensions, which are ignored.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a body's trailers, which are dropped: nothing in the contract reads them.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// Where in the coding the next byte lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// A chunk's length; so many digits of it were seen.
    Length(u8),
    /// White space behind the length.
    Space,
    Extension,
    /// The line feed behind a length.
    LengthFeed,
    Data,
    /// The line end behind the data.
    DataReturn,
    DataFeed,
    /// Behind the last chunk: a trailer, or the end.
    LineStart,
    Trailer,
    TrailerFeed,
    EndFeed,
    Over,
}

/// A chunked body so far.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    /// Of the chunk: its length so far, then what of its data is to come.
    left: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { at: At::Length(0), left: 0, extension_bytes: 0, trailer_bytes: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// Takes the next data out of `input`. `None`: more is needed, or nothing follows.
    pub(super) fn data(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        let mut used = 0;
        while !matches!(self.at, At::Data | At::Over) {
            let Some(&byte) = input.get(used) else {
                break;
            };
            used += 1;
            self.at = self.step(byte)?;
        }
        input.advance(used);
        if self.at != At::Data || input.is_empty() {
            return Ok(None);
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        self.left -= count as u64;
        if self.left == 0 {
            self.at = At::DataReturn;
        }
        Ok(Some(input.split_to(count).freeze()))
    }

    fn step(&mut self, byte: u8) -> Result<At, Malformed> {
        Ok(match (self.at, byte) {
            (At::Length(digits), _) if let Some(digit) = hexadecimal(byte) => {
                if digits == DIGITS_MAX {
                    return Err(Malformed("a chunk's length has too many digits"));
                }
                self.left = self.left << 4 | u64::from(digit);
                At::Length(digits + 1)
            }
            (At::Length(0), _) => return Err(Malformed("a chunk without a length")),
            (At::Length(_) | At::Space, b'\t' | b' ') => self.extend(At::Space)?,
            (At::Length(_) | At::Space, b';') => self.extend(At::Extension)?,
            (At::Length(_) | At::Space | At::Extension, b'\r') => At::LengthFeed,
            (At::Extension, b'\n') => return Err(Malformed("a bare line feed in an extension")),
            (At::Extension, _) => self.extend(At::Extension)?,
            (At::LengthFeed, b'\n') if self.left == 0 => At::LineStart,
            (At::LengthFeed, b'\n') => At::Data,
            (At::DataReturn, b'\r') => At::DataFeed,
            (At::DataFeed, b'\n') => At::Length(0),
            (At::LineStart, b'\r') => At::EndFeed,
            (At::EndFeed, b'\n') => At::Over,
            (At::Trailer, b'\r') => At::TrailerFeed,
            (At::TrailerFeed, b'\n') => At::LineStart,
            (At::LineStart | At::Trailer, b'\n') => {
                return Err(Malformed("a bare line feed in a trailer"));
            }
            (At::LineStart | At::Trailer, _) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(Malformed("trailers over 16 KB"));
                }
                At::Trailer
            }
            (At::Length(_) | At::Space, _) => return Err(Malformed("a chunk's length")),
            _ => return Err(Malformed("a line of the chunked coding that does not end in CRLF")),
        })
    }

    /// To `at`, over a byte that says nothing.
    fn extend(&mut self, at: At) -> Result<At, Malformed> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(Malformed("chunk extensions over 16 KB"));
        }
        Ok(at)
    }
}

fn hexadecimal(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of `text`, and whether it is the whole coding.
    fn decode(text: &[u8]) -> Result<(Vec<u8>, bool), Malformed> {
        let (mut coding, mut input) = (Chunked::new(), BytesMut::from(text));
        let mut all = Vec::new();
        while let Some(data) = coding.data(&mut input)? {
            all.extend_from_slice(&data);
        }
        Ok((all, coding.is_over()))
    }

    #[test]
    fn run_2_chunks_are_joined_and_what_is_around_them_is_dropped() {
        for text in [
            "5\r\nhello\r\n0\r\n\r\n",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "005 ;a=\"b\";c\r\nhello\r\n0;last\r\n\r\n",
            "5\r\nhello\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n",
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap(), (b"hello".to_vec(), true), "{text:?}");
        }
        assert_eq!(decode(b"A\r\n0123456789\r\n0\r\n\r").unwrap(), (b"0123456789".to_vec(), false));
    }

    #[test]
    fn t4_what_two_readers_could_cut_differently_is_refused() {
        for text in [
            "\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n",
            "5\r\nhelloX",
            "5 5\r\n",
            "0x5\r\n",
            "-5\r\n",
            "+5\r\n",
            "5;a\nb\r\n",
            "5;a\rb",
            "5\rhello",
            "0\r\nx: 1\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
            "00000000000000001\r\n",
        ] {
            decode(text.as_bytes()).expect_err(text);
        }
        let (most, over) = ("f".repeat(16), "1".to_owned() + &"0".repeat(16));
        decode(format!("{most}\r\n").as_bytes()).unwrap();
        decode(format!("{over}\r\n").as_bytes()).unwrap_err();
    }

    #[test]
    fn run_2_extensions_and_trailers_are_bounded() {
        for (begin, most, end) in
            [("1;", EXTENSION_BYTES_MAX - 1, "\r\n"), ("0\r\n", TRAILER_BYTES_MAX, "\r\n")]
        {
            let text = |bytes: usize| format!("{begin}{}{end}", "x".repeat(bytes));
            decode(text(most).as_bytes()).unwrap();
            decode(text(most + 1).as_bytes()).unwrap_err();
        }
    }
}
