//! Who does the work: a caller in its own poll as long as it is alone, else a task.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// What is done in turns, one after the other.
pub(super) trait Work: Send + Sized + 'static {
    /// Whether a turn would do something.
    fn is_asked(&self) -> bool;

    /// Does something of what was asked.
    fn turn(self) -> impl Future<Output = Self> + Send;

    /// Lets others ask between two turns, if more of them may be about to.
    fn gather(&mut self) -> impl Future<Output = ()> + Send;
}

/// Where the work is done.
///
/// One who asks and waits does it in its own poll: no other task has to be woken, which costs as much
/// as the work. It must not be left with it when another waits too, since it may be polled no more
/// while it waits for that other: then, and if it goes away, a task goes on. A turn is polled under the
/// seat's lock, so that it can be taken from whoever drives it; no lock is held between two polls.
pub(super) struct Seat<W> {
    held: Mutex<Held<W>>,
    runtime: Handle,
}

type Turn<W> = Pin<Box<dyn Future<Output = W> + Send>>;

struct Held<W> {
    place: Place<W>,
    /// Callers that have driven a turn.
    drivers: u64,
}

enum Place<W> {
    /// Nobody works.
    Idle(W),
    /// A caller does.
    Driven(Turn<W>, Driver),
    /// A task does, until nothing is asked any more.
    Away(Option<AbortHandle>),
}

/// A caller that drives a turn, and its waker once it was polled.
struct Driver {
    number: u64,
    waker: Option<Waker>,
}

impl<W: Work> Seat<W> {
    /// What a caller leaves is done in `runtime`, and so is what a turn begins.
    pub(super) fn new(work: W, runtime: Handle) -> Arc<Self> {
        let held = Held { place: Place::Idle(work), drivers: 0 };
        Arc::new(Self { held: Mutex::new(held), runtime })
    }

    /// Waits for the answer to what was asked before, and sees to it that the work is done.
    pub(super) fn attend<A: Future + Unpin>(self: &Arc<Self>, answer: A) -> Attending<W, A> {
        Attending { seat: self.clone(), driver: self.begin(), answer }
    }

    /// Leaves what is under way undone.
    pub(super) fn close(&self) {
        let place = mem::replace(&mut self.held.lock().place, Place::Away(None));
        if let Place::Away(Some(task)) = place {
            task.abort();
        }
    }

    /// The number under which the caller is to drive a turn, unless others do all.
    fn begin(self: &Arc<Self>) -> Option<u64> {
        let mut held = self.held.lock();
        match mem::replace(&mut held.place, Place::Away(None)) {
            Place::Idle(work) if work.is_asked() => {
                held.drivers += 1;
                let number = held.drivers;
                let driver = Driver { number, waker: None };
                held.place = Place::Driven(Box::pin(work.turn()), driver);
                Some(number)
            }
            // The driver may wait for this caller, and not poll.
            Place::Driven(turn, driver) => {
                held.place = self.away(turn);
                drop(held);
                // From now on it waits for its answer.
                driver.waker.into_iter().for_each(Waker::wake);
                None
            }
            other => {
                held.place = other;
                None
            }
        }
    }

    /// Polls the turn of `driver`; `true` if it goes on.
    fn drive(self: &Arc<Self>, driver: u64, cx: &mut Context<'_>) -> bool {
        let mut held = self.held.lock();
        let Place::Driven(turn, by) = &mut held.place else {
            return false;
        };
        if by.number != driver {
            return false;
        }
        if !by.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            by.waker = Some(cx.waker().clone());
        }
        // Timers and tasks of the turn outlive the caller's runtime.
        let inside = self.runtime.enter();
        let polled = turn.as_mut().poll(cx);
        drop(inside);
        let Poll::Ready(work) = polled else {
            return true;
        };
        held.place =
            if work.is_asked() { self.away(Box::pin(work.turn())) } else { Place::Idle(work) };
        false
    }

    /// `driver` drives no more.
    fn leave(self: &Arc<Self>, driver: u64) {
        let mut held = self.held.lock();
        match mem::replace(&mut held.place, Place::Away(None)) {
            Place::Driven(turn, by) if by.number == driver => held.place = self.away(turn),
            other => held.place = other,
        }
    }

    /// Has a task do the turn, and what comes after it.
    fn away(self: &Arc<Self>, turn: Turn<W>) -> Place<W> {
        let task = self.runtime.spawn(self.clone().work_off(turn));
        Place::Away(Some(task.abort_handle()))
    }

    async fn work_off(self: Arc<Self>, mut turn: Turn<W>) {
        loop {
            let mut work = turn.await;
            work.gather().await;
            let mut held = self.held.lock();
            // Whoever asks after this look finds the seat idle.
            if !work.is_asked() {
                held.place = Place::Idle(work);
                return;
            }
            drop(held);
            turn = Box::pin(work.turn());
        }
    }
}

/// One who waits for an answer.
pub(super) struct Attending<W: Work, A> {
    seat: Arc<Seat<W>>,
    driver: Option<u64>,
    answer: A,
}

impl<W: Work, A: Future + Unpin> Future for Attending<W, A> {
    type Output = A::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        if let Some(driver) = self.driver {
            // Its own turn answers it: it need not be woken for that, and run once more.
            let mut quiet = Context::from_waker(Waker::noop());
            let mut answer = Pin::new(&mut self.answer).poll(&mut quiet);
            if answer.is_pending() {
                if self.seat.drive(driver, cx) {
                    answer = Pin::new(&mut self.answer).poll(&mut quiet);
                    if answer.is_pending() {
                        return Poll::Pending;
                    }
                } else {
                    self.driver = None;
                }
            }
            if answer.is_ready() {
                self.leave();
                return answer;
            }
        }
        Pin::new(&mut self.answer).poll(cx)
    }
}

impl<W: Work, A> Attending<W, A> {
    fn leave(&mut self) {
        if let Some(driver) = self.driver.take() {
            self.seat.leave(driver);
        }
    }
}

impl<W: Work, A> Drop for Attending<W, A> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
