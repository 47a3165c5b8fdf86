//! An answer's body on its way out: no trailers, and in pieces that show whether the client takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fc_core::{Body, Error, Result};
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::link::Carrier;
use crate::server::Taking;

/// One HTTP/2 frame: what a client must take within `stall_timeout`, and the most that HTTP/2's own
/// buffers hold of an answer that is not taken.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The answer as `carrier` is to have it.
pub(super) fn carried(response: Response<Body>, carrier: Carrier) -> Response<Body> {
    let taking = match carrier {
        Carrier::Http2 => Taking::current(),
        Carrier::Http1 | Carrier::Foreign => None,
    };
    if let Some(taking) = &taking {
        taking.offer();
    }
    let (is_in_memory, length) =
        (response.body().is_in_memory(), response.body().known_length().unwrap_or(u64::MAX));
    if !is_in_memory {
        let rest = Bytes::new();
        return response.map(|body| body.map_stream(|body| Outbound { body, taking, rest }));
    }
    if taking.is_none() || length <= PIECE_BYTES_MAX as u64 {
        return response;
    }
    response.map(|body| Body::stream(Outbound { body, taking, rest: Bytes::new() }))
}

/// A body in pieces, without trailers: those no one has cleaned (HTT-3).
struct Outbound<B> {
    body: B,
    /// Where somebody watches.
    taking: Option<Arc<Taking>>,
    /// Of the frame that is handed out in pieces.
    rest: Bytes,
}

impl<B: HttpBody<Data = Bytes>> Outbound<B> {
    /// The first piece of `data`; `is_rest`: it lies in one allocation with what went before.
    fn piece(&mut self, mut data: Bytes, is_rest: bool) -> Bytes {
        let Some(taking) = &self.taking else {
            return data;
        };
        taking.offer();
        if data.len() > PIECE_BYTES_MAX {
            self.rest = data.split_off(PIECE_BYTES_MAX);
        } else if is_rest && self.body.is_end_stream() {
            // HTTP/2 may hold it for long, and is not to hold the whole allocation by it.
            data = Bytes::copy_from_slice(&data);
        }
        data
    }
}

impl<B> HttpBody for Outbound<B>
where
    B: HttpBody<Data = Bytes, Error = Error> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(Frame::data(this.piece(rest, true)))));
        }
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(Frame::data(this.piece(data, false)))));
                    }
                }
                Poll::Pending => {
                    if let Some(taking) = &this.taking {
                        taking.await_function();
                    }
                    return Poll::Pending;
                }
                ended => return ended,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
