//! The beginning of a segment.

use super::HEADER_BYTES;
use super::bytes::{Cursor, Malformed, Put};
use super::crc;

const MAGIC: u64 = u64::from_le_bytes(*b"fc-queue");
const VERSION: u32 = 1;
const BYTES: usize = 76;

/// What a segment says of itself, and of the one before it. It is durable before any frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Header {
    /// Its number: one more than that of the segment before it.
    pub number: u32,
    /// Grows with each opening of the queue: the high bits of fences.
    pub epoch: u32,
    /// Part of every frame's CRC, so that bytes of a payload cannot pass for a frame.
    pub salt: u64,
    /// Where the segment before it ends. Whatever lies behind was never acknowledged.
    pub previous_end: u32,
    /// The sequence of its first frame.
    pub sequence: u64,
    /// All positions that were used before are below.
    pub position: u64,
    /// The oldest segment that is still needed.
    pub oldest: u32,
    /// The queue's time, milliseconds.
    pub time: u64,
}

impl Header {
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.put_u64(MAGIC);
        bytes.put_u32(VERSION);
        bytes.put_u32(self.number);
        bytes.put_u32(self.epoch);
        bytes.put_u64(self.salt);
        bytes.put_u32(self.previous_end);
        bytes.put_u64(self.sequence);
        bytes.put_u64(self.position);
        bytes.put_u32(self.oldest);
        bytes.put_u64(self.time);
        bytes.resize(BYTES - 4, 0);
        let crc = crc(0, &[&bytes]);
        bytes.put_u32(crc);
        bytes.resize(HEADER_BYTES as usize, 0);
        bytes
    }

    pub(in super::super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let short = "the segment's header is cut off";
        let (covered, sum) = bytes.get(..BYTES).ok_or(short)?.split_at(BYTES - 4);
        let mut cursor = Cursor::new(covered);
        if cursor.u64()? != MAGIC {
            return Err("this is no segment of a queue");
        }
        let version = cursor.u32()?;
        if Cursor::new(sum).u32()? != crc(0, &[covered]) {
            return Err("the segment's header is damaged");
        }
        if version != VERSION {
            return Err("the segment's format is of another version");
        }
        Ok(Self {
            number: cursor.u32()?,
            epoch: cursor.u32()?,
            salt: cursor.u64()?,
            previous_end: cursor.u32()?,
            sequence: cursor.u64()?,
            position: cursor.u64()?,
            oldest: cursor.u32()?,
            time: cursor.u64()?,
        })
    }
}

/// The name of a segment's file.
pub(in super::super) fn name(number: u32) -> String {
    format!("{number:010}.log")
}

/// The name of the file of leases that were taken while the segment was the last.
pub(in super::super) fn leases_name(number: u32) -> String {
    format!("{number:010}.leases")
}

/// The number in a file's name.
pub(in super::super) fn number(name: &str, suffix: &str) -> Option<u32> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}
