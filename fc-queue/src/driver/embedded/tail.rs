//! The end of the log: where frames are written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fc_core::{Error, ErrorKind, Instant};

use super::fs::{File, Fs};
use super::log::header::{self, Header};
use super::log::watermark::Watermark;
use super::log::{HEADER_BYTES, frame};
use super::spare::Spare;

/// After a failure, no new segment is tried for so long.
const PAUSE: Duration = Duration::from_millis(250);

/// Where the log ends.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) epoch: u32,
    /// The last segment's number; 0: there is none.
    pub(super) number: u32,
    /// Where its last durable frame ends.
    pub(super) offset: u32,
    /// The last segment, while it can be written.
    pub(super) file: Option<Arc<dyn File>>,
    pub(super) salt: u64,
    /// The next frame's.
    pub(super) sequence: u64,
    /// The oldest segment that is needed.
    pub(super) oldest: u32,
    pub(super) spare: Spare,
    pub(super) marks: Arc<dyn File>,
    pub(super) turn: u64,
    /// The segment is to end, full or not.
    pub(super) is_over: bool,
    /// Why no new segment could be begun, and until when it is not tried again.
    pub(super) failed: Option<(Error, Instant)>,
}

/// A segment that was begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub number: u32,
    pub file: Arc<dyn File>,
    pub salt: u64,
}

/// Why a frame is not in the log.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not, and will not be.
    Refused(Error),
    /// It may be found there after a restart.
    Unknown(Error),
}

/// What a new segment is told beside what the tail knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// The queue's time, milliseconds.
    pub time: u64,
    /// The last position that was used.
    pub position: u64,
    /// The machine's time, for pauses.
    pub instant: Instant,
}

impl Tail {
    /// Makes room for a frame of `bytes`: gives the segment that was begun for it, if one was.
    ///
    /// # Errors
    ///
    /// `ResourceThrottled` that names the disk's failure: nothing is written now.
    pub(super) fn room_for(&mut self, bytes: usize, now: Now) -> Result<Option<Begun>, Error> {
        let end = u64::from(self.offset) + bytes as u64;
        let is_empty = self.offset == HEADER_BYTES && !self.is_over;
        // A frame longer than a segment has one of its own, which grows.
        let fits = end <= self.segment_bytes && !self.is_over;
        if self.file.is_some() && (fits || is_empty) {
            return Ok(None);
        }
        if let Some((error, until)) = &self.failed
            && now.instant < *until
        {
            return Err(error.duplicate());
        }
        match self.roll(now) {
            Ok(begun) => {
                if self.failed.take().is_some() {
                    tracing::info!(dir = %self.dir.display(), "the queue takes writes again");
                }
                Ok(Some(begun))
            }
            Err(e) => {
                let error = self.failure("begin a segment", &e);
                if self.failed.is_none() {
                    let dir = self.dir.display();
                    tracing::error!(%dir, %error, "the queue is read-only until a segment can be begun");
                }
                self.failed = Some((error.duplicate(), now.instant + PAUSE));
                Err(error)
            }
        }
    }

    /// Begins the next segment.
    fn roll(&mut self, now: Now) -> io::Result<Begun> {
        let file = self.spare.take(&*self.fs, &self.dir, self.segment_bytes)?;
        let number = self.number + 1;
        let salt = salt();
        let header = Header {
            number,
            epoch: self.epoch,
            salt,
            previous_end: self.offset,
            sequence: self.sequence,
            position: now.position,
            oldest: self.oldest.max(1),
            time: now.time,
        };
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        // From here on the last segment's end may be written down: it must not grow any more.
        let last = self.file.take();
        self.fs.rename(&self.dir.join(super::spare::NAME), &self.dir.join(header::name(number)))?;
        self.fs.sync_dir(&self.dir)?;
        if let Some(last) = last {
            // Only for the room: where it ends is written down.
            let _ = last.set_len(u64::from(self.offset));
        }
        (self.number, self.salt, self.offset) = (number, salt, HEADER_BYTES);
        self.file = Some(file.clone());
        self.is_over = false;
        self.mark(now.time);
        Ok(Begun { number, file, salt })
    }

