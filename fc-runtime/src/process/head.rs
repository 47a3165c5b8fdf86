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
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

const INITIALIZER: HeaderName = HeaderName::from_static("x-fc-function-initializer");
const INITIALIZATION_TIMEOUT: HeaderName = HeaderName::from_static("x-fc-initialization-timeout");
const PRE_STOP_HANDLER: HeaderName =
    HeaderName::from_static("x-fc-instance-lifecycle-pre-stop-handler");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Headers of a request for which there is room at once: the platform's and a browser's.
const HEADERS_EXPECTED: usize = 48;

/// What differs from request to request.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'i> {
    pub(super) cx: Context,
    /// As the caller asked.
    pub(super) qualifier: &'i Qualifier,
    pub(super) client: Option<IpAddr>,
}

/// The headers that are the same for every request of an instance, made once.
///
/// What FC 3.0 sends empty (service, log project and log store, or a region that the platform does
/// not have) is left out: an empty header tells a program nothing that its absence does not.
#[derive(Debug)]
pub(super) struct Heads {
    /// All of them, behind places for the first [`VARYING`] that are not.
    ///
    /// A copy of a map hashes no name: what is inserted one by one costs a multiple.
    template: HeaderMap,
    version: VersionId,
    version_value: HeaderValue,
    host: HeaderValue,
}

/// What differs in each request and is in each, in the order in which [`Heads::begin`] sets it.
const VARYING: [HeaderName; 4] =
    [names::REQUEST_ID, names::CONTROL_PATH, names::RETRY_COUNT, names::QUALIFIER];

impl Heads {
    pub(super) fn new(
        version: &FunctionVersion,
        region: &str,
        address: SocketAddr,
    ) -> Result<Self> {
        let mut template = HeaderMap::with_capacity(HEADERS_EXPECTED);
        for name in VARYING {
            template.insert(name, HeaderValue::from_static(""));
        }
        let mut set = |name: HeaderName, text: &str| -> Result<()> {
            let value = value(name.as_str(), text)?;
            template.insert(name, value);
            Ok(())
        };
        let version_id = version.id().to_string();
        set(names::ACCOUNT_ID, version.account().as_str())?;
        set(names::FUNCTION_NAME, version.name().as_str())?;
        set(names::FUNCTION_HANDLER, version.handler())?;
        set(names::FUNCTION_MEMORY, &version.resources().memory_mb.to_string())?;
        set(names::FUNCTION_TIMEOUT, &version.timeout().as_secs().to_string())?;
        set(names::VERSION_ID, &version_id)?;
        if !region.is_empty() {
            set(names::REGION, region)?;
        }
        if let Some(lifecycle) = version.lifecycle() {
            if let Some(hook) = &lifecycle.initializer {
                set(INITIALIZER, &hook.handler)?;
                set(INITIALIZATION_TIMEOUT, &hook.timeout.to_string())?;
            }
            if let Some(hook) = &lifecycle.pre_stop {
                set(PRE_STOP_HANDLER, &hook.handler)?;
            }
        }
        template.insert(names::BASE_PATH, HeaderValue::from_static("/"));
        Ok(Self {
            template,
            version: version.id(),
            version_value: value("version", &version_id)?,
            host: value("host", &address.to_string())?,
        })
    }

    /// All that the platform says in a request, but its host and framing.
    fn begin(&self, about: About<'_>, control: &'static str) -> Result<HeaderMap> {
        let About { cx, qualifier, client } = about;
        let retry = match cx.attempt {
            0 => HeaderValue::from_static("0"),
            attempt => HeaderValue::from(attempt),
        };
        let qualifier = match qualifier {
            Qualifier::Version(version) if *version == self.version => self.version_value.clone(),
            other => value("qualifier", &other.to_string())?,
        };
        let varying =
            [request_id(cx.request_id)?, HeaderValue::from_static(control), retry, qualifier];
        let mut headers = self.template.clone();
        // A map that nothing was removed from keeps the order of insertion.
        for ((name, place), (expected, value)) in
            headers.iter_mut().zip(VARYING.iter().zip(varying))
        {
            debug_assert_eq!(name, expected);
            *place = value;
        }
        if let Some(client) = client {
            headers.insert(names::CLIENT_IP, value("client_ip", &client.to_string())?);
        }
        Ok(headers)
    }

    /// The whole head of a request that the platform makes itself: an event, a hook.
    fn own(&self, about: About<'_>, control: &'static str) -> Result<HeaderMap> {
        let mut headers = self.begin(about, control)?;
        headers.insert(HOST, self.host.clone());
        Ok(headers)
    }

