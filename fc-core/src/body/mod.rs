//! Bodies: empty, in memory, or a stream; counted while they pass, and carrying what they hold.

mod count;
mod read;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

pub use count::Overrun;

use crate::Error;

type Stream = Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>;

/// How a body came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ending {
    /// The last byte was taken.
    Complete,
    /// The reader left before the end.
    Aborted,
    /// The writer failed before the end.
    Failed,
}

/// Something reserved for as long as a body lives: a slot, a permit, a connection.
pub trait BodyGuard: Send + 'static {
    /// Called exactly once, when the body is over.
    fn ended(self: Box<Self>, ending: Ending);
}

impl<F: FnOnce(Ending) + Send + 'static> BodyGuard for F {
    fn ended(self: Box<Self>, ending: Ending) {
        (*self)(ending);
    }
}

/// A request's or response's body: frames are [`Bytes`] and are never copied.
///
/// A body that lies in memory is complete when it is dropped: its writer has nothing left to do. A
/// stream that is dropped before its end is [`Ending::Aborted`].
///
/// ```
/// use fc_core::{Body, Ending};
/// let (sender, ended) = std::sync::mpsc::sync_channel(1);
/// let body = Body::from("hello").guarded(move |ending| sender.send(ending).unwrap());
/// assert_eq!(body.known_length(), Some(5));
/// drop(body);
/// assert_eq!(ended.recv().unwrap(), Ending::Complete);
/// ```
#[derive(Default)]
pub struct Body {
    kind: Kind,
    guard: Option<Box<dyn BodyGuard>>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(Stream),
}

impl Body {
    /// No bytes.
    pub const EMPTY: Self = Self { kind: Kind::Empty, guard: None };

    /// A body that arrives frame by frame.
    ///
    /// A stream that says at once that it is over becomes the empty body.
    pub fn stream<B>(stream: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        if stream.is_end_stream() {
            return Self::EMPTY;
        }
        Self { kind: Kind::Stream(Box::pin(count::ErrorInto { stream })), guard: None }
    }

    /// Whether the bytes all lie in memory.
    pub fn is_in_memory(&self) -> bool {
        !matches!(self.kind, Kind::Stream(_))
    }

    /// The exact length in bytes, where it is known before the end.
    pub fn known_length(&self) -> Option<u64> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint().exact(),
        }
    }

    /// The same body holding `guard` until it is over.
    #[must_use]
    pub fn guarded(mut self, guard: impl BodyGuard) -> Self {
        self.guard = Some(match self.guard.take() {
            None => Box::new(guard),
            Some(inner) => Box::new(move |ending| {
                inner.ended(ending);
                Box::new(guard).ended(ending);
            }),
        });
        self
    }

    /// The same bytes through `wrap`, if they arrive as a stream: bytes in memory stay as they are.
    #[must_use]
    pub fn map_stream<B>(
        self,
        wrap: impl FnOnce(Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>) -> B,
    ) -> Self
    where
        B: HttpBody<Data = Bytes, Error = Error> + Send + 'static,
    {
        let mut this = self;
        this.kind = match std::mem::take(&mut this.kind) {
            Kind::Stream(stream) => Kind::Stream(Box::pin(wrap(stream))),
            in_memory => in_memory,
        };
        this
    }

    /// Ends a body that nobody will read though its bytes were made: the answer to a `HEAD`.
    pub fn discard(mut self) {
        self.end(Ending::Complete);
    }

    fn end(&mut self, ending: Ending) {
        if let Some(guard) = self.guard.take() {
            guard.ended(ending);
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let ending = if self.is_in_memory() { Ending::Complete } else { Ending::Aborted };
        self.end(ending);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match &mut self.kind {
            Kind::Empty => None,
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
            }
            Kind::Stream(stream) => match stream.as_mut().poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if stream.is_end_stream() {
                        self.kind = Kind::Empty;
                        self.end(Ending::Complete);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.kind = Kind::Empty;
                    self.end(Ending::Failed);
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.kind = Kind::Empty;
                    None
                }
            },
        };
        if matches!(self.kind, Kind::Empty) {
            self.end(Ending::Complete);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Bytes(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::EMPTY
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes) }, guard: None }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}
