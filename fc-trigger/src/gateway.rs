//! The gateway: a service to mount, and a server ready to run.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use bytes::Bytes;
use fc_core::{Body, Result};
use http_body::Body as HttpBody;
use tokio::net::TcpListener;
use tower_service::Service;

use crate::config::{GatewayConfig, GatewayPorts};
use crate::link::{Call, Carrier, Link};
use crate::server;
use crate::stages::{self, Inbound};

/// The client's address, as an extension of the request: who mounts the gateway in a server of
/// their own inserts it, and the function sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAddr(pub SocketAddr);

/// What all connections of a gateway share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) ports: GatewayPorts,
    pub(crate) draining: AtomicBool,
}

/// The HTTP gateway: cheap to clone, a [`Service`] for any server, and a server of its own.
///
/// As a service it never fails: what goes wrong is an answer. Dropping the returned future, or the
/// answer's body before its end, is the client going away (INV-8). A foreign server hides the bytes
/// from it: mounted there, the first of the two strict levels is missing, and that server's parser
/// decides what a request is.
///
/// ```
/// use bytes::Bytes;
/// use fc_core::Body;
/// use fc_trigger::Gateway;
///
/// /// Any tower middleware goes around it.
/// async fn one(mut gateway: Gateway, request: http::Request<Body>) -> http::Response<Body> {
///     use tower_service::Service;
///     gateway.call(request).await.unwrap_or_else(|never| match never {})
/// }
/// ```
#[derive(Clone)]
pub struct Gateway {
    link: Arc<Link>,
}

impl Gateway {
    /// A gateway over `ports`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names a field of `config` that cannot be kept.
    pub fn new(config: GatewayConfig, ports: GatewayPorts) -> Result<Self> {
        let shared =
            Arc::new(Shared { config: config.proved()?, ports, draining: AtomicBool::new(false) });
        Ok(Self { link: Arc::new(Link::new(shared, None, Carrier::Foreign)) })
    }

    /// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) on `listener` until `shutdown` is ready,
    /// then lets the running requests end for `drain_timeout` and closes what is left.
    ///
    /// While it drains, every clone of this gateway answers `/healthz` with 503.
    ///
    /// # Errors
    ///
    /// `InternalServerError` if the listener has no address any more. A failed accept is no error:
    /// the loop pauses and goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and every connection at once.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<()> {
        server::serve(&self.link.shared, listener, shutdown).await
    }

    /// The service of one connection.
    pub(crate) fn of(link: Arc<Link>) -> Self {
        Self { link }
    }

    pub(crate) fn answer<B>(&self, request: http::Request<B>) -> GatewayFuture
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let call = Call::begin(&self.link);
        let inbound = Inbound::new(body, &self.link);
        GatewayFuture(Box::pin(stages::handle(call, head, inbound)))
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("config", &self.link.shared.config).finish_non_exhaustive()
    }
}

/// An answer on its way.
pub struct GatewayFuture(Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>);

impl Future for GatewayFuture {
    type Output = Result<http::Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for GatewayFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayFuture")
    }
}

impl<B> Service<http::Request<B>> for Gateway
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = GatewayFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> GatewayFuture {
        self.answer(request)
    }
}
