//! Reads the frames of a segment.

use std::sync::Arc;

use super::fs::File;
use super::log::bytes::Malformed;
use super::log::frame::{ALIGN, FRAME_HEAD, Frame};

/// Bytes that are read at once, unless a frame is longer.
const WINDOW: usize = 1024 * 1024;

static ZEROS: [u8; 4096] = [0; 4096];

/// Reads the frames of a segment, one after another.
#[derive(Debug)]
pub(super) struct Scan {
    file: Arc<dyn File>,
    salt: u64,
    /// Where the next frame begins.
    pub(super) offset: u32,
    /// Nothing is read from here on.
    limit: u64,
    window: Vec<u8>,
    /// Where the window begins.
    begin: u64,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next<'s> {
    /// A good frame: its head, where it begins, and its records.
    Frame(Frame, u32, &'s [u8]),
    /// The limit, exactly.
    End,
    /// No good frame, and why.
    Bad(Malformed),
}

impl Scan {
    /// Frames from `offset` on, and none that reaches beyond `limit`.
    pub(super) fn new(file: Arc<dyn File>, salt: u64, offset: u32, limit: u64) -> Self {
        Self { file, salt, offset, limit, window: Vec::new(), begin: 0 }
    }

    /// The next frame; after a bad one, the same again.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(super) fn next(&mut self) -> std::io::Result<Next<'_>> {
        let at = u64::from(self.offset);
        if at == self.limit {
            return Ok(Next::End);
        }
        if at > self.limit {
            return Ok(Next::Bad("the file is cut off"));
        }
        let head = match Frame::decode(self.read(at, FRAME_HEAD)?) {
            Ok(head) => head,
            Err(what) => return Ok(Next::Bad(what)),
        };
        let salt = self.salt;
        let bytes = self.read(at, head.bytes() as usize)?;
        if let Err(what) = head.check(salt, bytes) {
            return Ok(Next::Bad(what));
        }
        let offset = self.offset;
        self.offset += head.bytes();
        let bytes = self.read(at, head.bytes() as usize)?;
        Ok(Next::Frame(head, offset, &bytes[FRAME_HEAD..]))
    }

    /// Whether a good frame of sequence `from` or later begins behind the place where none was.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(super) fn is_followed(&mut self, from: u64) -> std::io::Result<Option<u64>> {
        let mut at = u64::from(self.offset) + ALIGN as u64;
        while at + FRAME_HEAD as u64 <= self.limit {
            let (limit, salt) = (self.limit, self.salt);
            // What was never written is zeros, and passed over quickly.
            let piece = self.read(at, ZEROS.len())?;
            if piece.len() < FRAME_HEAD {
                break;
            }
            if *piece == ZEROS[..piece.len()] {
                at += ZEROS.len() as u64;
                continue;
            }
            let is_possible =
                |head: &Frame| head.sequence >= from && at + u64::from(head.bytes()) <= limit;
            if let Some(head) = Frame::decode(piece).ok().filter(is_possible)
                && head.check(salt, self.read(at, head.bytes() as usize)?).is_ok()
            {
                return Ok(Some(at));
            }
            at += ALIGN as u64;
        }
        Ok(None)
    }

    /// As many of `len` bytes as there are before the limit and the file's end.
    fn read(&mut self, at: u64, len: usize) -> std::io::Result<&[u8]> {
        let len = len.min(usize::try_from(self.limit.saturating_sub(at)).unwrap_or(usize::MAX));
        let held = self.begin + self.window.len() as u64;
        if at < self.begin || at + len as u64 > held {
            let wanted =
                usize::try_from(self.limit - at).unwrap_or(usize::MAX).min(len.max(WINDOW));
            self.window.resize(wanted, 0);
            let read = self.file.read_full_at(&mut self.window, at)?;
            self.window.truncate(read);
            self.begin = at;
        }
        let start = (at - self.begin) as usize;
        Ok(&self.window[start..self.window.len().min(start + len)])
    }
}

/// Where a slice of a frame's records lies in the file.
pub(super) fn place(frame: u32, records: &[u8], slice: &[u8]) -> u32 {
    let within = slice.as_ptr().addr() - records.as_ptr().addr();
    frame + (FRAME_HEAD + within) as u32
}
