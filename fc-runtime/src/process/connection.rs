//! Kept connections to a program, driven by whoever uses them: no task stands between.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use fc_core::{Body, Request};
use http::Response;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection as Driver, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;

/// Longest head of an answer, bytes; an instance is not to make the platform keep more.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Connections that are kept beyond the instance's concurrency.
const SPARE: usize = 2;

/// One connection. Dropped, it closes.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Body>,
    wire: Wire,
}

/// The side of a connection that reads and writes.
#[derive(Debug)]
struct Wire {
    /// `None` once it is over: a request that it has not taken by then comes back when it is
    /// dropped, and not before.
    driver: Option<Driver<TokioIo<TcpStream>, Body>>,
}

impl Wire {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            self.driver = None;
        }
    }

    fn is_over(&self) -> bool {
        self.driver.is_none()
    }
}

/// A context that wakes nobody.
pub(super) fn unheard() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Why a request had no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// There was no kept connection to send it over.
    Untried(Box<Request>),
    /// Not one byte of it was sent: here it is again.
    Unsent(Box<Request>, hyper::Error),
    /// It may have been processed.
    Sent(hyper::Error),
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> std::io::Result<Box<Self>> {
        let stream = TcpStream::connect(address).await?;
        Self::new(stream).await
    }

    pub(super) async fn new(stream: TcpStream) -> std::io::Result<Box<Self>> {
        stream.set_nodelay(true)?;
        let (sender, driver) = Builder::new()
            .writev(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        Ok(Box::new(Self { sender, wire: Wire { driver: Some(driver) } }))
    }

    /// Moves bytes both ways as far as that goes now.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        self.wire.drive(cx);
    }

    /// [`drive`](Self::drive) that leaves nobody to be woken: for what is looked at right
    /// afterwards, and driven again by whoever waits.
    pub(super) fn drive_unheard(&mut self) {
        self.wire.drive(&mut unheard());
    }

    /// Whether the server has not closed it, as far as is known, and it can take a request now.
    fn is_usable(&mut self) -> bool {
        if !self.wire.is_over() && !self.sender.is_ready() {
            self.drive_unheard();
        }
        !self.wire.is_over() && self.sender.is_ready()
    }

    /// Sends `request` and gives the head of the answer with the connection, by driving which the
    /// body arrives.
    pub(super) fn send(mut self: Box<Self>, request: Request) -> Sending {
        // Unconstrained: a budget that is used up would be told to nobody.
        let answer = Box::pin(unconstrained(self.sender.try_send_request(request)));
        Sending { connection: Some(self), answer, driven: false }
    }
}

/// A request on its way, small enough to be moved. Dropped, its connection closes.
///
/// Only what comes over the wire wakes the task: that the answer is there, this side tells itself,
/// and a task that wakes itself is run once more for nothing.
pub(super) struct Sending {
    connection: Option<Box<Connection>>,
    answer: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    driven: bool,
}

type Outcome = Result<Response<Incoming>, TrySendError<Request>>;

impl Sending {
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(connection) = &mut self.connection else {
            return Poll::Pending;
        };
        if std::mem::replace(&mut self.driven, true) {
            connection.drive_unheard();
            let outcome = self.answer.as_mut().poll(&mut unheard());
            if outcome.is_ready() {
                return outcome;
            }
        }
        connection.drive(cx);
        self.answer.as_mut().poll(&mut unheard())
    }
}

impl Future for Sending {
    type Output = Result<(Box<Connection>, Response<Incoming>), Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.poll_outcome(cx));
        Poll::Ready(match (outcome, self.connection.take()) {
            (Ok(answer), Some(connection)) => Ok((connection, answer)),
            // Nobody polls what was ready.
            (Ok(_), None) => return Poll::Pending,
            (Err(mut lost), _) => Err(match lost.take_message() {
                Some(request) => Lost::Unsent(Box::new(request), lost.into_error()),
                None => Lost::Sent(lost.into_error()),
            }),
        })
    }
}

impl Connection {
    /// An answer's body, at most `limit` bytes of it; `None` if there is more or it breaks off.
    pub(super) async fn read(&mut self, mut body: Incoming, limit: u64) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        poll_fn(|cx| {
            loop {
                self.drive(cx);
                match ready!(Pin::new(&mut body).poll_frame(cx)) {
                    None => return Poll::Ready(Some(())),
                    Some(Err(_)) => return Poll::Ready(None),
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap_or_default();
                        if (all.len() + data.len()) as u64 > limit {
                            return Poll::Ready(None);
                        }
                        all.extend_from_slice(&data);
                    }
                }
            }
        })
        .await?;
        Some(all)
    }
}

/// An instance's idle connections, the last used first.
#[derive(Debug)]
pub(super) struct Connections {
    address: SocketAddr,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    /// Boxed where they are made, so that moving one moves a pointer.
    #[allow(clippy::vec_box)]
    stack: Vec<Box<Connection>>,
    max: usize,
}

impl Connections {
    pub(super) fn new(address: SocketAddr, concurrency: u32) -> Self {
        Self {
            address,
            idle: Mutex::new(Idle { stack: Vec::new(), max: concurrency as usize + SPARE }),
        }
    }

    /// A kept connection that still stands, or a new one.
    pub(super) async fn take(&self) -> std::io::Result<Box<Connection>> {
        match self.kept() {
            Some(kept) => Ok(kept),
            None => self.open().await,
        }
    }

    /// A kept connection that still stands, as far as is known.
    pub(super) fn kept(&self) -> Option<Box<Connection>> {
        loop {
            let mut kept = self.pop()?;
            if kept.is_usable() {
                return Some(kept);
            }
        }
    }

    /// A new connection.
    pub(super) async fn open(&self) -> std::io::Result<Box<Connection>> {
        Connection::open(self.address).await
    }

    fn pop(&self) -> Option<Box<Connection>> {
        self.idle.lock().stack.pop()
    }

    /// Keeps a connection whose answer is complete, if it can be used again.
    pub(super) fn keep(&self, mut connection: Box<Connection>) {
        if connection.is_usable() {
            self.put(connection);
        }
    }

    pub(super) fn put(&self, connection: Box<Connection>) {
        let mut idle = self.idle.lock();
        if idle.stack.len() < idle.max {
            idle.stack.push(connection);
        }
    }

    /// Closes what is idle, and keeps nothing from now on.
    pub(super) fn close(&self) {
        let mut idle = self.idle.lock();
        idle.max = 0;
        idle.stack = Vec::new();
    }
}
