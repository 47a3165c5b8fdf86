//! A request while it is in an instance.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fc_core::{Error, ErrorKind, Exit, InstanceId};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::witness::Ledger;

/// How many requests are in an instance.
#[derive(Default)]
pub(super) struct Crowd {
    now: u32,
    /// The most there ever were: who comes together has met, even if one is gone already.
    pub(super) peak: u32,
}

impl Crowd {
    pub(super) fn enter(&mut self) {
        self.now += 1;
        self.peak = self.peak.max(self.now);
    }
}

/// A request that is in an instance, until this is dropped.
pub(super) struct Presence {
    pub(super) id: InstanceId,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) crowd: Arc<watch::Sender<Crowd>>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.ledger.lock().left(self.id);
        self.crowd.send_modify(|crowd| crowd.now -= 1);
    }
}

/// Waits for the instance's end.
pub(super) async fn exit_of(mut exit: watch::Receiver<Option<Exit>>) -> Exit {
    match exit.wait_for(Option::is_some).await.map(|exit| *exit) {
        Ok(Some(exit)) => exit,
        // The instance was dropped without a stop.
        Ok(None) | Err(_) => Exit::Stopped,
    }
}

pub(super) fn died(exit: Exit) -> Error {
    Error::new(ErrorKind::FunctionCrashed, format!("the instance ended: {exit}"))
}

/// An answer that breaks off when the instance ends.
pub(super) struct EndsWithInstance {
    pub(super) stream: Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>,
    pub(super) exit: Pin<Box<dyn Future<Output = Exit> + Send>>,
}

impl HttpBody for EndsWithInstance {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.exit.as_mut().poll(cx) {
            Poll::Ready(exit) => Poll::Ready(Some(Err(died(exit)))),
            Poll::Pending => self.stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}
