//! Reading a body to its end, within a bound.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};

use super::Body;
use crate::{Error, ErrorKind};

impl Body {
    /// The next frame; `None` at the end.
    ///
    /// # Errors
    ///
    /// What the writer failed with.
    ///
    /// # Cancel safety
    ///
    /// Safe: no frame is lost when the future is dropped.
    pub async fn frame(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
    }

    /// All bytes, at most `limit` of them. A body of one frame is not copied.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there are more, or what the writer failed with.
    ///
    /// # Cancel safety
    ///
    /// Not safe: what was read is lost.
    pub async fn read(mut self, limit: u64) -> Result<Bytes, Error> {
        let mut first: Option<Bytes> = None;
        let mut rest: Option<BytesMut> = None;
        let mut seen = 0u64;
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            seen += data.len() as u64;
            if seen > limit {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("body: {seen} bytes is over the limit of {limit}"),
                ));
            }
            match (&mut first, &mut rest) {
                (None, _) => first = Some(data),
                (Some(_), Some(rest)) => rest.extend_from_slice(&data),
                (Some(first), rest @ None) => {
                    let mut all = BytesMut::with_capacity(first.len() + data.len());
                    all.extend_from_slice(first);
                    all.extend_from_slice(&data);
                    *rest = Some(all);
                }
            }
        }
        Ok(rest.map(BytesMut::freeze).or(first).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::Poll;

    use parking::Recorder;
    use proptest::prelude::*;

    use super::super::Ending;
    use super::*;

    mod parking {
        use std::sync::{Arc, Mutex};

        use crate::{BodyGuard, Ending};

        #[derive(Default, Clone)]
        pub(super) struct Recorder(pub(super) Arc<Mutex<Vec<Ending>>>);

        impl BodyGuard for Recorder {
            fn ended(self: Box<Self>, ending: Ending) {
                self.0.lock().unwrap().push(ending);
            }
        }
    }

    struct Frames(VecDeque<Result<Bytes, Error>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Poll::Ready(self.0.pop_front().map(|frame| frame.map(Frame::data)))
        }
    }

    fn frames(sizes: &[usize]) -> Body {
        Body::stream(Frames(sizes.iter().map(|&n| Ok(Bytes::from(vec![7; n]))).collect()))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        /// INV-6: not one byte past the limit passes, and a body within it passes whole.
        #[test]
        fn inv_6_a_stream_is_cut_at_its_limit(
            sizes in prop::collection::vec(0usize..50, 0..10),
            limit in 0u64..300,
        ) {
            let total: usize = sizes.iter().sum();
            let (body, overrun) =
                frames(&sizes).limited("body", limit, ErrorKind::InvalidArgument).unwrap();
            let mut passed = 0u64;
            let mut body = body;
            let result: Result<(), Error> = block_on(async {
                while let Some(frame) = body.frame().await {
                    passed += frame?.into_data().map_or(0, |data| data.len() as u64);
                }
                Ok(())
            });
            prop_assert!(passed <= limit);
            prop_assert_eq!(result.is_ok(), total as u64 <= limit);
            prop_assert_eq!(overrun.happened(), total as u64 > limit);
        }

        #[test]
        fn reading_joins_all_frames(sizes in prop::collection::vec(0usize..50, 0..10)) {
            let total: usize = sizes.iter().sum();
            let bytes = block_on(frames(&sizes).read(1_000)).unwrap();
            prop_assert_eq!(bytes.len(), total);
        }
    }

    #[test]
    fn a_known_length_over_the_limit_is_refused_before_the_first_byte() {
        let refused = Body::from("four!").limited("body", 4, ErrorKind::InvalidArgument);
        assert_eq!(refused.unwrap_err().message(), "body: 5 bytes is over the limit of 4");
        assert!(Body::from("four").limited("body", 4, ErrorKind::InvalidArgument).is_ok());
    }

    #[test]
    fn a_guard_hears_of_the_ending_once() {
        let heard = |body: &dyn Fn() -> Body, steps: usize| {
            let recorder = Recorder::default();
            let seen = Arc::clone(&recorder.0);
            let mut body = body().guarded(recorder);
            for _ in 0..steps {
                let _ = block_on(body.frame());
            }
            drop(body);
            seen.lock().unwrap().clone()
        };
        let failing =
            || Body::stream(Frames([Err(Error::internal("broken"))].into_iter().collect()));
        assert_eq!(heard(&|| Body::EMPTY, 0), [Ending::Complete]);
        assert_eq!(heard(&|| Body::from("x"), 0), [Ending::Complete]);
        assert_eq!(heard(&|| Body::from("x"), 3), [Ending::Complete]);
        assert_eq!(heard(&|| frames(&[1, 1]), 0), [Ending::Aborted]);
        assert_eq!(heard(&|| frames(&[1, 1]), 1), [Ending::Aborted]);
        assert_eq!(heard(&|| frames(&[1, 1]), 4), [Ending::Complete]);
        assert_eq!(heard(&failing, 2), [Ending::Failed]);
    }
}
