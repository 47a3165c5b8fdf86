//! Headers that belong to one hop (RFC 9110, 7.6.1).

use http::header::{
    CONNECTION, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether a header belongs to the connection that it came over.
pub(super) fn is_of_one(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == TE
        || *name == TRAILER
        || *name == PROXY_AUTHORIZATION
        || *name == PROXY_AUTHENTICATE
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// What one `Connection` header lists.
pub(super) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether `option` names no header: it is one of the two words that nearly every message has, or
/// nothing.
pub(super) fn is_word(option: &[u8]) -> bool {
    option.is_empty()
        || option.eq_ignore_ascii_case(b"keep-alive")
        || option.eq_ignore_ascii_case(b"close")
}

/// The names of headers that `Connection` lists.
pub(super) fn listed(headers: &HeaderMap) -> Vec<&[u8]> {
    let values = headers.get_all(CONNECTION).iter();
    values.flat_map(|value| options(value.as_bytes())).filter(|name| !is_word(name)).collect()
}

/// Whether `Connection` takes `name` away.
pub(super) fn is_listed(listed: &[&[u8]], name: &HeaderName) -> bool {
    // `Connection: host` must not take away what every request needs.
    listed.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str().as_bytes()))
        && *name != HOST
        && *name != CONTENT_TYPE
}

/// Removes what belongs to one hop, and what `Connection` lists.
pub(super) fn strip(headers: &mut HeaderMap) {
    let listed = listed(headers);
    let gone = |name: &&HeaderName| is_of_one(name) || is_listed(&listed, name);
    let gone: Vec<HeaderName> = headers.keys().filter(gone).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn run_2_what_belongs_to_one_hop_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, text) in [
            ("connection", "keep-alive, X-Secret, host"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "x"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-secret", "1"),
            ("host", "a.example"),
            ("x-kept", "1"),
        ] {
            headers.insert(name, HeaderValue::from_static(text));
        }
        strip(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&"host") && left.contains(&"x-kept"));
    }
}
