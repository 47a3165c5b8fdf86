//! The bytes of a connection, read before hyper reads them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fc_core::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Violation;
use super::scan::{Scanner, Step};
use super::timer::{Timeouts, Watch};
use crate::link::Link;

/// What hyper reads in place of a request that was refused: the service answers it with the
/// violation, in its place among the answers, and the connection is closed behind it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// Bytes of later requests that are taken off the socket while one runs: enough to see the client
/// go away behind a few pipelined requests.
const HELD_BYTES_MAX: usize = 32 * 1024;

/// After a refusal the rest is read and dropped for so long, and so much, that the answer is not lost
/// in a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// A connection whose requests hyper and another server read alike.
///
/// A head is passed on when it is complete and in order; a body passes through, never copied. At
/// most one request is passed on at a time: what a client sends ahead waits here, so that its leaving
/// is seen while its request runs (INV-8).
pub(super) struct Strict<I> {
    io: I,
    link: Arc<Link>,
    timeouts: Timeouts,
    mode: Mode,
    /// Read from the socket and not passed on: `held[at..]`, of which `passed` bytes may go.
    held: Vec<u8>,
    at: usize,
    passed: usize,
    reading: Watch,
    read_deadline: Option<(Waiting, Instant)>,
    served: u32,
    writing: Watch,
    write_deadline: Option<Instant>,
    dropped: usize,
    is_shut: bool,
}

enum Mode {
    Http1(Scanner),
    /// So many bytes of the stand-in were given.
    Refused(usize),
    /// The body that hyper reads is broken.
    Broken(Violation),
    Http2,
}

