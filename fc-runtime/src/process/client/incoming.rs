//! From the bytes that a program sends to an answer's head and body. No I/O.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use memchr::memchr;

use super::Asked;
use super::framing::{Framing, Rest};
use crate::process::hop;

/// Longest head of an answer, bytes; an instance is not to make the platform keep more.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What every head begins with.
const BEGIN: &[u8] = b"HTTP/1.";

/// Header fields of one answer.
const FIELDS_MAX: usize = 100;

/// Read at once, bytes: at first, and where a program has much to send.
const READ_BYTES: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;

/// Below this a rest of a buffer is not worth a read.
const ROOM_BYTES_MIN: usize = 1024;

/// What is no HTTP, or two things at once: the program's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::process) struct Malformed(pub(super) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An answer's head, without what belongs to the connection that it came over.
#[derive(Debug)]
pub(in crate::process) struct AnswerHead {
    pub(in crate::process) status: StatusCode,
    /// Not among them: a length that the body says itself.
    pub(in crate::process) headers: HeaderMap,
}

/// The reading side of a connection: answers, one after the other.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What was read and not yet used. Heads and bodies are handed out as parts of it.
    pub(super) input: BytesMut,
    /// No empty line begins before this.
    searched: usize,
    rest: Rest,
    /// Whether the program keeps the connection after this answer.
    keeps: bool,
    read_bytes: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        let rest = Rest::Length(0);
        Self { input: BytesMut::new(), searched: 0, rest, keeps: true, read_bytes: READ_BYTES }
    }

    /// Makes room for a read.
    pub(super) fn reserve(&mut self) {
        if self.input.capacity() - self.input.len() < ROOM_BYTES_MIN {
            self.input.reserve(self.read_bytes);
        }
    }

    /// A read brought `count` bytes into the room that was there: where it was used up, the next
    /// room is larger.
    pub(super) fn filled(&mut self, count: usize) {
        if self.input.len() == self.input.capacity() {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        } else if count < READ_BYTES {
            self.read_bytes = READ_BYTES;
        }
    }

    /// The head of the answer to what was `asked`, once it is whole, in the emptied map `headers`.
    /// Interim answers (1xx) before it are skipped.
    ///
    /// # Errors
    ///
    /// What is no HTTP/1 answer, is too large, or names no one end.
    pub(super) fn head(
        &mut self,
        asked: Asked,
        headers: &mut HeaderMap,
    ) -> Result<Option<AnswerHead>, Malformed> {
        loop {
            let Some(length) = self.head_length()? else {
                return Ok(None);
            };
            let bytes = self.input.split_to(length).freeze();
            self.searched = 0;
            let (status, version, framing) = self.read_head(&bytes, headers)?;
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                headers.clear();
                continue;
            }
            self.rest = Rest::of(&framing, asked, status, version)?;
            let is_a_tunnel = asked == Asked::Connect && status.is_success();
            self.keeps &= !is_a_tunnel && status != StatusCode::SWITCHING_PROTOCOLS;
            // Of a body that is not sent, only the head tells the length.
            if self.rest.is_over()
                && let Some(length) = framing.length()
            {
                headers.insert(CONTENT_LENGTH, length.into());
            }
            return Ok(Some(AnswerHead { status, headers: std::mem::take(headers) }));
        }
    }

    /// The length of the head at the begin of the input, once its empty line is there.
    fn head_length(&mut self) -> Result<Option<usize>, Malformed> {
        // Empty lines before an answer are an old server's habit.
        while let Some(b'\r' | b'\n') = self.input.first()
            && self.searched == 0
        {
            self.input.advance(1);
        }
        loop {
            let Some(found) = memchr(b'\n', &self.input[self.searched..]) else {
                self.searched = self.input.len();
                break;
            };
            let feed = self.searched + found;
            let length = match self.input[feed + 1..] {
                [b'\n', ..] => feed + 2,
                [b'\r', b'\n', ..] => feed + 3,
                // The empty line may begin here: this line feed is looked at again.
                [] | [b'\r'] => {
                    self.searched = feed;
                    break;
                }
                _ => {
                    self.searched = feed + 1;
                    continue;
                }
            };
            if length > HEAD_BYTES_MAX {
                break;
            }
            return Ok(Some(length));
        }
        if self.input.len() > HEAD_BYTES_MAX {
            return Err(Malformed("a head over 64 KB"));
        }
        // Who speaks another protocol may never send an empty line.
        let seen = self.input.len().min(BEGIN.len());
        if self.input[..seen] != BEGIN[..seen] {
            return Err(Malformed("the first bytes are not those of HTTP/1"));
        }
        Ok(None)
    }

    /// Reads the head `bytes` into `headers`, and notes whether the connection is kept.
    fn read_head(
        &mut self,
        bytes: &Bytes,
        headers: &mut HeaderMap,
    ) -> Result<(StatusCode, Version, Framing), Malformed> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut answer,
            bytes,
            &mut fields,
        );
        match parsed {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(Malformed("a head that is none")),
            Err(error) => return Err(Malformed(explained(error))),
        }
        let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Malformed("a status code"))?;
        let version = match answer.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        };

        let mut framing = Framing::default();
        let (mut asks_to_close, mut asks_to_keep) = (false, false);
        let mut lists = false;
        headers.reserve(answer.headers.len());
        for field in answer.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let name = name.map_err(|_| Malformed("a header's name"))?;
            framing.note(&name, field.value)?;
            if name == CONNECTION {
                for option in hop::options(field.value) {
                    asks_to_close |= option.eq_ignore_ascii_case(b"close");
                    asks_to_keep |= option.eq_ignore_ascii_case(b"keep-alive");
                    lists |= !hop::is_word(option);
                }
                // Kept where other headers depend on it, until they are all here.
                if !lists {
                    continue;
                }
            } else if name == CONTENT_LENGTH || hop::is_of_one(&name) {
                continue;
            }
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
            headers.append(name, value.map_err(|_| Malformed("a header's value"))?);
        }
        if lists {
            hop::strip(headers);
        }
        self.keeps = !asks_to_close && (version == Version::HTTP_11 || asks_to_keep);
        Ok((status, version, framing))
    }

    /// The next of the body that is here. `None`: more must be read, or [`is_over`](Self::is_over).
    pub(super) fn data(&mut self) -> Result<Option<Bytes>, Malformed> {
        self.rest.data(&mut self.input)
    }

    /// Whether the answer is here to its last byte.
    pub(super) fn is_over(&self) -> bool {
        self.rest.is_over()
    }

    /// Bytes of the body that are to come, where that is known.
    pub(super) fn exact(&self) -> Option<u64> {
        self.rest.exact()
    }

    /// The program has closed the connection: whether the answer was whole by then.
    pub(super) fn close(&mut self) -> bool {
        self.keeps = false;
        self.rest.close()
    }

    /// Whether the next answer may come over the same connection: this one is over, the program
    /// keeps the connection, and has sent nothing that nobody asked for. A large buffer is given up.
    pub(super) fn may_go_on(&mut self) -> bool {
        if self.input.capacity() > READ_BYTES {
            self.input = BytesMut::new();
        }
        self.keeps && self.is_over() && self.input.is_empty()
    }
}

fn explained(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header's name",
        httparse::Error::HeaderValue => "a header's value",
        httparse::Error::NewLine => "a line's end",
        httparse::Error::Status => "the status line",
        httparse::Error::Token => "the status line's first bytes",
        httparse::Error::TooManyHeaders => "over 100 header fields",
        httparse::Error::Version => "an HTTP version that is not 1.0 or 1.1",
    }
}
