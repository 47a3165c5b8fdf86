//! One connection: which protocol it speaks, and its life.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use fc_core::{Body, Limits};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Closing;
use super::head::HeadLimits;
use super::scan::Scanner;
use super::strict::Strict;
use super::taking::Streams;
use super::timer::{HyperTimer, Quiet, Timeouts};
use crate::config::HEADER_FIELDS_MAX;
use crate::gateway::{Gateway, GatewayFuture, Shared};
use crate::link::{Carrier, Link};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A head's bytes beside path and header names and values: method, version, `: ` and CRLF of each
/// field, some white space.
const HEAD_SLACK_BYTES: usize = 2 * 1024;
/// An absolute target's scheme and authority.
const TARGET_SLACK_BYTES: usize = 512;
/// HTTP/2 counts 32 bytes more for each field (RFC 9113, 6.5.2).
const HTTP2_FIELD_BYTES: usize = 32;
/// hyper's buffer in each direction; by default about 400 KB.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Streams that a client resets at once, and that we do, before the connection is given up
/// (RUSTSEC-2024-0003).
const RESETS_MAX: usize = 20;
const OWN_RESETS_MAX: usize = 128;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How connections are served: made once a listener.
#[derive(Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
    limits: HeadLimits,
    timeouts: Timeouts,
}

impl Protocols {
    pub(super) fn new(shared: &Shared) -> Self {
        let config = &shared.config;
        let limits = head_limits(&config.limits);
        let timer = HyperTimer::new(shared.ports.clock.clone());
        let mut http1 = http1::Builder::new();
        http1
            .half_close(false)
            .writev(false)
            // `Strict` times out heads, bodies and idleness with one timer a connection.
            .header_read_timeout(None)
            // No `max_headers`: hyper's own 100 is the scanner's too, and naming it costs two large
            // vectors a request.
            .max_buf_size(BUFFER_BYTES_MAX.max(limits.head))
            .timer(timer.clone());
        let streams = Streams::new(shared.ports.clock.clone(), config.stall_timeout);
        let mut http2 = http2::Builder::new(streams);
        let header_list = limits.head + HTTP2_FIELD_BYTES * (HEADER_FIELDS_MAX + 4);
        http2
            .timer(timer)
            .max_concurrent_streams(config.streams_max)
            .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(RESETS_MAX)
            .max_local_error_reset_streams(OWN_RESETS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(BUFFER_BYTES_MAX)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self {
            http1,
            http2,
            limits,
            timeouts: Timeouts {
                head: config.header_timeout,
                idle: config.idle_timeout,
                stall: config.stall_timeout,
            },
        }
    }
}

fn head_limits(limits: &Limits) -> HeadLimits {
    // The configuration bounds both to 32 KB.
    let (path, headers) =
        (limits.path_bytes_max as usize, limits.request_headers_bytes_max as usize);
    HeadLimits {
        target: path + TARGET_SLACK_BYTES,
        head: path + TARGET_SLACK_BYTES + headers + HEAD_SLACK_BYTES,
    }
}

/// An accepted connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) protocols: Arc<Protocols>,
    pub(super) closing: Arc<Closing>,
}

impl Connection {
    pub(super) async fn run(self) {
        super::prepare(&self.stream);
        let Self { mut stream, peer, shared, protocols, closing } = self;
        let is_closing = || closing.flag.load(Ordering::Acquire);
        let mut closed = pin!(closing.notify.notified());
        // Registered before the flag is read: a shutdown is seen by one of the two.
        closed.as_mut().enable();
        if is_closing() {
            return;
        }
        let clock = &shared.ports.clock;
        let deadline = clock.now() + protocols.timeouts.head;
        let mut first = Vec::new();
        let known = clock.with_deadline(deadline, first_bytes(&mut stream, &mut first));
        let is_http2 = tokio::select! {
            biased;
            known = known => match known {
                Ok(Some(is_http2)) => is_http2,
                Ok(None) | Err(_) => return,
            },
            // Nothing was asked yet.
            () = &mut closed => return,
        };
        let timeouts = protocols.timeouts;
        // Not before the protocol is known: it says who watches for stalls.
        let carrier = if is_http2 { Carrier::Http2 } else { Carrier::Http1 };
        let link = Arc::new(Link::new(shared, Some(peer), carrier));
        let service = Adapted(Gateway::of(link.clone()));
        if is_http2 {
            let io = TokioIo::new(Strict::http2(stream, first, link, timeouts));
            let connection = protocols.http2.serve_connection(io, service);
            Served::new(connection, closed, is_closing, None).await;
        } else {
            let quiet = Quiet::new(link.clone(), timeouts.idle);
            let scanner = Scanner::new(protocols.limits);
            let io = TokioIo::new(Strict::http1(stream, first, scanner, link, timeouts));
            let connection = protocols.http1.serve_connection(io, service);
            Served::new(connection, closed, is_closing, Some(quiet)).await;
        }
    }
}

/// Reads until the protocol is known: whether it is HTTP/2. `None`: the client left.
async fn first_bytes(stream: &mut TcpStream, first: &mut Vec<u8>) -> Option<bool> {
    // hyper's first buffer has the same size: the first request mostly comes in one read.
    first.reserve(8 * 1024);
    loop {
        if stream.read_buf(first).await.ok()? == 0 {
            return None;
        }
        let seen = first.len().min(PREFACE.len());
        if first[..seen] != PREFACE[..seen] {
            return Some(false);
        }
        if seen == PREFACE.len() {
            return Some(true);
        }
    }
}

/// hyper's connection of either protocol.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

type Io = TokioIo<Strict<TcpStream>>;

impl Graceful for http1::Connection<Io, Adapted> {
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Graceful for http2::Connection<Io, Adapted, Streams> {
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

pin_project_lite::pin_project! {
    /// A connection until its end, or its graceful end.
    struct Served<C, N, D> {
        #[pin]
        connection: C,
        closed: N,
        must_close: D,
        quiet: Option<Quiet>,
        is_closing: bool,
        is_first: bool,
    }
}

impl<C, N, D> Served<C, N, D> {
    fn new(connection: C, closed: N, must_close: D, quiet: Option<Quiet>) -> Self {
        Self { connection, closed, must_close, quiet, is_closing: false, is_first: true }
    }
}

impl<C, N, D> Future for Served<C, N, D>
where
    C: Graceful,
    N: Future<Output = ()> + Unpin,
    D: Fn() -> bool,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if !*this.is_closing {
            // A tokio task has one waker for its life, so that the notification, which locks, is
            // polled once; afterwards the flag is enough.
            let notified =
                std::mem::take(this.is_first) && Pin::new(this.closed).poll(cx).is_ready();
            let quiet = this.quiet.as_mut().is_some_and(|quiet| quiet.poll(cx).is_ready());
            if notified || quiet || (this.must_close)() {
                *this.is_closing = true;
                this.connection.as_mut().graceful_shutdown();
            }
        }
        this.connection.poll(cx).map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended");
            }
        })
    }
}

/// The gateway as hyper takes it.
#[derive(Debug)]
struct Adapted(Gateway);

impl hyper::service::Service<http::Request<Incoming>> for Adapted {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = GatewayFuture;

    fn call(&self, request: http::Request<Incoming>) -> GatewayFuture {
        self.0.answer(request)
    }
}
