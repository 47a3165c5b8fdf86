//! One pass over the request's headers: sizes, and what must go.

use fc_core::header::is_platform;
use fc_core::{Error, Limits, Result};
use http::header::{CONNECTION, HOST};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::HEADER_FIELDS_MAX;
use crate::server::Violation;

/// What one pass over the headers found.
#[derive(Debug)]
pub(super) struct Survey<'h> {
    bytes: u64,
    fields: usize,
    pub(super) host: Option<&'h HeaderValue>,
    pub(super) hosts: usize,
    lengths: usize,
    encodings: usize,
    /// Some header is read as one of the platform's.
    pub(super) has_platform: bool,
    /// Some header belongs to the connection.
    has_hop: bool,
}

/// Which kinds of headers must go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strips {
    platform: bool,
    hop: bool,
}

impl<'h> Survey<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut survey = Self {
            bytes: 0,
            fields: 0,
            host: None,
            hosts: 0,
            lengths: 0,
            encodings: 0,
            has_platform: false,
            has_hop: false,
        };
        for (name, value) in headers {
            survey.fields += 1;
            survey.bytes += (name.as_str().len() + value.len()) as u64;
            match name.as_str() {
                "host" => {
                    survey.hosts += 1;
                    survey.host = Some(value);
                }
                "content-length" => survey.lengths += 1,
                "transfer-encoding" => {
                    survey.encodings += 1;
                    survey.has_hop = true;
                }
                name if is_hop(name) => survey.has_hop = true,
                name if is_platform(name) => survey.has_platform = true,
                _ => {}
            }
        }
        survey
    }

    /// HTT-2, and two framings as far as the headers still show them.
    pub(super) fn check(&self, uri: &Uri, limits: &Limits) -> Result<()> {
        let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
        if path.len() as u64 > limits.path_bytes_max {
            let limit = limits.path_bytes_max;
            return Err(Error::over_limit(
                "path",
                "bytes with the query",
                limit,
                path.len() as u64,
            ));
        }
        if !path.is_ascii() {
            return Err(Violation::Target.error());
        }
        if self.bytes > limits.request_headers_bytes_max {
            let limit = limits.request_headers_bytes_max;
            return Err(Error::over_limit(
                "headers",
                "bytes of names and values",
                limit,
                self.bytes,
            ));
        }
        if self.fields > HEADER_FIELDS_MAX {
            return Err(Violation::TooManyFields.error());
        }
        match (self.lengths, self.encodings) {
            (0 | 1, 0) | (0, 1) => Ok(()),
            (_, 0) => Err(Violation::TwoLengths.error()),
            (0, _) => Err(Violation::TransferEncoding.error()),
            _ => Err(Violation::TwoFramings.error()),
        }
    }

    pub(super) fn strips(&self) -> Strips {
        Strips { platform: self.has_platform, hop: self.has_hop }
    }
}

/// Whether a header belongs to the connection (RFC 9110, 7.6.1).
fn is_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade")
        || name.starts_with("proxy-")
}

/// Leaves of the request what its sender may say to a function: an origin-form target, one `Host`,
/// no header of the connection's and no `x-fc-*` but the control headers in their exact spelling,
/// which the authoriser may find signed.
pub(super) fn strip(head: &mut Parts, strips: Strips) -> Result<()> {
    if strips.hop {
        strip_hops(&mut head.headers)?;
    }
    if strips.platform {
        remove(&mut head.headers, |name| {
            is_platform(name.as_str()) && !super::control::is_control(name)
        });
    }
    if head.uri.authority().is_some() {
        to_origin_form(head)?;
    }
    Ok(())
}

fn strip_hops(headers: &mut HeaderMap) -> Result<()> {
    let mut listed: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for name in value.as_bytes().split(|&byte| byte == b',') {
            let name = name.trim_ascii();
            if name.is_empty() {
                continue;
            }
            let name = HeaderName::from_bytes(name)
                .map_err(|_| Error::invalid("Connection", "lists what is no header name"))?;
            // To drop these would change which request it is.
            if name == HOST || name == http::header::CONTENT_LENGTH {
                let what = format_args!("must not list '{name}'");
                return Err(Error::invalid("Connection", what));
            }
            listed.push(name);
        }
    }
    for name in &listed {
        headers.remove(name);
    }
    remove(headers, |name| is_hop(name.as_str()));
    Ok(())
}

/// Removes every header that `goes` says of.
pub(super) fn remove(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

fn to_origin_form(head: &mut Parts) -> Result<()> {
    let parts = std::mem::take(&mut head.uri).into_parts();
    if !head.headers.contains_key(HOST)
        && let Some(authority) = &parts.authority
    {
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| Error::invalid("Host", "is no host"))?;
        head.headers.insert(HOST, host);
    }
    head.uri = parts.path_and_query.map_or_else(Uri::default, Uri::from);
    Ok(())
}
