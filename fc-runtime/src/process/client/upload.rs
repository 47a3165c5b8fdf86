//! Sending a request: its head, and its body no faster than the program takes it.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use fc_core::{Error, Result};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::outgoing::{Coding, Outgoing};

const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const CHUNK_END_AND_LAST: &[u8] = b"\r\n0\r\n\r\n";

/// Why a request was not sent to its end.
#[derive(Debug)]
pub(super) enum Unsent {
    /// Its body failed.
    Body(Error),
    /// The connection did.
    Wire(io::Error),
}

impl Outgoing {
    /// Whether all of it was sent.
    pub(super) fn is_over(&self) -> bool {
        !self.has_pieces() && matches!(self.coding, Coding::Length(0) | Coding::Ended)
    }

    /// Sends what can be sent now; ready when all is.
    pub(super) fn poll_send<W>(
        &mut self,
        cx: &mut Context<'_>,
        mut wire: Pin<&mut W>,
    ) -> Poll<Result<(), Unsent>>
    where
        W: AsyncWrite,
    {
        loop {
            // Before the first write: the body's first piece goes out with the head.
            let body = self.poll_body(cx).map_err(Unsent::Body)?;
            if self.has_pieces() {
                ready!(self.poll_write(cx, wire.as_mut())).map_err(Unsent::Wire)?;
            } else {
                return body.map(Ok);
            }
        }
    }

    fn has_pieces(&self) -> bool {
        self.at < self.bytes.len() || !self.data.is_empty() || !self.tail.is_empty()
    }

    fn poll_write<W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        wire: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        let bytes = &self.bytes[self.at..];
        let count = if self.data.is_empty() && self.tail.is_empty() {
            ready!(wire.poll_write(cx, bytes))?
        } else {
            let pieces = [bytes, &self.data, self.tail].map(IoSlice::new);
            ready!(wire.poll_write_vectored(cx, &pieces))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.is_begun = true;
        self.advance(count);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        let of_bytes = count.min(self.bytes.len() - self.at);
        self.at += of_bytes;
        count -= of_bytes;
        let of_data = count.min(self.data.len());
        self.data.advance(of_data);
        count -= of_data;
        self.tail = &self.tail[count..];
    }

