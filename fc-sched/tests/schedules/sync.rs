//! `src/sync.rs` for shuttle: every operation is a scheduling point, and every task is shuttle's.

use std::cell::Cell;
use std::fmt;
use std::future::Future;

pub(crate) use shuttle::future::AbortHandle;
use shuttle::rand::Rng;
use shuttle::sync::{MutexGuard, PoisonError};
pub(crate) use tokio::sync::OnceCell;

thread_local! {
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// A bug that is planted, to show that the suite finds such.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Planted {
    /// As in `src/sync.rs`.
    OpensPoolLate,
    /// As in `src/sync.rs`.
    KeepsLost,
    /// Who waits for a notification hears only what comes after it began to wait.
    ListensLate,
    /// A counter is read and written in two steps.
    CountsInTwoSteps,
}

/// Whether this bug is planted in the schedules of this thread.
pub(crate) fn planted(bug: Planted) -> bool {
    PLANTED.get() == Some(bug)
}

/// Runs `work` with a bug.
pub(crate) fn with_planted<R>(bug: Planted, work: impl FnOnce() -> R) -> R {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
    PLANTED.set(Some(bug));
    let _clear = Clear;
    work()
}

/// Where shuttle may let another task go on. (Its `yield_now` says besides that this task has nothing
/// to do, which would be a lie.)
#[derive(Debug, Default)]
struct Point(shuttle::sync::atomic::AtomicBool);

impl Point {
    fn pass(&self) {
        self.0.load(atomic::Ordering::SeqCst);
    }
}

/// Shuttle's, with `parking_lot`'s signatures.
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Lock-free, and each operation is one step.
pub(crate) struct HashMap<K, V> {
    map: papaya::HashMap<K, V, foldhash::fast::FixedState>,
    point: Point,
}

impl<K, V> HashMap<K, V> {
    pub(crate) fn pin(
        &self,
    ) -> papaya::HashMapRef<'_, K, V, foldhash::fast::FixedState, papaya::LocalGuard<'_>>
    where
        K: std::hash::Hash + Eq,
    {
        self.point.pass();
        self.map.pin()
    }

    pub(crate) fn is_empty(&self) -> bool
    where
        K: std::hash::Hash + Eq,
    {
        self.point.pass();
        self.map.is_empty()
    }
}

impl<K, V> Default for HashMap<K, V> {
    fn default() -> Self {
        // Iterated in the same order each time, so that a schedule can be replayed.
        Self { map: papaya::HashMap::with_hasher(Default::default()), point: Point::default() }
    }
}

/// An empty table.
pub(crate) fn table<K, V>() -> HashMap<K, V> {
    HashMap::default()
}

impl<K, V> fmt::Debug for HashMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashMap")
    }
}

#[derive(Debug, Default)]
pub(crate) struct Notify {
    inner: tokio::sync::Notify,
    point: Point,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.point.pass();
        self.inner.notify_one();
    }

    pub(crate) fn notify_waiters(&self) {
        self.point.pass();
        self.inner.notify_waiters();
    }

    pub(crate) fn notified(&self) -> impl Future<Output = ()> + Send + '_ {
        self.point.pass();
        let early = (!planted(Planted::ListensLate)).then(|| self.inner.notified());
        async move {
            match early {
                Some(notified) => notified.await,
                None => {
                    self.point.pass();
                    self.inner.notified().await;
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CancellationToken {
    inner: tokio_util::sync::CancellationToken,
    point: std::sync::Arc<Point>,
}

impl CancellationToken {
    pub(crate) fn new() -> Self {
        Self { inner: tokio_util::sync::CancellationToken::new(), point: Default::default() }
    }

    pub(crate) fn cancel(&self) {
        self.point.pass();
        self.inner.cancel();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.point.pass();
        self.inner.is_cancelled()
    }

    pub(crate) async fn cancelled(&self) {
        self.point.pass();
        self.inner.cancelled().await;
    }
}

/// Tokio's, which knows of futures only; the tasks are shuttle's.
#[derive(Debug, Default)]
pub(crate) struct TaskTracker(tokio_util::task::TaskTracker);

impl TaskTracker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn spawn<F>(&self, future: F) -> shuttle::future::JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        shuttle::future::spawn(self.0.track_future(future))
    }

    pub(crate) fn close(&self) {
        self.0.close();
    }

    pub(crate) async fn wait(&self) {
        self.0.wait().await;
    }
}

pub(crate) mod oneshot {
    pub(crate) use tokio::sync::oneshot::Receiver;

    use super::Point;

    #[derive(Debug)]
    pub(crate) struct Sender<T>(tokio::sync::oneshot::Sender<T>, Point);

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (Sender(sender, Point::default()), receiver)
    }

    impl<T> Sender<T> {
        pub(crate) fn send(self, value: T) -> Result<(), T> {
            self.1.pass();
            self.0.send(value)
        }
    }
}

pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, Ordering};

    use super::{Planted, planted};

    #[derive(Debug)]
    pub(crate) struct AtomicU32(shuttle::sync::atomic::AtomicU32);

    impl AtomicU32 {
        pub(crate) const fn new(value: u32) -> Self {
            Self(shuttle::sync::atomic::AtomicU32::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u32, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn fetch_update(
            &self,
            set: Ordering,
            fetch: Ordering,
            mut update: impl FnMut(u32) -> Option<u32>,
        ) -> Result<u32, u32> {
            if planted(Planted::CountsInTwoSteps) {
                let before = self.0.load(fetch);
                self.0.store(update(before).ok_or(before)?, set);
                return Ok(before);
            }
            self.0.fetch_update(set, fetch, update)
        }
    }
}

/// Tokio asks the branches in a random order; here it is the schedule's.
macro_rules! select {
    (biased; $($branches:tt)*) => {
        tokio::select! { biased; $($branches)* }
    };
    ($a:tt = $fa:expr => $ba:expr, $b:tt = $fb:expr => $bb:expr $(,)?) => {
        if crate::sync::coin() {
            tokio::select! { biased; $a = $fa => { $ba }, $b = $fb => { $bb } }
        } else {
            tokio::select! { biased; $b = $fb => { $bb }, $a = $fa => { $ba } }
        }
    };
    ($a:tt = $fa:expr => $ba:expr, $b:tt = $fb:expr => $bb:expr, $c:tt = $fc:expr => $bc:expr $(,)?) => {
        if crate::sync::coin() {
            tokio::select! { biased; $a = $fa => { $ba }, $b = $fb => { $bb }, $c = $fc => { $bc } }
        } else {
            tokio::select! { biased; $c = $fc => { $bc }, $b = $fb => { $bb }, $a = $fa => { $ba } }
        }
    };
}
pub(crate) use select;

pub(crate) fn coin() -> bool {
    shuttle::rand::thread_rng().r#gen()
}
