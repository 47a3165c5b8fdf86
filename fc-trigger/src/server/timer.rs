//! The platform's clock for hyper, and one timer a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fc_core::{Clock, Instant, Sleep};
use parking_lot::Mutex;

use crate::link::Link;

/// The time-outs of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
}

/// The platform's clock in hyper's terms. Hyper's own `Timer::now` would read the machine's clock
/// and mix two axes of time, so it is given here too.
#[derive(Clone, Debug)]
pub(super) struct HyperTimer {
    clock: Arc<dyn Clock>,
    /// Stands for the clock's origin: hyper's instants cannot be made from a number.
    origin: std::time::Instant,
}

impl HyperTimer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        // An anchor whose distance to anything is never measured.
        #[allow(clippy::disallowed_methods)]
        let origin = std::time::Instant::now();
        Self { clock, origin }
    }

    fn at(&self, at: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep(Mutex::new(self.clock.sleep_until(at))))
    }
}

impl hyper::rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.at(self.clock.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.at(Instant::ORIGIN + deadline.saturating_duration_since(self.origin))
    }

    fn now(&self) -> std::time::Instant {
        self.origin + self.clock.now().since_origin()
    }
}

/// The lock is never taken: it makes a `Send` future `Sync`, which hyper asks for.
struct HyperSleep(Mutex<Sleep>);

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for HyperSleep {}

/// One timer for deadlines that mostly move on before they come: it is set anew only when it fires
/// early, or for a nearer deadline.
pub(super) struct Watch {
    clock: Arc<dyn Clock>,
    armed: Option<(Instant, Sleep)>,
}

impl Watch {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, armed: None }
    }

    /// The deadline `timeout` from now.
    pub(super) fn after(&self, timeout: Duration) -> Instant {
        self.clock.now() + timeout
    }

    /// Ready once `deadline` has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            let sleep = match &mut self.armed {
                Some((at, sleep)) if *at <= deadline => sleep,
                armed => &mut armed.insert((deadline, self.clock.sleep_until(deadline))).1,
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = None;
            if self.clock.now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

/// Finds a connection on which nothing was asked for a whole time-out: one timer, which looks how many
/// requests there were since it last looked, so that a request costs it nothing.
///
/// hyper does not read again after it has answered, so that a time-out of reads alone would miss it.
pub(super) struct Quiet {
    clock: Arc<dyn Clock>,
    link: Arc<Link>,
    timeout: Duration,
    served: u32,
    sleep: Sleep,
}

impl Quiet {
    pub(super) fn new(link: Arc<Link>, timeout: Duration) -> Self {
        let clock = link.shared.ports.clock.clone();
        let sleep = clock.sleep_until(clock.now() + timeout);
        Self { served: link.served(), clock, link, timeout, sleep }
    }

    /// Ready once nothing was asked for a whole time-out.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let served = self.link.served();
            if served == self.served && !self.link.is_busy() {
                return Poll::Ready(());
            }
            self.served = served;
            self.sleep = self.clock.sleep_until(self.clock.now() + self.timeout);
        }
    }
}
