//! Reads payloads back.
//!
//! What lies in the machine's page cache is read at once (`RWF_NOWAIT`): a few microseconds, less than
//! a thread's wake-up. What would have to wait for the disk goes to a thread of its own, so that no
//! thread of the asynchronous runtime ever waits for it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use fc_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::fs::File;
use super::log::crc;
use super::state::Location;

/// Calls that wait for the thread.
const WAITING_MAX: usize = 64;

/// A payload to be read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub file: Arc<dyn File>,
    pub location: Location,
}

/// Reads payloads back.
#[derive(Debug)]
pub(super) struct Reader {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    wanted: Vec<(usize, Wanted)>,
    reply: oneshot::Sender<Vec<(usize, Result<Bytes>)>>,
}

impl Reader {
    /// Starts the thread; it ends with this.
    ///
    /// # Errors
    ///
    /// If the machine gives none.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING_MAX);
        std::thread::Builder::new().name("fc-queue-read".into()).spawn(move || {
            while let Some(Job { wanted, reply }) = waiting.blocking_recv() {
                let read = wanted.into_iter().map(|(index, wanted)| (index, wanted.read()));
                // Whoever asked may have gone away.
                let _ = reply.send(read.collect());
            }
        })?;
        Ok(Self { jobs })
    }

    /// Reads all of them, in their order.
    pub(super) async fn read(&self, wanted: Vec<Wanted>) -> Vec<Result<Bytes>> {
        let mut payloads = Vec::with_capacity(wanted.len());
        let mut slow = Vec::new();
        for (index, wanted) in wanted.into_iter().enumerate() {
            match wanted.read_cached() {
                Some(payload) => payloads.push(payload),
                None => {
                    payloads.push(Err(Error::internal("the thread that reads the queue is gone")));
                    slow.push((index, wanted));
                }
            }
        }
        if slow.is_empty() {
            return payloads;
        }
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job { wanted: slow, reply }).await.is_ok() {
            for (index, payload) in answer.await.unwrap_or_default() {
                payloads[index] = payload;
            }
        }
        payloads
    }
}

impl Wanted {
    fn read_cached(&self) -> Option<Result<Bytes>> {
        let mut payload = vec![0; self.location.len as usize];
        match self.file.read_cached_at(&mut payload, u64::from(self.location.offset)) {
            Ok(true) => Some(self.check(payload)),
            Ok(false) => None,
            Err(e) => Some(Err(self.failed(&e))),
        }
    }

    fn read(&self) -> Result<Bytes> {
        let mut payload = vec![0; self.location.len as usize];
        let read = self.file.read_exact_at(&mut payload, u64::from(self.location.offset));
        read.map_err(|e| self.failed(&e))?;
        self.check(payload)
    }

    fn check(&self, payload: Vec<u8>) -> Result<Bytes> {
        if crc(0, &[&payload]) == self.location.crc {
            Ok(payload.into())
        } else {
            Err(self.failed("its CRC does not fit"))
        }
    }

    fn failed(&self, what: impl std::fmt::Display) -> Error {
        let Location { segment, offset, .. } = self.location;
        let what = format!("the payload in segment {segment} at offset {offset}: {what}");
        Error::internal(what)
    }
}
