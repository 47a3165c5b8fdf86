//! Tasks in files of this machine: one directory, one process, no server.
//!
//! An append-only log of our own, with an index in memory. Measured on the project's machine with 64
//! clients of 1 KB records and group commit, an append with `fdatasync` makes 164 000 records a second
//! durable, and 300 000 into a file whose blocks are there already; `redb` with one transaction a group
//! makes 101 000, `fjall` 144 000 (`benches/queue.rs` measures it again). A queue needs neither order
//! by key nor reads of ranges on disk, so nothing that a tree costs is bought with it.
//!
//! - **Durable** is what a `fdatasync` covers. One thread writes: whatever waits becomes one frame and
//!   one sync, and nobody sees or leases a task before. A single caller pays one sync.
//! - **In memory** is what is needed to choose a task; payloads stay in the files, and those of the
//!   latest pushes in a bounded cache as well.
//! - **Leases** are held in memory, and end with the process. How often a task was leased is written
//!   without a sync. Fences begin above those of all openings before.
//! - **Errors** of a write refuse what was to be written. After a failed sync the outcome is unknown;
//!   the segment ends where it was last synced, and another is begun. As long as none can be, writes
//!   are refused, and leases go on.
//! - **Corruption** is never passed over: what cannot be read keeps the queue from opening, but for a
//!   torn frame behind all that was synced.
//! - **Time** begins at the machine's wall clock or at the last time in the log, whichever is later,
//!   and then goes on with the monotonic clock: it never goes back.

mod cache;
mod command;
mod compact;
mod config;
mod decide;
mod fs;
mod leases;
mod log;
mod marks;
mod queue;
mod read;
mod recovery;
mod scan;
mod shared;
mod spare;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod waiters;
mod writer;

use std::fmt::{self, Debug};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use fc_core::port::queue::QueueCapabilities;
use fc_core::port::store::Durability;
use fc_core::{Clock, Error, ErrorKind, Result};
use parking_lot::Mutex;

pub use config::EmbeddedConfig;

use crate::anchored::AnchoredClock;
use command::Inbox;
use fs::{Fs, SystemFs};
use leases::LeaseLog;
use read::Reader;
use recovery::Recovered;
use shared::Shared;
use spare::Spare;
use state::Segment;
use tail::{Begun, Now, Tail};
use waiters::Waiters;
use writer::Writer;

/// Largest note or reason, bytes.
const NOTE_BYTES_MAX: u64 = 4096;

/// A queue in a directory of this machine.
///
/// Dropping it writes what was handed over, and frees the directory.
pub struct EmbeddedQueue {
    dir: PathBuf,
    shared: Arc<Shared>,
    reader: Reader,
    segment_bytes: u64,
    writer: Option<JoinHandle<()>>,
    /// Held until all is written.
    _lock: Box<dyn Debug + Send + Sync>,
}

impl EmbeddedQueue {
    /// Opens the queue in `dir`, which is made if it is missing. Blocks while it reads the log: about two
    /// seconds for a million tasks.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a configuration out of bounds; `Conflict` if the directory is in use;
    /// `ResourceThrottled` if the disk is full; `InternalServerError` that names the file, and for
    /// corruption the offset in it.
    pub fn open(
        dir: impl AsRef<Path>,
        config: &EmbeddedConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Self::open_in(Arc::new(SystemFs), dir.as_ref(), config, clock)
    }

    fn open_in(
        fs: Arc<dyn Fs>,
        dir: &Path,
        config: &EmbeddedConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.check()?;
        let shown = dir.display();
        let failed = |e: io::Error| Error::internal(format!("the queue in '{shown}': {e}"));
        fs.create_dir(dir).map_err(failed)?;
        let lock = fs.lock(&dir.join("lock")).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => {
                let what = format!("the queue in '{shown}' is open in another process or here");
                Error::new(ErrorKind::Conflict, what)
            }
            _ => failed(e),
        })?;
        let recovered = recovery::recover(&*fs, dir, config.cache_bytes_max)?;
        let clock = AnchoredClock::not_before(clock, recovered.time);
        let Recovered { mut state, marks, turn, number, offset, sequence, oldest, .. } = recovered;
        let Recovered { epoch, position, leases, .. } = recovered;
        let mut tail = Tail {
            fs: fs.clone(),
            dir: dir.to_owned(),
            segment_bytes: config.segment_bytes,
            epoch,
            number,
            offset,
            file: None,
            salt: 0,
            sequence,
            oldest,
            spare: Spare::None,
            marks,
            turn,
            is_over: false,
            failed: None,
        };
        // Fences above all before are durable before the first lease.
        let (time, instant) = (clock.now().as_unix_millis(), clock.clock().now());
        if let Some(Begun { number, file, salt }) =
            tail.room_for(0, Now { time, position, instant })?
        {
            state.segments.insert(number, Segment { file, salt, end: tail.offset, tasks: 0 });
        }
        let lease_bytes = if leases.0 == tail.number { leases.1 } else { 0 };
        let leases = LeaseLog::new(fs, dir.to_owned(), tail.number, lease_bytes);
        let shared = Arc::new(Shared {
            capabilities: QueueCapabilities {
                durability: Durability::Fsync,
                ordered: true,
                atomic_settle: true,
                delay_max: config.delay_max,
                payload_bytes_max: config.payload_bytes_max,
                note_bytes_max: NOTE_BYTES_MAX,
            },
            clock,
            state: Mutex::new(state),
            inbox: Inbox::new(config.pending_bytes_max),
            waiters: Waiters::default(),
            leases: Mutex::new(leases),
            frames: AtomicU64::new(0),
        });
        let reader = Reader::start().map_err(failed)?;
        let writer = Writer::new(shared.clone(), tail, position, config.tasks_max);
        let thread = std::thread::Builder::new().name("fc-queue-write".into());
        let writer = thread.spawn(move || writer.run()).map_err(failed)?;
        let (dir, segment_bytes) = (dir.to_owned(), config.segment_bytes);
        Ok(Self { dir, shared, reader, segment_bytes, writer: Some(writer), _lock: lock })
    }

    /// Frames that this opening has written: each is one sync, whatever number of operations it holds.
    pub fn frames_written(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        self.shared.inbox.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(dir = %self.dir.display(), "the queue's writer died");
        }
    }
}

impl fmt::Debug for EmbeddedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedQueue").field("dir", &self.dir).finish_non_exhaustive()
    }
}
