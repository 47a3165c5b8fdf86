//! Heads on their way to the program and back (`alibaba-fc.md` 5.5).

use std::net::{IpAddr, SocketAddr};

use fc_core::{
    Body, Context, Error, FunctionVersion, Qualifier, Request, RequestId, Result, VersionId,
    header as names,
};
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

const INITIALIZER: HeaderName = HeaderName::from_static("x-fc-function-initializer");
const INITIALIZATION_TIMEOUT: HeaderName = HeaderName::from_static("x-fc-initialization-timeout");
const PRE_STOP_HANDLER: HeaderName =
    HeaderName::from_static("x-fc-instance-lifecycle-pre-stop-handler");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What is added to a caller's own headers at most.
const ADDED_MAX: usize = 24;

/// What differs from request to request.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'i> {
    pub(super) cx: Context,
    /// As the caller asked.
    pub(super) qualifier: &'i Qualifier,
    pub(super) client: Option<IpAddr>,
}

/// The headers that are the same for every request of an instance, made once.
#[derive(Debug)]
pub(super) struct Heads {
    /// All of them.
    constant: HeaderMap,
    version: VersionId,
    version_value: HeaderValue,
    host: HeaderValue,
}

impl Heads {
    pub(super) fn new(
        version: &FunctionVersion,
        region: &str,
        address: SocketAddr,
    ) -> Result<Self> {
        let mut constant = HeaderMap::with_capacity(ADDED_MAX);
        let mut set = |name: HeaderName, text: &str| -> Result<()> {
            let value = value(name.as_str(), text)?;
            constant.insert(name, value);
            Ok(())
        };
        let version_id = version.id().to_string();
        set(names::ACCOUNT_ID, version.account().as_str())?;
        set(names::FUNCTION_NAME, version.name().as_str())?;
        set(names::FUNCTION_HANDLER, version.handler())?;
        set(names::FUNCTION_MEMORY, &version.resources().memory_mb.to_string())?;
        set(names::FUNCTION_TIMEOUT, &version.timeout().as_secs().to_string())?;
        set(names::VERSION_ID, &version_id)?;
        set(names::REGION, region)?;
        set(names::BASE_PATH, "/")?;
        set(names::SERVICE_NAME, "")?;
        set(names::LOG_PROJECT, "")?;
        set(names::LOG_STORE, "")?;
        if let Some(lifecycle) = version.lifecycle() {
            if let Some(hook) = &lifecycle.initializer {
                set(INITIALIZER, &hook.handler)?;
                set(INITIALIZATION_TIMEOUT, &hook.timeout.to_string())?;
            }
            if let Some(hook) = &lifecycle.pre_stop {
                set(PRE_STOP_HANDLER, &hook.handler)?;
            }
        }
        Ok(Self {
            constant,
            version: version.id(),
            version_value: value("version", &version_id)?,
            host: value("host", &address.to_string())?,
        })
    }

    /// The whole head of a request that the platform makes itself: an event, a hook.
    fn own(&self, about: About<'_>, control: &'static str) -> Result<HeaderMap> {
        let mut headers = self.constant.clone();
        headers.reserve(ADDED_MAX - headers.len().min(ADDED_MAX));
        headers.insert(HOST, self.host.clone());
        self.vary(&mut headers, about, control)?;
        Ok(headers)
    }

    /// The head of a caller's request as the program is to see it: nothing of the last hop, nothing
    /// that the caller could have made of what is the platform's (I24), and the platform's own.
    fn passed_on(
        &self,
        headers: &mut HeaderMap,
        authority: Option<&str>,
        about: About<'_>,
    ) -> Result<()> {
        strip(headers, |name| {
            is_of_one_hop(name) || *name == EXPECT || names::is_platform(name.as_str())
        });
        // Written again from what the body says of itself.
        headers.remove(CONTENT_LENGTH);
        headers.reserve(ADDED_MAX);
        if !headers.contains_key(HOST) {
            let host = match authority {
                Some(authority) => value("host", authority)?,
                None => self.host.clone(),
            };
            headers.insert(HOST, host);
        }
        for (name, value) in &self.constant {
            headers.insert(name, value.clone());
        }
        self.vary(headers, about, "/http-invoke")
    }

    fn vary(&self, headers: &mut HeaderMap, about: About<'_>, control: &'static str) -> Result<()> {
        let About { cx, qualifier, client } = about;
        headers.insert(names::CONTROL_PATH, HeaderValue::from_static(control));
        headers.insert(names::REQUEST_ID, request_id(cx.request_id)?);
        let retry = match cx.attempt {
            0 => HeaderValue::from_static("0"),
            attempt => HeaderValue::from(attempt),
        };
        headers.insert(names::RETRY_COUNT, retry);
        let qualifier = match qualifier {
            Qualifier::Version(version) if *version == self.version => self.version_value.clone(),
            other => value("qualifier", &other.to_string())?,
        };
        headers.insert(names::QUALIFIER, qualifier);
        if let Some(client) = client {
            headers.insert(names::CLIENT_IP, value("client_ip", &client.to_string())?);
        }
        Ok(())
    }