    /// Takes the next piece of the body, if there is room for it; ready when there is none any more.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.data.is_empty() && self.tail.is_empty() {
            let left = match self.coding {
                Coding::Length(0) | Coding::Ended => {
                    self.body = fc_core::Body::EMPTY;
                    return Poll::Ready(Ok(()));
                }
                Coding::Length(left) => Some(left),
                Coding::Chunked => None,
            };
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                self.end_body(left)?;
                continue;
            };
            // Trailers are the last hop's.
            let data = frame?.into_data().unwrap_or_default();
            match left {
                Some(left) => self.take(left, data)?,
                None if data.is_empty() => {}
                None => self.take_chunk(data),
            }
        }
        Poll::Pending
    }

    fn take(&mut self, left: u64, data: Bytes) -> Result<()> {
        let Some(left) = left.checked_sub(data.len() as u64) else {
            let over = data.len() as u64 - left;
            let what = format_args!("has {over} bytes more than the length that it told");
            return Err(Error::invalid("request body", what));
        };
        self.coding = Coding::Length(left);
        self.data = data;
        Ok(())
    }

    fn take_chunk(&mut self, data: Bytes) {
        self.forget_sent();
        // Writing to memory.
        let _ = write!(self.bytes, "{:x}\r\n", data.len());
        self.data = data;
        self.tail = CHUNK_END;
        if self.body.is_end_stream() {
            self.tail = CHUNK_END_AND_LAST;
            self.coding = Coding::Ended;
        }
    }

    fn end_body(&mut self, left: Option<u64>) -> Result<()> {
        if let Some(left) = left {
            let what = format_args!("ended {left} bytes before the length that it told");
            return Err(Error::invalid("request body", what));
        }
        self.forget_sent();
        self.tail = LAST_CHUNK;
        self.coding = Coding::Ended;
        Ok(())
    }

    fn forget_sent(&mut self) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use fc_core::{Body, ErrorKind};
    use http::Method;
    use http_body::{Frame, SizeHint};
    use proptest::prelude::*;

    use super::super::Lines;
    use super::*;

    /// A body of `frames`; an empty one stands for a moment in which nothing comes.
    struct Frames {
        frames: VecDeque<Vec<u8>>,
        told: Option<u64>,
    }

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>>>> {
            match self.frames.pop_front() {
                Some(frame) if frame.is_empty() => Poll::Pending,
                Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame.into())))),
                None => Poll::Ready(None),
            }
        }

        fn size_hint(&self) -> SizeHint {
            self.told.map_or_else(SizeHint::new, SizeHint::with_exact)
        }
    }

    /// Takes so many bytes at a time; none: not now.
    struct Narrow {
        seen: Vec<u8>,
        widths: VecDeque<usize>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            match self.widths.pop_front() {
                Some(0) => Poll::Pending,
                width => {
                    let count = bytes.len().min(width.unwrap_or(usize::MAX));
                    self.seen.extend_from_slice(&bytes[..count]);
                    Poll::Ready(Ok(count))
                }
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn request(body: Body) -> Outgoing {
        Lines::request(&Method::POST, "/", 0).finish(&Method::POST, body)
    }

    /// What a request looks like on the wire.
    fn sent(body: Body, widths: Vec<usize>) -> Result<Vec<u8>, Unsent> {
        let mut request = request(body);
        let mut wire = Narrow { seen: Vec::new(), widths: widths.into() };
        let mut nobody = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            if let Poll::Ready(done) = request.poll_send(&mut nobody, Pin::new(&mut wire)) {
                assert_eq!(done.is_ok(), request.is_over());
                return done.map(|()| wire.seen);
            }
        }
        panic!("never over");
    }

    fn chunks(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut coded = Vec::new();
        for frame in frames.iter().filter(|frame| !frame.is_empty()) {
            write!(coded, "{:x}\r\n", frame.len()).unwrap();
            coded.extend_from_slice(frame);
            coded.extend_from_slice(b"\r\n");
        }
        [coded, b"0\r\n\r\n".to_vec()].concat()
    }

    proptest! {
        /// However the body comes and the socket takes it.
        #[test]
        fn run_2_a_request_is_the_same_bytes_whatever_the_socket_takes(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            widths in prop::collection::vec(0usize..12, 0..60),
            tells: bool,
        ) {
            let all = frames.concat();
            let told = tells.then_some(all.len() as u64);
            let body = Body::stream(Frames { frames: frames.clone().into(), told });
            let sent = sent(body, widths).unwrap();
            let mut expected = b"POST / HTTP/1.1\r\n".to_vec();
            if tells {
                write!(expected, "content-length: {}\r\n\r\n", all.len()).unwrap();
                expected.extend_from_slice(&all);
            } else {
                expected.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                expected.extend_from_slice(&chunks(&frames));
            }
            prop_assert_eq!(sent, expected);
        }

        #[test]
        fn run_2_a_body_in_memory_follows_its_head(
            length in prop_oneof![0usize..20, 4_090..4_100usize],
            widths in prop::collection::vec(0usize..3_000, 0..10),
        ) {
            let sent = sent(Body::from(vec![b'x'; length]), widths).unwrap();
            let head = format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
            prop_assert_eq!(sent, [head.into_bytes(), vec![b'x'; length]].concat());
        }
    }

    /// T4: never a byte more than was told, which the program would read as the next request.
    #[test]
    fn t4_a_body_that_lies_about_its_length_is_cut_off() {
        for (told, what) in [(5, "has 1 bytes more"), (7, "ended 1 bytes before")] {
            let frames = ["abc", "def"].map(|frame| frame.as_bytes().to_vec()).into();
            let failed = sent(Body::stream(Frames { frames, told: Some(told) }), Vec::new());
            let Err(Unsent::Body(error)) = failed else {
                panic!("{failed:?}");
            };
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(what), "{error:?}");
        }
    }

    #[test]
    fn run_2_only_what_has_no_effect_and_no_body_is_sent_again() {
        let again = |method: Method, body: Body| {
            Lines::request(&method, "/", 0).finish(&method, body).again().is_some()
        };
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert!(again(method.clone(), Body::EMPTY));
            assert!(!again(method, "x".into()));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert!(!again(method, Body::EMPTY));
        }
    }
}
