//! A request as it goes over the wire.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use fc_core::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::Body as _;

/// A body in memory up to this goes out in one piece with its head, bytes.
const JOINED_BYTES_MAX: u64 = 4 * 1024;

/// What of a request its answer's framing depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::process) enum Asked {
    Head,
    Connect,
    Other,
}

/// How a request's body is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    /// Chunked, and the last chunk is on its way.
    Ended,
}

/// The lines of a head, one after the other.
#[derive(Clone, Debug)]
pub(in crate::process) struct Lines(Vec<u8>);

impl Lines {
    /// A head that begins with its request line.
    pub(in crate::process) fn request(
        method: &Method,
        target: &str,
        bytes_expected: usize,
    ) -> Self {
        let mut lines = Self(Vec::with_capacity(bytes_expected));
        for part in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
            lines.0.extend_from_slice(part.as_bytes());
        }
        lines
    }

    /// Lines without a request line: a part of a head.
    pub(in crate::process) fn part() -> Self {
        Self(Vec::new())
    }

    pub(in crate::process) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds lines that were made before.
    pub(in crate::process) fn extend(&mut self, part: &Self) {
        self.0.extend_from_slice(&part.0);
    }

    /// Adds a header. Neither name nor value can hold a line's end, by their types.
    pub(in crate::process) fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.begin(name).extend_from_slice(value.as_bytes());
        self.end();
    }

    /// Begins a header's line; [`end`](Self::end) follows the value, which must be free of control
    /// bytes.
    pub(in crate::process) fn begin(&mut self, name: &HeaderName) -> &mut Vec<u8> {
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        &mut self.0
    }

    pub(in crate::process) fn end(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }

    /// The whole request: adds how the body is framed, and ends the head.
    pub(in crate::process) fn finish(mut self, method: &Method, body: Body) -> Outgoing {
        let length = body.known_length();
        match length {
            Some(0) if says_no_body(method) => self.0.extend_from_slice(b"content-length: 0\r\n"),
            Some(0) => {}
            Some(length) => {
                self.0.extend_from_slice(b"content-length: ");
                self.0.extend_from_slice(Digits::of(length).as_bytes());
                self.end();
            }
            None => self.0.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        self.end();
        let asked = match *method {
            Method::HEAD => Asked::Head,
            Method::CONNECT => Asked::Connect,
            _ => Asked::Other,
        };
        let is_repeatable = length == Some(0) && is_idempotent(method);
        let coding = length.map_or(Coding::Chunked, Coding::Length);
        Outgoing { bytes: self.0, body, coding, asked, is_repeatable, ..Outgoing::none() }.joined()
    }
}

/// A request on its way out: its head as bytes, its body as it comes.
#[derive(Debug)]
pub(in crate::process) struct Outgoing {
    /// What goes out next, from `at`: the head, and a small body with it; then heads of chunks.
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    /// Behind `bytes`: a piece of the body.
    pub(super) data: Bytes,
    /// Behind `data`: what ends a chunk.
    pub(super) tail: &'static [u8],
    pub(super) body: Body,
    pub(super) coding: Coding,
    pub(super) is_begun: bool,
    pub(super) asked: Asked,
    /// It may be sent twice: it has no effect and no body (`alibaba-fc.md` 5.3).
    pub(super) is_repeatable: bool,
    /// A map for the answer's headers, empty, whose memory is there already.
    pub(super) spare: HeaderMap,
}

impl Outgoing {
    /// No request.
    pub(super) fn none() -> Self {
        Self {
            bytes: Vec::new(),
            at: 0,
            data: Bytes::new(),
            tail: b"",
            body: Body::EMPTY,
            coding: Coding::Length(0),
            is_begun: false,
            asked: Asked::Other,
            is_repeatable: false,
            spare: HeaderMap::new(),
        }
    }

    /// What goes out first: the head, and a small body with it.
    #[cfg(test)]
    pub(in crate::process) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// With a map whose memory the answer's headers may use.
    pub(in crate::process) fn with_spare(mut self, mut map: HeaderMap) -> Self {
        map.clear();
        self.spare = map;
        self
    }

    /// The same request to be sent once more, if it may be.
    pub(super) fn again(mut self) -> Option<Self> {
        (self.at, self.is_begun) = (0, false);
        self.is_repeatable.then_some(self)
    }

    /// A small body that lies in memory goes out with the head.
    fn joined(mut self) -> Self {
        let Coding::Length(length) = self.coding else {
            return self;
        };
        if length <= JOINED_BYTES_MAX && self.body.is_in_memory() {
            let mut nobody = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(Ok(frame))) =
                Pin::new(&mut self.body).poll_frame(&mut nobody)
            {
                self.bytes.extend_from_slice(frame.data_ref().map_or(b"", |data| data));
            }
            self.coding = Coding::Length(0);
        }
        self
    }
}

/// Whether a request of `method` without a body is to say so (RFC 9110, 8.6).
fn says_no_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// A number's text, without the formatting machinery: it is in every request.
#[derive(Debug)]
pub(in crate::process) struct Digits {
    text: [u8; 20],
    from: usize,
}

impl Digits {
    pub(in crate::process) fn of(mut number: u64) -> Self {
        let mut digits = Self { text: [b'0'; 20], from: 20 };
        loop {
            digits.from -= 1;
            // Below ten.
            digits.text[digits.from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    pub(in crate::process) fn as_bytes(&self) -> &[u8] {
        &self.text[self.from..]
    }
}
