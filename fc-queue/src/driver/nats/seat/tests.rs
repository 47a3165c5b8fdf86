//! Whoever asks is answered, whoever does the work.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use futures_util::poll;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::Id;

use super::*;

type Ask = oneshot::Sender<Option<Id>>;

/// Answers all that was asked, once it is let, with the task that did it.
struct Toy {
    asks: mpsc::Receiver<Ask>,
    pending: Vec<Ask>,
    lets: Arc<Semaphore>,
    turns: Arc<AtomicU64>,
}

impl Work for Toy {
    fn is_asked(&self) -> bool {
        !self.pending.is_empty() || !self.asks.is_empty()
    }

    async fn turn(mut self) -> Self {
        while let Ok(ask) = self.asks.try_recv() {
            self.pending.push(ask);
        }
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.lets.acquire().await.unwrap().forget();
        for ask in self.pending.drain(..) {
            let _ = ask.send(tokio::task::try_id());
        }
        self
    }

    async fn gather(&mut self) {
        tokio::task::yield_now().await;
    }
}

struct Subject {
    seat: Arc<Seat<Toy>>,
    asks: mpsc::Sender<Ask>,
    lets: Arc<Semaphore>,
    turns: Arc<AtomicU64>,
}

impl Subject {
    fn new(lets: usize) -> Self {
        let (asks, asked) = mpsc::channel(8);
        let (lets, turns) = (Arc::new(Semaphore::new(lets)), Arc::new(AtomicU64::new(0)));
        let toy =
            Toy { asks: asked, pending: Vec::new(), lets: lets.clone(), turns: turns.clone() };
        Self { seat: Seat::new(toy, Handle::current()), asks, lets, turns }
    }

    /// The task that answered, or `None` if the work is gone.
    async fn ask(&self) -> Option<Option<Id>> {
        let (ask, answer) = oneshot::channel();
        self.asks.send(ask).await.ok()?;
        self.seat.attend(answer).await.ok()
    }

    fn is_idle(&self) -> bool {
        matches!(self.seat.held.lock().place, Place::Idle(_))
    }

    fn is_driven(&self) -> bool {
        matches!(self.seat.held.lock().place, Place::Driven(..))
    }

    /// Lets tasks run until nobody works.
    async fn settle(&self) {
        while !self.is_idle() {
            tokio::task::yield_now().await;
        }
    }
}

/// Runs `test` in a task, so that it has an id, and each await of it is one of that task.
async fn in_task<T: Send + 'static>(test: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(test).await.unwrap()
}

#[tokio::test]
async fn one_who_is_alone_does_the_work_itself() {
    in_task(async {
        let subject = Subject::new(100);
        for turn in 1..=100 {
            assert_eq!(subject.ask().await, Some(tokio::task::try_id()));
            assert!(subject.is_idle());
            assert_eq!(subject.turns.load(Ordering::Relaxed), turn);
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_one_has_a_task_go_on_and_the_first_is_answered_by_it() {
    in_task(async {
        let subject = Subject::new(0);
        let mut first = Box::pin(subject.ask());
        assert!(poll!(&mut first).is_pending());
        assert!(subject.is_driven());
        let mut second = Box::pin(subject.ask());
        assert!(poll!(&mut second).is_pending());
        assert!(!subject.is_driven(), "the turn is taken from the first");
        subject.lets.add_permits(2);
        // Both wait to be woken: the first had no reason to expect its answer from elsewhere.
        let (first, second) = futures_util::join!(first, second);
        for answer in [first, second] {
            assert!(answer.is_some_and(|task| task != tokio::task::try_id()), "{answer:?}");
        }
        subject.settle().await;
        assert_eq!(subject.turns.load(Ordering::Relaxed), 2);
    })
    .await;
}

/// A caller that drives, and is not polled while it waits for another: a "futurelock" otherwise.
#[tokio::test]
async fn a_driver_that_is_not_polled_holds_nobody_up() {
    in_task(async {
        let subject = Subject::new(0);
        let mut held = Box::pin(subject.ask());
        assert!(poll!(&mut held).is_pending());
        subject.lets.add_permits(10);
        assert!(subject.ask().await.is_some());
        assert!(held.await.is_some());
    })
    .await;
}

#[tokio::test]
async fn what_a_driver_leaves_is_done_nevertheless() {
    in_task(async {
        let subject = Subject::new(0);
        let (ask, mut answer) = oneshot::channel();
        subject.asks.send(ask).await.unwrap();
        let (_unanswered, never) = oneshot::channel::<()>();
        let mut driver = subject.seat.attend(never);
        assert!(poll!(&mut driver).is_pending());
        drop(driver);
        assert!(!subject.is_driven());
        assert!(answer.try_recv().is_err());
        subject.lets.add_permits(1);
        assert!(answer.await.is_ok());
        subject.settle().await;
    })
    .await;
}

/// The answer may come from elsewhere, or before the turn's end.
#[tokio::test]
async fn one_who_is_answered_goes_and_leaves_the_rest_of_the_turn() {
    in_task(async {
        let subject = Subject::new(0);
        let (ask, _answer) = oneshot::channel();
        subject.asks.send(ask).await.unwrap();
        let mut driver = subject.seat.attend(poll_fn(|_| Poll::Ready(7)));
        assert!(subject.is_driven());
        assert_eq!((&mut driver).await, 7);
        assert!(!subject.is_driven());
        subject.lets.add_permits(1);
        subject.settle().await;
    })
    .await;
}

#[tokio::test]
async fn a_seat_that_is_closed_answers_nobody_more() {
    in_task(async {
        let subject = Subject::new(0);
        let mut first = Box::pin(subject.ask());
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(subject.ask());
        assert!(poll!(&mut second).is_pending());
        subject.seat.close();
        assert_eq!(first.await, None);
        assert_eq!(second.await, None);
        assert_eq!(subject.ask().await, None);
    })
    .await;
}

/// A driver's own runtime may end before the queue's.
#[test]
fn a_turn_goes_on_when_its_drivers_runtime_is_gone() {
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (ours, theirs) = (build(), build());
    let subject = Arc::new(ours.block_on(async { Subject::new(0) }));
    let (ask, answer) = oneshot::channel();
    subject.asks.try_send(ask).unwrap();
    let driver = subject.clone();
    theirs.block_on(async move {
        let driving = async move {
            let (_unanswered, never) = oneshot::channel::<()>();
            driver.seat.attend(never).await
        };
        tokio::spawn(driving);
        while !subject.is_driven() || subject.turns.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        subject.lets.add_permits(1);
        subject
    });
    drop(theirs);
    assert!(ours.block_on(answer).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_lost_among_many_who_ask_and_go_away() {
    const CLIENTS: u64 = 16;
    const ASKS: u64 = 2_000;
    let subject = Arc::new(Subject::new(Semaphore::MAX_PERMITS));
    let clients = (0..CLIENTS).map(|client| {
        let subject = subject.clone();
        tokio::spawn(async move {
            for ask in 0..ASKS {
                if (ask + client) % 3 == 0 {
                    let mut left = Box::pin(subject.ask());
                    let _ = poll!(&mut left);
                } else if (ask + client) % 7 == 0 {
                    let (one, other) = futures_util::join!(subject.ask(), subject.ask());
                    assert!(one.is_some() && other.is_some());
                } else {
                    assert!(subject.ask().await.is_some());
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    subject.settle().await;
}