    /// The head of a caller's request as the program is to see it: the platform's own, and of the
    /// caller's nothing of the last hop, nothing that it could have made of what is the platform's
    /// (I24), and no length, which is written again from what the body says of itself.
    fn passed_on(
        &self,
        of_caller: &HeaderMap,
        authority: Option<&str>,
        about: About<'_>,
    ) -> Result<HeaderMap> {
        let mut headers = self.begin(about, "/http-invoke")?;
        let listed = listed(of_caller);
        let mut has_host = false;
        for (name, value) in of_caller {
            if is_passed_on(name) && !is_listed(&listed, name) {
                has_host |= *name == HOST;
                headers.append(name.clone(), value.clone());
            }
        }
        if !has_host {
            let host = match authority {
                Some(authority) => value("host", authority)?,
                None => self.host.clone(),
            };
            headers.insert(HOST, host);
        }
        Ok(headers)
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
    pub(super) fn pass_on(&self, head: &Parts, body: Body, about: About<'_>) -> Result<Request> {
        let authority = head.uri.authority().map(Authority::as_str);
        let mut headers = self.passed_on(&head.headers, authority, about)?;
        frame(&mut headers, &head.method, &body);
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        let path = head.uri.path_and_query().cloned();
        *request.uri_mut() = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        *request.headers_mut() = headers;
        Ok(request)
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
    strip(headers);
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

/// Whether a caller's header may reach the program.
fn is_passed_on(name: &HeaderName) -> bool {
    !(is_of_one_hop(name)
        || *name == EXPECT
        || *name == CONTENT_LENGTH
        || names::is_platform(name.as_str()))
}

/// Removes what belongs to one hop, and what `Connection` lists.
fn strip(headers: &mut HeaderMap) {
    if !headers.keys().any(is_of_one_hop) {
        return;
    }
    let listed = listed(headers);
    let gone = |name: &&HeaderName| is_of_one_hop(name) || is_listed(&listed, name);
    let gone: Vec<HeaderName> = headers.keys().filter(gone).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// The names of headers that `Connection` lists.
fn listed(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    // The two that nearly every request and answer has are words, or headers that go anyway.
    let is_word =
        |name: &str| name.eq_ignore_ascii_case("keep-alive") || name.eq_ignore_ascii_case("close");
    names.filter(|name| !is_word(name)).collect()
}

fn is_listed(listed: &[&str], name: &HeaderName) -> bool {
    // `Connection: host` must not take away what every request needs.
    listed.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
        && *name != HOST
        && *name != CONTENT_TYPE
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

    fn heads() -> Heads {
        let spec = fc_core::FunctionSpec { function_name: "f".into(), ..Default::default() };
        let (account, id) = (fc_core::AccountId::new("1").unwrap(), VersionId::LATEST);
        let code = std::sync::Arc::new(fc_core::CodeRef::Registered);
        let limits = fc_core::Limits::function_compute();
        let version = FunctionVersion::new(1, account, id, &spec, code, &limits).unwrap();
        Heads::new(&version, "", ([127, 0, 0, 1], 9000).into()).unwrap()
    }

    fn about() -> About<'static> {
        let qualifier = &Qualifier::Version(VersionId::LATEST);
        About {
            cx: Context { attempt: 2, ..Context::new(RequestId::NIL) },
            qualifier,
            client: None,
        }
    }

    #[test]
    fn run_2_what_varies_is_set_and_what_would_be_empty_is_left_out() {
        let headers = heads().own(about(), "/invoke").unwrap();
        let expected = [RequestId::NIL.to_string(), "/invoke".into(), "2".into(), "LATEST".into()];
        for (name, value) in VARYING.iter().zip(expected) {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(headers.values().all(|value| !value.is_empty()), "{headers:?}");
    }

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
            headers.insert(names::ACCOUNT_ID, HeaderValue::from_static("made up"));
            let passed = heads().passed_on(&headers, None, about()).unwrap();
            let kept = passed.iter().filter(|(_, value)| *value == "made up");
            let kept: Vec<&str> = kept.map(|(name, _)| name.as_str()).collect();
            prop_assert!(kept.iter().all(|name| !names::is_platform(name)), "{kept:?}");
            let expected = names_.iter().filter(|name| !names::is_platform(name));
            let expected = expected.filter(|name| !["te", "expect"].contains(&name.as_str()));
            prop_assert_eq!(kept.len(), expected.count());
        }
    }
}
