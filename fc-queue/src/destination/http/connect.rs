//! Connections to addresses that may be connected to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fc_core::{Clock, Error, ErrorKind, Result, Retry};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{HttpConfig, Resolve};
use crate::core::destination::{Egress, HttpUrl};

/// How many of a name's addresses are tried.
const ADDRESSES_MAX: usize = 4;

/// Connects to what a name means now, if that may be connected to: the address that is checked is the
/// one that is connected to, so that a name that changes in between gains nothing.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    egress: Arc<Egress>,
    resolve: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    #[cfg(feature = "tls")]
    tls: Arc<rustls::ClientConfig>,
}

impl Connector {
    pub(super) fn new(config: &HttpConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self {
            egress: Arc::new(config.egress.clone()),
            resolve: config.resolve.clone(),
            clock,
            timeout: config.connect_timeout,
            #[cfg(feature = "tls")]
            tls: tls::config(config.tls.clone())?,
        })
    }

    async fn connect(self, uri: Uri) -> Result<Link> {
        let url = HttpUrl::new(&uri.to_string())?;
        let deadline = self.clock.now() + self.timeout;
        let found = self.clock.with_deadline(deadline, self.resolve.resolve(url.host())).await;
        let found = found.map_err(|elapsed| failed(&url, elapsed))??;
        let permitted = found.into_iter().filter(|ip| self.egress.permits(*ip));
        let mut last = refused(&url);
        for ip in permitted.take(ADDRESSES_MAX) {
            let deadline = self.clock.now() + self.timeout;
            let link = self.link(&url, SocketAddr::new(ip, url.port()));
            match self.clock.with_deadline(deadline, link).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => last = failed(&url, error),
                Err(elapsed) => last = failed(&url, elapsed),
            }
        }
        Err(last)
    }

    async fn link(&self, url: &HttpUrl, address: SocketAddr) -> io::Result<Link> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if !url.is_https() {
            return Ok(Link(Box::new(TokioIo::new(stream))));
        }
        #[cfg(feature = "tls")]
        return tls::link(self.tls.clone(), url, stream).await;
        #[cfg(not(feature = "tls"))]
        Err(io::Error::other("built without TLS"))
    }
}

/// The error of a host that has no address that may be connected to.
pub(super) fn refused(url: &HttpUrl) -> Error {
    let message = format!("{} is at no address that may be connected to", url.origin());
    Error::new(ErrorKind::AccessDenied, message)
}

fn failed(url: &HttpUrl, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = format!("{} cannot be connected to", url.origin());
    Error::internal(message).with_retry(Retry::Safe).with_source(source)
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Link>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Stream: Read + Write + Send + Unpin {}

impl<S: Read + Write + Send + Unpin> Stream for S {}

/// A connection, encrypted or not.
pub(super) struct Link(Box<dyn Stream>);

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }
}

#[cfg(feature = "tls")]
mod tls {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::*;

    /// `given`, or one that trusts whom the machine trusts.
    pub(super) fn config(given: Option<Arc<ClientConfig>>) -> Result<Arc<ClientConfig>> {
        if let Some(given) = given {
            return Ok(given);
        }
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (trusted, ignored) = roots.add_parsable_certificates(native.certs);
        if trusted == 0 {
            let message =
                "the machine trusts no certificate: install ca-certificates, or configure TLS";
            return Err(Error::internal(message));
        }
        tracing::debug!(trusted, ignored, errors = native.errors.len(), "certificates loaded");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("TLS cannot be configured").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    pub(super) async fn link(
        config: Arc<ClientConfig>,
        url: &HttpUrl,
        stream: TcpStream,
    ) -> io::Result<Link> {
        let name = ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Link(Box::new(TokioIo::new(stream))))
    }
}
