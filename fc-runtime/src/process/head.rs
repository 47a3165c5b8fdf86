//! Heads on their way to the program, and what of an answer's is not the caller's
//! (`alibaba-fc.md` 5.5).

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use fc_core::{
    Body, Context, Error, FunctionVersion, Qualifier, Request, Result, VersionId, header as names,
};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::client::{Digits, Lines, Outgoing};
use super::hop;

const INITIALIZER: HeaderName = HeaderName::from_static("x-fc-function-initializer");
const INITIALIZATION_TIMEOUT: HeaderName = HeaderName::from_static("x-fc-initialization-timeout");
const PRE_STOP_HANDLER: HeaderName =
    HeaderName::from_static("x-fc-instance-lifecycle-pre-stop-handler");

/// Room for the lines that differ from request to request, and for one header of a caller's, bytes.
const VARYING_BYTES_EXPECTED: usize = 384;
const HEADER_BYTES_EXPECTED: usize = 64;

/// What differs from request to request.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'i> {
    pub(super) cx: Context,
    /// As the caller asked.
    pub(super) qualifier: &'i Qualifier,
    pub(super) client: Option<IpAddr>,
}

/// The headers that are the same for every request of an instance, written once.
///
/// What FC 3.0 sends empty (service, log project and log store, or a region that the platform does
/// not have) is left out: an empty header tells a program nothing that its absence does not.
#[derive(Debug)]
pub(super) struct Heads {
    fixed: Lines,
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
        let mut fixed = Lines::part();
        let mut set = |name: HeaderName, text: &str| -> Result<()> {
            let value = value(name.as_str(), text)?;
            fixed.add(&name, &value);
            Ok(())
        };
        let version_id = version.id().to_string();
        set(names::ACCOUNT_ID, version.account().as_str())?;
        set(names::FUNCTION_NAME, version.name().as_str())?;
        set(names::FUNCTION_HANDLER, version.handler())?;
        set(names::FUNCTION_MEMORY, &version.resources().memory_mb.to_string())?;
        set(names::FUNCTION_TIMEOUT, &version.timeout().as_secs().to_string())?;
        set(names::VERSION_ID, &version_id)?;
        set(names::BASE_PATH, "/")?;
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
        Ok(Self {
            fixed,
            version: version.id(),
            version_value: value("version", &version_id)?,
            host: value("host", &address.to_string())?,
        })
    }

    /// All that the platform says in a request, but its host and framing.
    fn add_platform(&self, lines: &mut Lines, about: About<'_>, control: &str) -> Result<()> {
        let About { cx, qualifier, client } = about;
        lines.extend(&self.fixed);
        lines.begin(&names::REQUEST_ID).extend_from_slice(&cx.request_id.encode());
        lines.end();
        lines.begin(&names::CONTROL_PATH).extend_from_slice(control.as_bytes());
        lines.end();
        lines
            .begin(&names::RETRY_COUNT)
            .extend_from_slice(Digits::of(cx.attempt.into()).as_bytes());
        lines.end();
        match qualifier {
            Qualifier::Version(version) if *version == self.version => {
                lines.add(&names::QUALIFIER, &self.version_value);
            }
            other => lines.add(&names::QUALIFIER, &value("qualifier", &other.to_string())?),
        }
        if let Some(client) = client {
            add_address(lines.begin(&names::CLIENT_IP), client);
            lines.end();
        }
        Ok(())
    }

    /// A request that the platform makes itself: an event, a hook.
    fn own(
        &self,
        method: &Method,
        path: &str,
        body: Body,
        about: About<'_>,
        content_type: Option<&HeaderValue>,
    ) -> Result<Outgoing> {
        let expected = self.fixed.bytes().len() + VARYING_BYTES_EXPECTED;
        let mut lines = Lines::request(method, path, expected);
        lines.add(&HOST, &self.host);
        self.add_platform(&mut lines, about, path)?;
        if let Some(content_type) = content_type {
            lines.add(&CONTENT_TYPE, content_type);
        }
        Ok(lines.finish(method, body))
    }

    /// An event as the program is to see it.
    pub(super) fn event(&self, body: Body, about: About<'_>) -> Result<Outgoing> {
        const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
        self.own(&Method::POST, "/invoke", body, about, Some(&OCTETS))
    }

    /// A hook's request; its control path is its path.
    pub(super) fn hook(
        &self,
        method: &Method,
        path: &'static str,
        about: About<'_>,
    ) -> Result<Outgoing> {
        self.own(method, path, Body::EMPTY, about, None)
    }

    /// A caller's request as the program is to see it: its method, path, query and body are the
    /// caller's, and its headers but for those of the last hop, those that could be taken for the
    /// platform's (I24), and its length, which is written again from what the body says of itself.
    pub(super) fn pass_on(&self, request: Request, about: About<'_>) -> Result<Outgoing> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let expected = self.fixed.bytes().len()
            + VARYING_BYTES_EXPECTED
            + target.len()
            + head.headers.len() * HEADER_BYTES_EXPECTED;
        let mut lines = Lines::request(&head.method, target, expected);
        let listed = hop::listed(&head.headers);
        let mut has_host = false;
        for (name, value) in &head.headers {
            if is_passed_on(name) && !hop::is_listed(&listed, name) {
                has_host |= *name == HOST;
                lines.add(name, value);
            }
        }
        if !has_host {
            match head.uri.authority().map(Authority::as_str) {
                Some(authority) => lines.add(&HOST, &value("host", authority)?),
                None => lines.add(&HOST, &self.host),
            }
        }
        self.add_platform(&mut lines, about, "/http-invoke")?;
        drop(listed);
        Ok(lines.finish(&head.method, body).with_spare(head.headers))
    }

    /// A health probe. Not one header of the contract is in it: it belongs to no request.
    pub(super) fn probe(&self, path: &PathAndQuery) -> Outgoing {
        let mut lines = Lines::request(&Method::GET, path.as_str(), VARYING_BYTES_EXPECTED);
        lines.add(&HOST, &self.host);
        lines.finish(&Method::GET, Body::EMPTY)
    }
}

