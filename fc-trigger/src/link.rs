//! What the requests of one connection share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use crate::gateway::Shared;
use crate::server::Violation;

/// What carries the requests, and so who watches for stalls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// `serve`'s HTTP/1: the bytes level watches both directions.
    Http1,
    /// `serve`'s HTTP/2: each request watches its own body, and each stream its answer.
    Http2,
    /// Somebody else's server: a request watches its body, and answers are that server's concern.
    Foreign,
}

/// What the requests of one connection share: a count of its own, so that two connections never
/// write to the same cache line, and what the bytes level has to tell the service.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) carrier: Carrier,
    /// Requests that are in the service now, and how many there were in all.
    running: AtomicU32,
    served: AtomicU32,
    /// Why the request that comes next was refused by the bytes level; 0 for not.
    violation: AtomicU8,
    /// Bytes of a next request are held back until the running one is answered.
    held: AtomicBool,
    holder: Mutex<Option<Waker>>,
}

impl Link {
    pub(crate) fn new(shared: Arc<Shared>, peer: Option<SocketAddr>, carrier: Carrier) -> Self {
        Self {
            shared,
            peer,
            carrier,
            running: AtomicU32::new(0),
            served: AtomicU32::new(0),
            violation: AtomicU8::new(0),
            held: AtomicBool::new(false),
            holder: Mutex::new(None),
        }
    }

    /// Whether a request is being served.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    /// Requests that ever came, modulo 2^32.
    pub(crate) fn served(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }

    /// The next request is a stand-in for one that was refused.
    pub(crate) fn refuse_next(&self, violation: Violation) {
        self.violation.store(violation.code(), Ordering::Release);
    }

    /// `waker` is to be woken when the running request is answered.
    pub(crate) fn hold(&self, waker: &Waker) {
        let mut holder = self.holder.lock();
        if !holder.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *holder = Some(waker.clone());
        }
        self.held.store(true, Ordering::Release);
    }
}

/// A request in the service, from its head to its answer's head, or to its end without one.
#[derive(Debug)]
pub(crate) struct Call {
    link: Arc<Link>,
    /// Why the bytes level refused it.
    pub(crate) violation: Option<Violation>,
}

impl Call {
    pub(crate) fn begin(link: &Arc<Link>) -> Self {
        link.running.fetch_add(1, Ordering::Relaxed);
        link.served.fetch_add(1, Ordering::Relaxed);
        let violation = match link.violation.load(Ordering::Acquire) {
            0 => None,
            code => Violation::from_code(code),
        };
        Self { link: link.clone(), violation }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.link.running.fetch_sub(1, Ordering::Release);
        if self.link.held.swap(false, Ordering::AcqRel)
            && let Some(waker) = self.link.holder.lock().as_ref()
        {
            waker.wake_by_ref();
        }
    }
}