    /// Has the next segment made ready once this one is half full. Gives why pushes are to be refused, if
    /// there is no room for it and this one is nearly full: what is left is for settling.
    pub(super) fn prepare(&mut self, now: Instant) -> Option<Error> {
        let left = self.segment_bytes.saturating_sub(u64::from(self.offset));
        if self.file.is_none() || left > self.segment_bytes / 2 {
            return None;
        }
        match self.spare.look() {
            Ok(true) => {
                self.failed = None;
                return None;
            }
            Ok(false) => {
                if self.failed.as_ref().is_none_or(|(_, until)| *until <= now) {
                    self.spare.begin(&self.fs, &self.dir, self.segment_bytes);
                }
            }
            Err(e) => {
                let error = self.failure("make the next segment", &e);
                if self.failed.is_none() {
                    let dir = self.dir.display();
                    tracing::error!(%dir, %error, "the queue will soon take no writes");
                }
                self.failed = Some((error, now + PAUSE));
            }
        }
        let is_full = left < self.segment_bytes / 8;
        self.failed.as_ref().filter(|_| is_full).map(|(error, _)| error.duplicate())
    }

    /// Writes a frame whose records are in `bytes` behind room for its head, durably; there is room
    /// for it. Gives where it begins.
    ///
    /// # Errors
    ///
    /// As [`Fault`] says.
    pub(super) fn append(
        &mut self,
        bytes: &mut Vec<u8>,
        records: u32,
        time: u64,
    ) -> Result<u32, Fault> {
        let Some(file) = self.file.clone() else {
            return Err(Fault::Refused(Error::internal("no segment was begun")));
        };
        frame::finish(bytes, self.salt, self.sequence, time, records);
        let at = u64::from(self.offset);
        if let Err(e) = file.write_all_at(bytes, at) {
            let error = self.failure("write", &e);
            tracing::error!(%error, "a frame was refused");
            // Part of it is there, or all. Cut off, durably, it cannot be found after a restart.
            let cut = file.set_len(at).and_then(|()| file.sync_data());
            return Err(match cut {
                Ok(()) => Fault::Refused(error),
                Err(_) => {
                    self.file = None;
                    Fault::Unknown(unknown(&error))
                }
            });
        }
        if let Err(e) = file.sync_data() {
            // What a second sync would say of these bytes is worth nothing: the segment ends before
            // them, and another is begun.
            self.file = None;
            let error = self.failure("sync", &e);
            tracing::error!(%error, "the segment is given up");
            return Err(Fault::Unknown(unknown(&error)));
        }
        let begin = self.offset;
        self.offset += bytes.len() as u32;
        self.sequence += 1;
        self.mark(time);
        Ok(begin)
    }

    /// Writes down what is durable. That this may be lost is part of what it means.
    fn mark(&mut self, time: u64) {
        let (segment, end, sequence) = (self.number, self.offset, self.sequence);
        let (slot, at) = Watermark { segment, end, sequence, time }.encode(self.turn);
        match self.marks.write_all_at(&slot, at) {
            Ok(()) => self.turn += 1,
            Err(error) => tracing::warn!(%error, "what is synced could not be marked"),
        }
    }

    fn failure(&self, what: &str, e: &io::Error) -> Error {
        let full = match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: ",
            _ => "",
        };
        let dir = self.dir.display();
        let what = format!("{full}could not {what} in the queue's directory {dir}: {e}");
        Error::new(ErrorKind::ResourceThrottled, what)
    }
}

impl Drop for Tail {
    /// Whoever opens the directory next finds nobody at work in it.
    fn drop(&mut self) {
        self.spare.leave();
    }
}

fn unknown(error: &Error) -> Error {
    Error::new(ErrorKind::Unknown, error.message().to_owned())
}

/// Nobody who writes payloads knows it.
fn salt() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(0)
}
