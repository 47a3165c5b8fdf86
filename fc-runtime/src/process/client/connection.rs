//! One connection to a program, driven by whoever uses it: no task stands between.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fc_core::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::incoming::Incoming;
use super::upload::Unsent;
use super::{AnswerHead, Malformed, Outgoing};

/// One connection. Dropped, it closes, and what runs over it is cancelled.
#[derive(Debug)]
pub(in crate::process) struct Connection {
    stream: TcpStream,
    outgoing: Outgoing,
    /// No more can be sent. An answer may still come: one that says why.
    is_deaf: bool,
    incoming: Incoming,
}

/// Why an answer did not come, or not to its end.
#[derive(Debug)]
pub(in crate::process) enum Broken {
    /// The request's body failed.
    Body(Error),
    /// It is no HTTP.
    Malformed(Malformed),
    /// The connection closed or broke.
    Lost(io::Error),
}

/// Why a request had no answer.
#[derive(Debug)]
pub(in crate::process) enum Lost {
    /// There was no kept connection to send it over.
    Untried(Box<Outgoing>),
    /// Not one byte of it was sent: here it is again.
    Unsent(Box<Outgoing>, io::Error),
    /// It may have been processed. Here it is again if it may be sent twice.
    Sent(Option<Box<Outgoing>>, io::Error),
    /// The request's body failed.
    Body(Error),
    /// What came is no HTTP.
    Malformed(Malformed),
}

impl Connection {
    pub(in crate::process) async fn open(address: SocketAddr) -> io::Result<Box<Self>> {
        Self::new(TcpStream::connect(address).await?)
    }

    pub(in crate::process) fn new(stream: TcpStream) -> io::Result<Box<Self>> {
        stream.set_nodelay(true)?;
        Ok(Box::new(Self {
            stream,
            outgoing: Outgoing::none(),
            is_deaf: false,
            incoming: Incoming::new(),
        }))
    }

    #[cfg(test)]
    pub(super) fn stream_for_tests(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends `request` and gives the head of the answer with the connection, which brings the body.
    pub(in crate::process) fn send(mut self: Box<Self>, request: Outgoing) -> Sending {
        self.outgoing = request;
        Sending(Some(self))
    }

    /// Whether an idle connection still stands, as far as the reactor has heard: a program that has
    /// closed it, or says something unasked, is not sent a request over it. Costs no system call
    /// unless something has come.
    pub(in crate::process) fn is_usable(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The connection without what its last request held, if it can take another: that one was sent
    /// and answered to the last byte.
    pub(in crate::process) fn into_idle(mut self: Box<Self>) -> Option<Box<Self>> {
        let may_go_on = !self.is_deaf && self.outgoing.is_over() && self.incoming.may_go_on();
        self.outgoing = Outgoing::none();
        may_go_on.then_some(self)
    }

    /// Bytes of the answer's body that are to come, where that is known.
    pub(in crate::process) fn exact(&self) -> Option<u64> {
        self.incoming.exact()
    }

    /// Whether the answer is here to its last byte.
    pub(in crate::process) fn is_over(&self) -> bool {
        self.incoming.is_over()
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnswerHead, Broken>> {
        self.drive_upload(cx)?;
        loop {
            ready!(self.poll_fill(cx))?;
            let (asked, spare) = (self.outgoing.asked, &mut self.outgoing.spare);
            match self.incoming.head(asked, spare) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Err(Broken::Malformed(malformed))),
            }
        }
    }

    /// The next of the answer's body; the request's goes on meanwhile.
    pub(in crate::process) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match self.incoming.data() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) if self.incoming.is_over() => return Poll::Ready(None),
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Some(Err(Broken::Malformed(malformed)))),
            }
            self.drive_upload(cx)?;
            match ready!(self.poll_fill(cx)) {
                Ok(()) => {}
                // The end of an answer that ends with its connection.
                Err(_) if self.incoming.is_over() => return Poll::Ready(None),
                Err(broken) => return Poll::Ready(Some(Err(broken))),
            }
        }
    }

    /// Sends on as far as that goes now.
    fn drive_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        if self.is_deaf || self.outgoing.is_over() {
            return Ok(());
        }
        match self.outgoing.poll_send(cx, Pin::new(&mut self.stream)) {
            Poll::Ready(Err(Unsent::Body(error))) => Err(Broken::Body(error)),
            Poll::Ready(Err(Unsent::Wire(error))) if !self.outgoing.is_begun => {
                Err(Broken::Lost(error))
            }
            // Whether it has answered all the same, reading tells.
            Poll::Ready(Err(Unsent::Wire(_))) => {
                self.is_deaf = true;
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Reads once.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.incoming.reserve();
        let read = pin!(self.stream.read_buf(&mut self.incoming.input));
        match ready!(read.poll(cx)) {
            Ok(0) => {
                self.incoming.close();
                Poll::Ready(Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into())))
            }
            Ok(count) => {
                self.incoming.filled(count);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(Broken::Lost(error))),
        }
    }

    /// The answer's body, at most `limit` bytes of it; `None` if there is more or it breaks off.
    pub(in crate::process) async fn read(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            let data = data.ok()?;
            if all.len() + data.len() > limit {
                return None;
            }
            all.extend_from_slice(&data);
        }
        Some(all)
    }
}

/// A request on its way, small enough to be moved. Dropped, its connection closes.
#[derive(Debug)]
pub(in crate::process) struct Sending(Option<Box<Connection>>);

impl Future for Sending {
    type Output = Result<(Box<Connection>, AnswerHead), Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(connection) = &mut self.0 else {
            // Nobody polls what was ready.
            return Poll::Pending;
        };
        let polled = ready!(connection.poll_head(cx));
        let Some(connection) = self.0.take() else {
            return Poll::Pending;
        };
        Poll::Ready(match polled {
            Ok(head) => Ok((connection, head)),
            Err(Broken::Body(error)) => Err(Lost::Body(error)),
            Err(Broken::Malformed(malformed)) => Err(Lost::Malformed(malformed)),
            Err(Broken::Lost(error)) => Err(connection.lost(error)),
        })
    }
}

impl Connection {
    fn lost(self: Box<Self>, error: io::Error) -> Lost {
        let request = self.outgoing;
        if request.is_begun {
            Lost::Sent(request.again().map(Box::new), error)
        } else {
            Lost::Unsent(Box::new(request), error)
        }
    }
}