    /// An event as the program is to see it.
    pub(super) fn event(&self, body: Body, about: About<'_>) -> Result<Request> {
        let mut headers = self.own(about, "/invoke")?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        frame(&mut headers, &Method::POST, &body);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/invoke");
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// A hook's request; its control path is its path.
    pub(super) fn hook(
        &self,
        method: Method,
        path: &'static str,
        about: About<'_>,
    ) -> Result<Request> {
        let mut headers = self.own(about, path)?;
        frame(&mut headers, &method, &Body::EMPTY);
        let mut request = Request::default();
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static(path);
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// A caller's request as the program is to see it: its method, path, query and body are the
    /// caller's.
    pub(super) fn pass_on(&self, mut request: Request, about: About<'_>) -> Result<Request> {
        *request.version_mut() = Version::HTTP_11;
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().map(Authority::as_str);
        self.passed_on(request.headers_mut(), authority, about)?;
        *request.uri_mut() = if authority.is_none() && uri.path_and_query().is_some() {
            uri
        } else {
            let path = uri.into_parts().path_and_query;
            path.unwrap_or_else(|| PathAndQuery::from_static("/")).into()
        };
        let (mut parts, body) = request.into_parts();
        frame(&mut parts.headers, &parts.method, &body);
        Ok(Request::from_parts(parts, body))
    }

    /// The head of a health probe.
    pub(super) fn probe(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(HOST, self.host.clone());
        headers
    }
}

/// Says how a body is framed where hyper by itself would say nothing.
fn frame(headers: &mut HeaderMap, method: &Method, body: &Body) {
    match body.known_length() {
        Some(0) if is_bodied(method) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Some(_) => {}
        None => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// Whether a request of `method` without a body is to say so (RFC 9110 8.6).
fn is_bodied(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// What the program says of its own success (`alibaba-fc.md` 5.5): only 404 is a failure.
pub(super) fn take_failure(headers: &mut HeaderMap) -> bool {
    let status = headers.remove(names::STATUS);
    status.is_some_and(|status| status.as_bytes() == b"404")
}

/// A program's response head as the caller is to see it.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    // A length beside `Transfer-Encoding` is void, and a trap for whoever reads the message next.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip(headers, is_of_one_hop);
}

fn is_of_one_hop(name: &HeaderName) -> bool {
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

/// Removes what `unwanted` says, and what `Connection` lists.
fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&unwanted) {
        return;
    }
    let mut gone: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    let listed = headers.get_all(CONNECTION).iter();
    let listed = listed.filter_map(|value| value.to_str().ok());
    let listed = listed.flat_map(|value| value.split(',')).map(str::trim);
    // `Connection: host` must not take away what every request needs.
    gone.extend(
        listed
            .filter_map(|name| name.parse().ok())
            .filter(|name: &HeaderName| *name != HOST && *name != CONTENT_TYPE),
    );
    for name in gone {
        headers.remove(name);
    }
}

fn request_id(id: RequestId) -> Result<HeaderValue> {
    HeaderValue::from_bytes(&id.encode())
        .map_err(|error| Error::internal("request id").with_source(error))
}

fn value(field: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Error::invalid(field, "has characters that no header can hold"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("content-length", "7"),
            ("host", "a.example"),
            ("x-kept", "1"),
        ] {
            headers.insert(name, HeaderValue::from_static(text));
        }
        clean_answer(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&"host") && left.contains(&"x-kept"));
    }

    #[test]
    fn run_2_x_fc_status_is_read_and_removed() {
        for (text, failed) in [("404", true), ("200", false), ("500", false), ("", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(names::STATUS, HeaderValue::from_static(text));
            assert_eq!(take_failure(&mut headers), failed, "{text}");
            assert!(headers.is_empty());
        }
        assert!(!take_failure(&mut HeaderMap::new()));
    }

    proptest! {
        /// I24: whatever of the platform's names a caller makes up is removed.
        #[test]
        fn run_2_no_platform_header_of_a_caller_is_left(
            names_ in prop::collection::vec("x[-_.]fc([-_.][a-z]{1,8})?|[a-z]{1,8}", 0..12),
        ) {
            let mut headers = HeaderMap::new();
            for name in &names_ {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, HeaderValue::from_static("made up"));
            }
            strip(&mut headers, |name| names::is_platform(name.as_str()));
            prop_assert!(headers.keys().all(|name| !names::is_platform(name.as_str())));
            let kept = names_.iter().filter(|name| !names::is_platform(name)).count();
            prop_assert_eq!(headers.len(), kept);
        }
    }
}
