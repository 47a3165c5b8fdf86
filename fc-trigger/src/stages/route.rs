//! Which function a request is for.

use fc_core::{Error, ErrorKind, Qualifier, Result};
use http::request::Parts;
use http::{Method, Uri};

use super::tasks::Call;

/// Where a request goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route<'h> {
    /// `GET /healthz`.
    Health,
    /// `POST /2023-03-30/functions/{name}/invocations`.
    Function { name: &'h str, qualifier: Qualifier },
    /// Something about asynchronous invocations.
    Manage(Call<'h>),
    /// Any path of a function's own host.
    Trigger { name: &'h str },
}

const HEALTH: &str = "/healthz";
const BEFORE_NAME: &str = "/2023-03-30/functions/";
const BEHIND_NAME: &str = "/invocations";

/// Where a request goes whose host has the function's `label`, or none.
///
/// The API's paths are compared as they were sent: a spelling that only decoding would make equal is
/// another path, and is refused (T9).
pub(super) fn of<'h>(head: &'h Parts, label: Option<&'h str>) -> Result<Route<'h>> {
    if let Some(name) = label {
        return Ok(Route::Trigger { name });
    }
    let path = head.uri.path();
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    if path == HEALTH && is_read {
        return Ok(Route::Health);
    }
    let name = path
        .strip_prefix(BEFORE_NAME)
        .and_then(|rest| rest.strip_suffix(BEHIND_NAME))
        .filter(|name| is_segment(name));
    match name {
        Some(name) if head.method == Method::POST => {
            Ok(Route::Function { name, qualifier: qualifier(&head.uri)? })
        }
        _ => Call::of(&head.method, path)
            .map(Route::Manage)
            .ok_or_else(|| not_supported(&head.method, path)),
    }
}

/// Whether `name` may be a function's name in a path: needing no decoding, and no two readings.
pub(super) fn is_segment(name: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$');
    !name.is_empty() && name.bytes().all(is_plain)
}

/// The query's one `qualifier`; LATEST without one.
fn qualifier(uri: &Uri) -> Result<Qualifier> {
    let Some(query) = uri.query() else {
        return Ok(Qualifier::default());
    };
    let mut found = None;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name that is `qualifier` only once it is decoded would be read by one and not by another.
        if name.contains(['%', '+']) {
            return Err(Error::invalid("query", "the name of a parameter must not be encoded"));
        }
        if name == "qualifier" && found.replace(value).is_some() {
            return Err(Error::invalid("qualifier", "is given more than once"));
        }
    }
    found.unwrap_or_default().parse()
}

pub(super) fn not_supported(method: &Method, path: &str) -> Error {
    /// Enough to recognise it by.
    const SHOWN_CHARS: usize = 256;
    let shown: String = path.chars().take(SHOWN_CHARS).collect();
    Error::new(
        ErrorKind::PathNotSupported,
        format!("'{method}' against '{}' is not supported", shown.escape_debug()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, uri: &str) -> Parts {
        let request = http::Request::builder().method(method).uri(uri);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_invocation_path_and_its_qualifier() {
        let head = head("POST", "/2023-03-30/functions/f-1/invocations?x=1&qualifier=prod");
        let qualifier = Qualifier::Alias("prod".into());
        assert_eq!(of(&head, None).unwrap(), Route::Function { name: "f-1", qualifier });
    }

    /// T9, I26: no spelling but the one.
    #[test]
    fn t9_other_spellings_of_api_paths_are_refused() {
        for (method, uri) in [
            ("GET", "/2023-03-30/functions/f/invocations"),
            ("POST", "/2023-03-30/functions/f/invocations/"),
            ("POST", "/2023-03-30/functions//invocations"),
            ("POST", "//2023-03-30/functions/f/invocations"),
            ("POST", "/2023-03-30/functions/f/../g/invocations"),
            ("POST", "/2023-03-30/functions/%66/invocations"),
            ("POST", "/2023-03-30/functions/f%2f/invocations"),
            ("POST", "/2023-03-30/functions/f%00/invocations"),
            ("POST", "/2023-03-30/functions/f;x/invocations"),
            ("POST", "/2023-03-30/functions/f\\/invocations"),
            ("POST", "/2023-03-30/functions/f/invocation%73"),
            ("POST", "/2023-03-30/Functions/f/invocations"),
            ("POST", "/2016-08-15/services/s/functions/f/invocations"),
            ("POST", "/healthz"),
            ("GET", "/healthz/"),
            ("GET", "/metrics"),
            ("GET", "/"),
        ] {
            let head = head(method, uri);
            let refused = of(&head, None).unwrap_err();
            assert_eq!(refused.code(), "PathNotSupported", "{method} {uri}");
        }
        for query in ["qualifier=a&qualifier=b", "%71ualifier=a", "qualifier=a%20b", "qualifier=0"]
        {
            let uri = format!("/2023-03-30/functions/f/invocations?{query}");
            let refused = of(&head("POST", &uri), None).unwrap_err();
            assert_eq!(refused.code(), "InvalidArgument", "{query}");
        }
    }
}