/// What the program says of its own success (`alibaba-fc.md` 5.5): only 404 is a failure.
pub(super) fn take_failure(headers: &mut HeaderMap) -> bool {
    // Few headers are compared sooner than one is hashed.
    if !headers.keys().any(|name| *name == names::STATUS) {
        return false;
    }
    let status = headers.remove(names::STATUS);
    status.is_some_and(|status| status.as_bytes() == b"404")
}

/// Whether a caller's header may reach the program.
fn is_passed_on(name: &HeaderName) -> bool {
    !(hop::is_of_one(name)
        || *name == EXPECT
        || *name == CONTENT_LENGTH
        || names::is_platform(name.as_str()))
}

/// The text of an address; of the common kind without the formatting machinery.
fn add_address(line: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            line.extend_from_slice(Digits::of(first.into()).as_bytes());
            for octet in rest {
                line.push(b'.');
                line.extend_from_slice(Digits::of(octet.into()).as_bytes());
            }
        }
        // Writing to memory.
        IpAddr::V6(address) => _ = write!(line, "{address}"),
    }
}

fn value(field: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Error::invalid(field, "has characters that no header can hold"))
}

#[cfg(test)]
mod tests {
    use fc_core::RequestId;
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

    /// The request line, the headers in their order, and what follows them.
    fn parse(request: &Outgoing) -> (String, Vec<(String, String)>, Vec<u8>) {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut fields);
        let status = parsed.parse(request.bytes()).unwrap();
        let line = [parsed.method.unwrap(), parsed.path.unwrap()].join(" ");
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let headers = parsed.headers.iter();
        let headers = headers.map(|field| (field.name.to_owned(), text(field.value))).collect();
        (line, headers, request.bytes()[status.unwrap()..].to_vec())
    }

    #[test]
    fn run_2_what_varies_is_set_and_what_would_be_empty_is_left_out() {
        let client = Some([192, 0, 2, 107].into());
        let request = heads().event("hello".into(), About { client, ..about() }).unwrap();
        let (line, headers, body) = parse(&request);
        assert_eq!((line.as_str(), body.as_slice()), ("POST /invoke", &b"hello"[..]));
        assert!(headers.iter().all(|(_, value)| !value.is_empty()), "{headers:?}");
        let headers: std::collections::HashMap<_, _> = headers.into_iter().collect();
        for (name, value) in [
            ("x-fc-request-id", RequestId::NIL.to_string().as_str()),
            ("x-fc-control-path", "/invoke"),
            ("x-fc-retry-count", "2"),
            ("x-fc-qualifier", "LATEST"),
            ("x-fc-client-ip", "192.0.2.107"),
            ("host", "127.0.0.1:9000"),
            ("content-length", "5"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
    }

    #[test]
    fn run_2_addresses_are_written_as_the_standard_library_does() {
        for address in ["0.0.0.0", "10.200.30.4", "255.255.255.255", "::1", "2001:db8::7"] {
            let mut line = Vec::new();
            add_address(&mut line, address.parse().unwrap());
            assert_eq!(line, address.as_bytes());
        }
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
        /// I24: whatever of the platform's names a caller makes up is removed; all else arrives, in
        /// its order.
        #[test]
        fn run_2_no_platform_header_of_a_caller_is_left(
            names_ in prop::collection::vec("x[-_.]fc([-_.][a-z]{1,8})?|[a-z]{1,8}", 0..12),
        ) {
            let mut request = Request::default();
            for name in &names_ {
                let name: HeaderName = name.parse().unwrap();
                request.headers_mut().append(name, HeaderValue::from_static("made up"));
            }
            request.headers_mut().insert(names::ACCOUNT_ID, HeaderValue::from_static("made up"));
            let expected: Vec<_> = request.headers().keys().map(|name| name.to_string()).collect();
            let (_, headers, _) = parse(&heads().pass_on(request, about()).unwrap());
            let kept = headers.iter().filter(|(_, value)| *value == "made up");
            let mut kept: Vec<_> = kept.map(|(name, _)| name.clone()).collect();
            let count = names_.iter().filter(|name| {
                !names::is_platform(name) && !["te", "expect"].contains(&name.as_str())
            });
            prop_assert_eq!(kept.len(), count.count());
            kept.dedup();
            let expected = expected.into_iter().filter(|name| {
                !names::is_platform(name) && !["te", "expect"].contains(&name.as_str())
            });
            prop_assert_eq!(kept, expected.collect::<Vec<_>>());
            let account = headers.iter().filter(|(name, _)| name == "x-fc-account-id");
            prop_assert_eq!(account.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["1"]);
        }
    }
}
