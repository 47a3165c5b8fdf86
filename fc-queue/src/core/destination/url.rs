//! An HTTP endpoint's address.

use std::fmt;
use std::sync::Arc;

use fc_core::{Error, Result};
use http::Uri;

/// The address of an HTTP endpoint: `http` or `https`, a host, and neither a user nor a fragment.
///
/// It is shown whole where it is configured; errors and logs show its [`HttpUrl::origin`], because
/// paths and queries of such endpoints hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: Arc<str>,
    uri: Uri,
}

impl HttpUrl {
    /// Proves `text`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that says what is wrong, without the text.
    pub fn new(text: &str) -> Result<Self> {
        let refuse = |what: &str| Err(Error::invalid("destination", what));
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("an address of HTTP must be printable ASCII");
        }
        // `Uri` would drop it.
        if text.contains('#') {
            return refuse("an address of HTTP must have no fragment");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return refuse("is no address of HTTP");
        };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return refuse("the scheme must be http or https");
        }
        let Some(authority) = uri.authority() else {
            return refuse("an address of HTTP must have a host");
        };
        if authority.as_str().contains('@') {
            return refuse("an address of HTTP must have no user");
        }
        if authority.host().is_empty() || authority.host() == "[]" {
            return refuse("an address of HTTP must have a host");
        }
        let has_port = !authority.as_str().ends_with(authority.host());
        if has_port && !matches!(authority.port_u16(), Some(1..)) {
            return refuse("the port must be 1 to 65535");
        }
        Ok(Self { text: text.into(), uri })
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed form.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether the connection is to be encrypted.
    pub fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The host without brackets.
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, the scheme's if none is named.
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Scheme and authority: what may be shown to everybody.
    pub fn origin(&self) -> String {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{}://{authority}", self.uri.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_and_a_host_are_read() {
        let read = |text| {
            let url = HttpUrl::new(text).unwrap();
            (url.host().to_owned(), url.port(), url.is_https())
        };
        assert_eq!(read("https://example.com/x?y"), ("example.com".into(), 443, true));
        assert_eq!(read("http://example.com:8080"), ("example.com".into(), 8080, false));
        assert_eq!(read("http://[::1]:9/"), ("::1".into(), 9, false));
        assert_eq!(read("http://[::1]"), ("::1".into(), 80, false));
    }

    #[test]
    fn what_hides_something_is_refused() {
        for text in [
            "",
            "example.com",
            "/path",
            "ftp://example.com/",
            "http://",
            "http:///x",
            "http://user@example.com/",
            "http://user:secret@example.com/",
            "http://example.com/#x",
            "http://example.com:0/",
            "http://example.com:/",
            "http://example.com:65536/",
            "http://exa mple.com/",
            "http://example.com/\u{e9}",
            "http://[]/",
        ] {
            assert!(HttpUrl::new(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let url = HttpUrl::new("https://hooks.example.com/T0/secret?token=secret").unwrap();
        assert_eq!(format!("{url:?}"), "https://hooks.example.com/…");
        let refused = HttpUrl::new("http://me:secret@example.com/").unwrap_err();
        assert!(!format!("{refused:?}").contains("secret"));
    }
}
