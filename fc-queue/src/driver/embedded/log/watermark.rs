//! What is known to be durable, in a file of its own that is written after each sync and never synced
//! itself: after a crash of the process it is exact, after one of the machine it may name less.
//!
//! There are two slots, in two sectors, used in turn: a torn one leaves the other.

use super::bytes::{Cursor, Malformed, Put};
use super::crc;

const MAGIC: u32 = u32::from_le_bytes(*b"fcsy");
/// Bytes of a slot.
const SLOT: usize = 36;
/// Where the second slot is.
const SECOND: u64 = 512;
/// Bytes of the file.
pub(in super::super) const BYTES: usize = 1024;

/// Everything before this is durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(in super::super) struct Watermark {
    /// The segment; 0: there was none yet.
    pub segment: u32,
    /// Where the last durable frame in it ends.
    pub end: u32,
    /// The sequence of the next frame.
    pub sequence: u64,
    /// The queue's time, milliseconds.
    pub time: u64,
}

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Found {
    pub watermark: Watermark,
    /// Whether only one slot could be read.
    pub is_worn: bool,
    /// The turn of the other slot: the older one, or the one that could not be read.
    pub turn: u64,
}

impl Watermark {
    /// The bytes of its slot, and where that is: `turn` says which.
    pub(in super::super) fn encode(&self, turn: u64) -> ([u8; SLOT], u64) {
        let mut bytes = Vec::with_capacity(SLOT);
        bytes.put_u32(MAGIC);
        bytes.put_u32(self.segment);
        bytes.put_u32(self.end);
        bytes.put_u64(self.sequence);
        bytes.put_u64(self.time);
        bytes.resize(SLOT - 4, 0);
        let crc = crc(0, &[&bytes]);
        bytes.put_u32(crc);
        let mut slot = [0; SLOT];
        slot.copy_from_slice(&bytes);
        (slot, if turn.is_multiple_of(2) { 0 } else { SECOND })
    }

    /// A whole file whose slots both say this.
    pub(in super::super) fn file(&self) -> Vec<u8> {
        let mut bytes = vec![0; BYTES];
        for turn in 0..2 {
            let (slot, at) = self.encode(turn);
            bytes[at as usize..][..SLOT].copy_from_slice(&slot);
        }
        bytes
    }

    /// The later of the file's two slots.
    pub(in super::super) fn find(file: &[u8]) -> Result<Found, Malformed> {
        let slots = [0, SECOND as usize].map(|at| Self::slot(file.get(at..at + SLOT)?));
        match slots {
            [Some(a), Some(b)] if a >= b => Ok(Found { watermark: a, is_worn: false, turn: 1 }),
            [Some(_), Some(b)] => Ok(Found { watermark: b, is_worn: false, turn: 0 }),
            [Some(a), None] => Ok(Found { watermark: a, is_worn: true, turn: 1 }),
            [None, Some(b)] => Ok(Found { watermark: b, is_worn: true, turn: 0 }),
            [None, None] => Err("neither of the marks of what is synced can be read"),
        }
    }

    fn slot(bytes: &[u8]) -> Option<Self> {
        let (covered, sum) = bytes.split_at(SLOT - 4);
        let mut cursor = Cursor::new(covered);
        let is_good = cursor.u32() == Ok(MAGIC) && Cursor::new(sum).u32() == Ok(crc(0, &[covered]));
        is_good.then_some(())?;
        Some(Self {
            segment: cursor.u32().ok()?,
            end: cursor.u32().ok()?,
            sequence: cursor.u64().ok()?,
            time: cursor.u64().ok()?,
        })
    }
}
