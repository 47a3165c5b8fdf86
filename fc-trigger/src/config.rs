//! What a gateway is made of.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    AccountId, Authorize, Catalog, Clock, Error, Invoke, Limits, RequestIds, Result, Tasks,
};

/// Header fields of one request, whatever their size: hyper parses no more without an allocation.
pub const HEADER_FIELDS_MAX: usize = 100;

/// The largest limit on the path and on the headers that can be kept, bytes: a URI of the `http`
/// crate holds no more than 65 534.
const HEAD_LIMIT_BYTES_MAX: u64 = 32 * 1024;

/// A gateway's settings. [`GatewayConfig::new`] gives the defaults named at each field.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Whose functions are reached.
    pub account: AccountId,
    /// `{function}.{suffix}` is a function's host. Default: `localhost`.
    pub suffixes: Vec<String>,
    /// Sizes, and the cloud whose words the answers have. Default: [`Limits::function_compute`].
    pub limits: Limits,
    /// From a request's first byte, the head must be complete within this. A fresh connection must
    /// send its first byte within it. Default: 10 s (T16 in `reliability.md`).
    pub header_timeout: Duration,
    /// A connection without a request is closed after this. Default: 60 s.
    pub idle_timeout: Duration,
    /// A request body that the function waits for, or a response that the client does not take,
    /// fails after this long without a byte. On HTTP/2, where each stream is watched, the client must
    /// take 16 KB, or what is left, within it. Under a server of your own, answers are that server's
    /// to watch. Default: 30 s (T16).
    pub stall_timeout: Duration,
    /// After the shutdown signal, requests that run have this long. Default: 30 s.
    pub drain_timeout: Duration,
    /// Connections of one `serve`; more wait in the kernel's queue. Default: 10 000.
    pub connections_max: usize,
    /// Requests at once on one HTTP/2 connection. Default: 128.
    pub streams_max: u32,
    /// Whether a trigger's 3xx becomes `400 ExternalRedirectForbidden`, as the cloud's built-in
    /// domain has it (`alibaba-fc.md` 6.1). Default: no.
    pub refuse_redirects: bool,
}

impl GatewayConfig {
    /// The defaults for one account.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            suffixes: vec!["localhost".into()],
            limits: Limits::default(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            connections_max: 10_000,
            streams_max: 128,
            refuse_redirects: false,
        }
    }

    /// What can be kept is returned, with the suffixes in lower case.
    pub(crate) fn proved(mut self) -> Result<Self> {
        for suffix in &mut self.suffixes {
            suffix.make_ascii_lowercase();
            let labels = |text: &str| {
                text.split('.').all(|label| {
                    !label.is_empty()
                        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
            };
            if !labels(suffix) {
                let what = format!("'{}' is no domain name", suffix.escape_debug());
                return Err(Error::invalid("suffixes", what));
            }
        }
        for (field, value) in [
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if value.is_zero() {
                return Err(Error::invalid(field, "must not be zero"));
            }
        }
        if self.connections_max == 0 {
            return Err(Error::invalid("connections_max", "must not be zero"));
        }
        if self.streams_max == 0 {
            return Err(Error::invalid("streams_max", "must not be zero"));
        }
        for (field, value) in [
            ("request_headers_bytes_max", self.limits.request_headers_bytes_max),
            ("path_bytes_max", self.limits.path_bytes_max),
        ] {
            if value > HEAD_LIMIT_BYTES_MAX {
                return Err(Error::over_limit(field, "bytes", HEAD_LIMIT_BYTES_MAX, value));
            }
        }
        Ok(self)
    }
}

/// What a gateway asks of others.
#[derive(Clone, Debug)]
pub struct GatewayPorts {
    /// Which functions there are. Asked once per request.
    pub catalog: Arc<dyn Catalog>,
    /// Who carries an invocation out.
    pub invoke: Arc<dyn Invoke>,
    /// Who queues an invocation (`X-Fc-Invocation-Type: Async`) and answers 202 once it is kept, with
    /// the task's id in `x-fc-async-task-id`. Its request's body lies in memory. Without one, such an
    /// invocation is refused.
    pub enqueue: Option<Arc<dyn Invoke>>,
    /// Who knows of tasks, and how asynchronous invocations are to be treated. Without one, the paths
    /// of these do not exist.
    pub tasks: Option<Arc<dyn Tasks>>,
    /// Who may do what. Without one, the API is open to whoever reaches it, and of the HTTP triggers
    /// only the anonymous ones answer.
    pub authorize: Option<Arc<dyn Authorize>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names for requests.
    pub request_ids: Arc<RequestIds>,
}
