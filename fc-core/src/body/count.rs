//! Bodies that are counted while they pass.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Body;
use crate::{Error, ErrorKind};

/// Tells whether a counted body ran over its limit, after the body itself is gone.
#[derive(Clone, Debug, Default)]
pub struct Overrun(Option<Arc<AtomicBool>>);

impl Overrun {
    /// Whether the limit was passed.
    pub fn happened(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Acquire))
    }
}

impl Body {
    /// The same body, which fails with `kind` once more than `limit` bytes have come; not one byte
    /// past the limit is passed on. A body whose length is known fails here, before its first byte.
    ///
    /// # Errors
    ///
    /// `kind`, naming the limit and the length.
    pub fn limited(
        self,
        field: &'static str,
        limit: u64,
        kind: ErrorKind,
    ) -> Result<(Self, Overrun), Error> {
        match self.known_length() {
            Some(length) if length > limit => Err(over(field, limit, length, kind)),
            // A length that the framing already promises needs no second count.
            Some(_) => Ok((self, Overrun::default())),
            None => {
                let flag = Arc::new(AtomicBool::new(false));
                let overrun = Overrun(Some(flag.clone()));
                let counted = self.map_stream(|stream| Counted {
                    stream,
                    field,
                    limit,
                    seen: 0,
                    kind,
                    overrun: flag,
                });
                Ok((counted, overrun))
            }
        }
    }
}

fn over(field: &str, limit: u64, length: u64, kind: ErrorKind) -> Error {
    Error::new(kind, format!("{field}: {length} bytes is over the limit of {limit}"))
}

struct Counted {
    stream: super::Stream,
    field: &'static str,
    limit: u64,
    seen: u64,
    kind: ErrorKind,
    overrun: Arc<AtomicBool>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.stream.as_mut().poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.seen += frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.seen > self.limit {
                self.overrun.store(true, Ordering::Release);
                let error = over(self.field, self.limit, self.seen, self.kind);
                return Poll::Ready(Some(Err(error)));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

pin_project! {
    /// A foreign body whose errors become ours.
    pub(super) struct ErrorInto<B> {
        #[pin]
        pub(super) stream: B,
    }
}

impl<B> HttpBody for ErrorInto<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.project().stream.poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}