/// What the client is waited for, each with a time-out of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waiting {
    Idle,
    Head,
    Body,
    Linger,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Strict<I> {
    /// `first` was already read from `io`.
    pub(super) fn http1(
        io: I,
        first: Vec<u8>,
        scanner: Scanner,
        link: Arc<Link>,
        timeouts: Timeouts,
    ) -> Self {
        Self::new(io, first, Mode::Http1(scanner), link, timeouts)
    }

    /// `first` was already read from `io`. Its bytes are hyper's alone.
    pub(super) fn http2(io: I, first: Vec<u8>, link: Arc<Link>, timeouts: Timeouts) -> Self {
        Self::new(io, first, Mode::Http2, link, timeouts)
    }

    fn new(io: I, first: Vec<u8>, mode: Mode, link: Arc<Link>, timeouts: Timeouts) -> Self {
        let clock = &link.shared.ports.clock;
        let passed = if matches!(mode, Mode::Http2) { first.len() } else { 0 };
        Self {
            io,
            timeouts,
            mode,
            held: first,
            at: 0,
            passed,
            reading: Watch::new(clock.clone()),
            read_deadline: None,
            served: 0,
            writing: Watch::new(clock.clone()),
            write_deadline: None,
            dropped: 0,
            is_shut: false,
            link,
        }
    }

    fn has_held(&self) -> bool {
        self.at < self.held.len()
    }

    /// Gives hyper what it may have of the held bytes.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let give = self.passed.min(buf.remaining());
        buf.put_slice(&self.held[self.at..self.at + give]);
        self.passed -= give;
        self.at += give;
        if !self.has_held() {
            self.held.clear();
            self.at = 0;
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.held.drain(..self.at);
            self.at = 0;
        }
        self.held.extend_from_slice(bytes);
    }

    /// Waits for the client, for as long as `waiting` allows.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, waiting: Waiting) -> Poll<()> {
        let at = match self.read_deadline {
            Some((kind, at)) if kind == waiting => at,
            _ => {
                let timeout = match waiting {
                    Waiting::Idle => self.timeouts.idle,
                    Waiting::Head => self.timeouts.head,
                    Waiting::Body => self.timeouts.stall,
                    Waiting::Linger => LINGER,
                };
                let at = self.reading.after(timeout);
                self.read_deadline = Some((waiting, at));
                at
            }
        };
        self.reading.poll(cx, at)
    }

    fn poll_http1(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.passed > 0 {
                self.give(buf);
                return Poll::Ready(Ok(()));
            }
            let Mode::Http1(scanner) = &mut self.mode else {
                return self.poll_read_mode(cx, buf);
            };
            let between = scanner.is_between();
            let waits = between && self.link.is_busy();
            let mut is_partial_head = false;
            if self.at < self.held.len() && !waits {
                match scanner.step(&self.held[self.at..]) {
                    Step::Pass(passed) => {
                        self.passed = passed;
                        continue;
                    }
                    Step::Refuse(passed, violation) => {
                        self.passed = passed;
                        self.refuse(violation);
                        continue;
                    }
                    Step::Wait => is_partial_head = true,
                }
            }
            if waits {
                if self.has_held() {
                    self.link.hold(cx.waker());
                    // The call may have ended just before: then nobody else wakes this task.
                    if !self.link.is_busy() {
                        continue;
                    }
                }
                if self.held.len() - self.at >= HELD_BYTES_MAX {
                    return Poll::Pending;
                }
            }
            let before = buf.filled().len();
            match Pin::new(&mut self.io).poll_read(cx, buf) {
                Poll::Pending if waits => return Poll::Pending,
                Poll::Pending => {
                    let waiting = match (between, is_partial_head) {
                        (true, true) => Waiting::Head,
                        (true, false) => Waiting::Idle,
                        (false, _) => Waiting::Body,
                    };
                    ready!(self.poll_deadline(cx, waiting));
                    match waiting {
                        Waiting::Head => self.refuse(Violation::HeadTimeout),
                        Waiting::Body => self.refuse(Violation::BodyStalled),
                        // An answer is still being taken, under a time-out of its own.
                        Waiting::Idle if self.write_deadline.is_some() => self.read_deadline = None,
                        // Closed as if the client had closed it.
                        Waiting::Idle | Waiting::Linger => return Poll::Ready(Ok(())),
                    }
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            let read = buf.filled().len() - before;
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            if !is_partial_head {
                self.read_deadline = None;
            }
            let Mode::Http1(scanner) = &mut self.mode else {
                continue;
            };
            let step = if waits || self.at < self.held.len() {
                Step::Wait
            } else {
                scanner.step(&buf.filled()[before..])
            };
            // A head that came whole, and any part of a body, stays where it was read.
            let passed = match step {
                Step::Pass(passed) => {
                    self.read_deadline = None;
                    passed
                }
                Step::Wait => 0,
                Step::Refuse(passed, violation) => {
                    self.refuse(violation);
                    passed
                }
            };
            if passed < read && matches!(self.mode, Mode::Http1(_)) {
                self.hold(&buf.filled()[before + passed..]);
            }
            buf.set_filled(before + passed);
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn refuse(&mut self, violation: Violation) {
        let Mode::Http1(scanner) = &self.mode else {
            return;
        };
        self.mode = if scanner.is_between() {
            self.link.refuse_next(violation);
            Mode::Refused(0)
        } else {
            Mode::Broken(violation)
        };
        self.held.truncate(self.at + self.passed);
        self.read_deadline = None;
    }

    /// Reads and drops what still comes.
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0u8; 4096];
        while self.dropped < LINGER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.dropped += buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }

    fn poll_read_mode(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.passed > 0 {
            self.give(buf);
            return Poll::Ready(Ok(()));
        }
        match &mut self.mode {
            Mode::Http1(_) => self.poll_http1(cx, buf),
            Mode::Refused(given) if *given < STAND_IN.len() => {
                let rest = &STAND_IN[*given..];
                let give = rest.len().min(buf.remaining());
                buf.put_slice(&rest[..give]);
                *given += give;
                Poll::Ready(Ok(()))
            }
            // The answer ends the connection, not the client's leaving.
            Mode::Refused(_) => {
                let _ = self.poll_drop(cx);
                Poll::Pending
            }
            Mode::Broken(violation) => {
                let error = violation.error();
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
            }
            Mode::Http2 => self.poll_http2(cx, buf),
        }
    }

    fn poll_http2(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            return polled;
        }
        loop {
            // Pings come and go; only a request makes a connection less idle.
            let served = self.link.served();
            if self.link.is_busy() || served != self.served {
                self.served = served;
                self.read_deadline = None;
            }
            ready!(self.poll_deadline(cx, Waiting::Idle));
            if !self.link.is_busy() && self.link.served() == self.served {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Bounds how long the client may take nothing.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_deadline = None;
            return polled;
        }
        let timeout = self.timeouts.stall;
        let writing = &mut self.writing;
        let at = *self.write_deadline.get_or_insert_with(|| writing.after(timeout));
        ready!(writing.poll(cx, at));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Strict<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_mode(cx, buf)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.write(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.write(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let is_orderly = match &this.mode {
            Mode::Http1(scanner) => scanner.is_between() && !this.has_held(),
            Mode::Http2 => true,
            Mode::Refused(_) | Mode::Broken(_) => false,
        };
        if !this.is_shut {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.is_shut = true;
        }
        if is_orderly || this.poll_drop(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        this.poll_deadline(cx, Waiting::Linger).map(Ok)
    }
}
