//! The platform's HTTP header names (spec `alibaba-fc.md` 2.1, 2.2, 5.5).

use http::HeaderName;

macro_rules! names {
    ($($(#[$doc:meta])* $const:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $const: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    /// `Sync` or `Async`; asked by the caller.
    INVOCATION_TYPE = "x-fc-invocation-type";
    /// `Tail` or `None`; asked by the caller.
    LOG_TYPE = "x-fc-log-type";
    /// The caller's name for an asynchronous task (FC 3).
    ASYNC_TASK_ID = "x-fc-async-task-id";
    /// The same in FC 2.
    STATEFUL_INVOCATION_ID = "x-fc-stateful-async-invocation-id";
    /// Seconds by which an asynchronous invocation is deferred.
    ASYNC_DELAY = "x-fc-async-delay";

    /// The request's id: in every answer, and in what the function sees.
    REQUEST_ID = "x-fc-request-id";
    /// How the function failed.
    ERROR_TYPE = "x-fc-error-type";
    /// Base64 of the last 4 KB of the invocation's log.
    LOG_RESULT = "x-fc-log-result";
    /// The code's checksum.
    CODE_CHECKSUM = "x-fc-code-checksum";
    /// The instance that served.
    INSTANCE_ID = "x-fc-instance-id";
    /// Milliseconds that the function ran.
    INVOCATION_DURATION = "x-fc-invocation-duration";
    /// Peak memory, MB.
    MAX_MEMORY_USAGE = "x-fc-max-memory-usage";
    /// The version that served, resolved.
    SERVICE_VERSION = "x-fc-invocation-service-version";

    /// What the function itself says of its success: 200, or 404 for failure.
    STATUS = "x-fc-status";
    /// Which of the contract's paths a request to the function belongs to.
    CONTROL_PATH = "x-fc-control-path";
    /// The function's account.
    ACCOUNT_ID = "x-fc-account-id";
    /// The function's name.
    FUNCTION_NAME = "x-fc-function-name";
    /// The function's handler.
    FUNCTION_HANDLER = "x-fc-function-handler";
    /// The function's memory, MB.
    FUNCTION_MEMORY = "x-fc-function-memory";
    /// The function's time-out, seconds.
    FUNCTION_TIMEOUT = "x-fc-function-timeout";
    /// The qualifier that was asked for.
    QUALIFIER = "x-fc-qualifier";
    /// The version that serves.
    VERSION_ID = "x-fc-version-id";
    /// The region.
    REGION = "x-fc-region";
    /// The caller's address.
    CLIENT_IP = "x-fc-client-ip";
    /// The path prefix under which the function is mounted.
    BASE_PATH = "x-fc-base-path";
    /// How often the invocation was tried before.
    RETRY_COUNT = "x-fc-retry-count";
    /// Empty since FC 3.0: runtimes leave it out.
    SERVICE_NAME = "x-fc-service-name";
    /// Log project of the function, left out without one.
    LOG_PROJECT = "x-fc-service-logproject";
    /// Log store of the function, left out without one.
    LOG_STORE = "x-fc-service-logstore";
}

/// Whether some server reads `name` as one of the platform's `x-fc-*`: any character that is no
/// letter or digit counts as `-`, because gateways (CGI, WSGI, Rack, PHP) fold them all to `_`.
///
/// ```
/// use fc_core::header::is_platform;
/// assert!(is_platform("x-fc-account-id") && is_platform("X_Fc_Account.Id"));
/// assert!(!is_platform("x-fcx") && !is_platform("fc-x"));
/// ```
pub fn is_platform(name: &str) -> bool {
    let bytes = name.as_bytes();
    let separator = |byte: u8| !byte.is_ascii_alphanumeric();
    bytes.len() >= 4
        && bytes[0].eq_ignore_ascii_case(&b'x')
        && separator(bytes[1])
        && bytes[2].eq_ignore_ascii_case(&b'f')
        && bytes[3].eq_ignore_ascii_case(&b'c')
        && bytes.get(4).is_none_or(|&byte| separator(byte))
}
