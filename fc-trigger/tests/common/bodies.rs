//! Request bodies whose length is not said.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;

/// A request of `size` bytes in chunks; `head` without the empty line.
pub fn chunked(head: &str, size: usize, chunk: usize) -> Vec<u8> {
    let mut bytes =
        format!("{head}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    let mut left = size;
    while left > 0 {
        let here = chunk.min(left);
        bytes.extend_from_slice(format!("{here:x}\r\n{}\r\n", "b".repeat(here)).as_bytes());
        left -= here;
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// A body of one frame.
pub fn undeclared(bytes: Bytes) -> StreamBody<Once> {
    StreamBody::new(Once(Some(bytes)))
}

pub struct Once(Option<Bytes>);

impl futures_core::Stream for Once {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Frame::data).map(Ok))
    }
}
