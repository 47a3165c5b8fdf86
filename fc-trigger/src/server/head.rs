//! One request head, line by line, as its bytes arrive.

use memchr::memchr;

use super::Violation;
use crate::config::HEADER_FIELDS_MAX;

/// The limits of a head, bytes. They bound memory; the exact limits of HTT-2 are the service's.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    /// Of the request target.
    pub(super) target: usize,
    /// Of the whole head.
    pub(super) head: usize,
}

/// How a message goes on behind its head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// So many bytes; 0 for no body.
    Length(u64),
    Chunked,
}

/// A head so far. Bytes are given again from the head's start, and none is looked at twice.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the first line that is not yet read starts.
    line: usize,
    /// No line feed lies before this.
    searched: usize,
    fields: usize,
    has_request_line: bool,
    is_http_10: bool,
    hosts: u8,
    length: Option<u64>,
    is_chunked: bool,
}

impl Head {
    /// Reads on in `bytes`, which start where the head starts. `None`: it is not complete yet.
    /// Otherwise its length and how the message goes on.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limits: HeadLimits,
    ) -> Result<Option<(usize, Framing)>, Violation> {
        while let Some(found) = memchr(b'\n', &bytes[self.searched..]) {
            let feed = self.searched + found;
            if feed + 1 > limits.head {
                return Err(Violation::HeadTooLarge);
            }
            let line = bytes[self.line..feed].strip_suffix(b"\r").ok_or(Violation::BareLineFeed)?;
            let is_first = self.line == 0;
            self.line = feed + 1;
            self.searched = feed + 1;
            if !line.is_empty() {
                if self.has_request_line {
                    self.field(line)?;
                } else {
                    self.request_line(line, limits)?;
                }
            } else if self.has_request_line {
                return Ok(Some((feed + 1, self.framing()?)));
            } else if !is_first {
                // One empty line before a request is an old client's habit (RFC 9112, 2.2).
                return Err(Violation::RequestLine);
            }
        }
        self.searched = bytes.len();
        let rest = &bytes[self.line..];
        if !self.has_request_line
            && rest.len() > limits.target + METHOD_BYTES_MAX + VERSION.len() + 2
        {
            return Err(Violation::PathTooLong);
        }
        if bytes.len() > limits.head {
            return Err(Violation::HeadTooLarge);
        }
        Ok(None)
    }

    fn request_line(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Violation> {
        self.has_request_line = true;
        let space = memchr(b' ', line).ok_or(Violation::RequestLine)?;
        let (method, rest) = (&line[..space], &line[space + 1..]);
        let (target, version) = match memchr(b' ', rest) {
            Some(space) => (&rest[..space], &rest[space + 1..]),
            None => return Err(Violation::RequestLine),
        };
        if method.is_empty() || method.len() > METHOD_BYTES_MAX || !all(method, TOKEN) {
            return Err(Violation::RequestLine);
        }
        match version {
            VERSION => {}
            b"HTTP/1.0" => self.is_http_10 = true,
            _ if version.starts_with(b"HTTP/") => return Err(Violation::HttpVersion),
            _ => return Err(Violation::RequestLine),
        }
        if target.is_empty() {
            return Err(Violation::RequestLine);
        }
        if target.len() > limits.target {
            return Err(Violation::PathTooLong);
        }
        if !all(target, TARGET) {
            return Err(Violation::Target);
        }
        if target[0] != b'/' && !is_other_form(method, target) {
            return Err(Violation::Target);
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Violation> {
        if matches!(line[0], b' ' | b'\t') {
            return Err(Violation::Folded);
        }
        self.fields += 1;
        if self.fields > HEADER_FIELDS_MAX {
            return Err(Violation::TooManyFields);
        }
        let colon = memchr(b':', line).ok_or(Violation::FieldName)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !all(name, TOKEN) {
            return Err(Violation::FieldName);
        }
        check_text(value)?;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if self.hosts > 1 {
                    return Err(Violation::TwoHosts);
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::TwoLengths);
                }
                self.length = Some(decimal(trim(value)).ok_or(Violation::ContentLength)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked || !trim(value).eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::TransferEncoding);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self) -> Result<Framing, Violation> {
        if self.hosts == 0 {
            return Err(Violation::NoHost);
        }
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Violation::TwoFramings),
            (true, None) if self.is_http_10 => Err(Violation::TransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// The forms of a target that are no path (RFC 9112, 3.2). Hyper answers one that it cannot parse
/// itself, without a request id.
fn is_other_form(method: &[u8], target: &[u8]) -> bool {
    if target == b"*" {
        return method == b"OPTIONS";
    }
    let has_scheme = ["http://", "https://"].iter().any(|scheme| {
        let start = target.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    });
    (has_scheme || method == b"CONNECT") && http::Uri::try_from(target).is_ok()
}

const METHOD_BYTES_MAX: usize = 32;
const VERSION: &[u8] = b"HTTP/1.1";

/// No control byte but the tab: what a field's value may hold.
pub(super) fn check_text(text: &[u8]) -> Result<(), Violation> {
    // Without a branch per byte, so that the compiler takes many bytes at once.
    let is_control = |byte: u8| (byte < 0x20) & (byte != b'\t') | (byte == 0x7f);
    if !text.iter().fold(false, |bad, &byte| bad | is_control(byte)) {
        return Ok(());
    }
    Err(if memchr(b'\r', text).is_some() {
        Violation::BareCarriageReturn
    } else {
        Violation::ControlByte
    })
}

/// Whether `bytes` is a token (RFC 9110, 5.6.2), and not empty.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

const TOKEN: u8 = 1;
const TARGET: u8 = 2;

/// What each byte may be part of.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let other = byte as u8;
        let token = other.is_ascii_alphanumeric()
            || matches!(
                other,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        // A fragment is no part of a request target, and the `http` crate cuts it off silently; the
        // others it refuses.
        let target = !matches!(other, b'#' | b'"' | b'<' | b'>' | b'`');
        class[byte] = if token { TOKEN } else { 0 } | if target { TARGET } else { 0 };
        byte += 1;
    }
    class
};

fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|&byte| CLASS[usize::from(byte)] & class != 0)
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Digits alone, at most 19 of them.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(value * 10 + u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hyper would answer what the `http` crate refuses without a request id.
    #[test]
    fn every_target_that_passes_is_a_uri_and_stays_as_it_is() {
        for byte in 0..=255u8 {
            for around in ["/", "/a?b"] {
                let target = [around.as_bytes(), &[byte]].concat();
                if !all(&target, TARGET) {
                    continue;
                }
                let uri = http::Uri::try_from(&target[..]);
                let uri = uri.unwrap_or_else(|_| panic!("{:?} after {around}", byte as char));
                assert_eq!(uri.to_string().as_bytes(), target);
            }
        }
    }

    #[test]
    fn numbers_are_plain() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for bad in [&b""[..], b"+1", b"-1", b"1 ", b"0x1", b"10000000000000000000"] {
            assert_eq!(decimal(bad), None);
        }
    }
}
