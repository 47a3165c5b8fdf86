//! Which host a request is for: one answer, or none (T5).

use fc_core::{Error, Result};
use http::Version;
use http::request::Parts;
use http::uri::Authority;

use super::survey::Survey;
use crate::server::Violation;

/// The host without its port. It is the one `Host`, and what the target says is the same.
pub(super) fn of<'h>(head: &'h Parts, survey: &Survey<'h>) -> Result<&'h str> {
    if survey.hosts > 1 {
        return Err(Violation::TwoHosts.error());
    }
    let target = head.uri.authority().map(Authority::as_str);
    let header = match survey.host {
        // What is no ASCII is no host either, as is found below.
        Some(value) => Some(std::str::from_utf8(value.as_bytes()).map_err(|_| not_a_host())?),
        None => None,
    };
    let text = match (target, header) {
        (None, Some(header)) => header,
        (Some(target), Some(header)) if target.eq_ignore_ascii_case(header) => header,
        (Some(_), Some(_)) => {
            return Err(Error::invalid("Host", "differs from the host of the request target"));
        }
        (Some(target), None) if head.version >= Version::HTTP_2 => target,
        (_, None) => return Err(Violation::NoHost.error()),
    };
    host(text)
}

/// The function's label, if the host is `{label}.{suffix}`. Lower case is not forced on it: names of
/// functions have cases, and a client that keeps them is served.
pub(super) fn label<'h>(host: &'h str, suffixes: &[String]) -> Option<&'h str> {
    suffixes.iter().find_map(|suffix| {
        let split = host.len().checked_sub(suffix.len() + 1)?;
        let (label, rest) = (host.get(..split)?, host.get(split + 1..)?);
        let fits = host.as_bytes()[split] == b'.' && rest.eq_ignore_ascii_case(suffix);
        (fits && !label.is_empty() && !label.bytes().any(|byte| byte == b'.')).then_some(label)
    })
}

/// `host[:port]`, a name or an address in brackets.
fn host(text: &str) -> Result<&str> {
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']').ok_or_else(not_a_host)?;
        let inner = &text[1..end];
        let is_address = inner.parse::<std::net::Ipv6Addr>().is_ok();
        if !is_address {
            return Err(not_a_host());
        }
        (&text[..=end], &text[end + 1..])
    } else {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let end = text.bytes().position(|byte| !is_name(byte)).unwrap_or(text.len());
        // What ends the name is a `:`, or the port below is none. A character is never split: its
        // first byte ends the name.
        let (host, port) = text.split_at(end);
        if host.is_empty() || host.starts_with('.') || host.ends_with('.') {
            return Err(not_a_host());
        }
        (host, port)
    };
    let digits = match port.strip_prefix(':') {
        None if port.is_empty() => return Ok(host),
        None => return Err(not_a_host()),
        Some(digits) => digits,
    };
    let is_port = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok();
    if is_port { Ok(host) } else { Err(not_a_host()) }
}

fn not_a_host() -> Error {
    Error::invalid("Host", "is no 'host' or 'host:port'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t5_hosts() {
        for good in ["a", "a.b:80", "A-b_c.d", "127.0.0.1:1", "[::1]", "[::1]:65535"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in [
            "", ":80", "a.", "a.:80", ".a", "a:", "a:x", "a:65536", "a:-1", "a:+1", "a b", "u@a",
            "a/b", "[::1", "[x]", "[::1]x", "::1", "a:1:2", "a,b", "a%2e", "a\\b", "a?b", "a#b",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_label_before_a_suffix_is_a_function() {
        let suffixes = ["localhost".to_owned(), "fc.example.com".to_owned()];
        let label = |host| label(host, &suffixes);
        assert_eq!(label("hello.localhost"), Some("hello"));
        assert_eq!(label("Hello.LocalHost"), Some("Hello"));
        assert_eq!(label("f_1.fc.example.com"), Some("f_1"));
        for host in
            ["localhost", "a.b.localhost", "xlocalhost", "example.com", "fc.example.com", ""]
        {
            assert_eq!(label(host), None, "{host}");
        }
    }
}
