//! A body whose pieces a test sends one by one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fc_core::Error;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

/// A body whose pieces come through a channel, and that ends with it.
pub(crate) struct Pieces(pub(crate) mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
