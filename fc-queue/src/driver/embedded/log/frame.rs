//! What one sync makes durable.

use super::bytes::{Cursor, Malformed, Put};
use super::crc;

const MAGIC: u32 = u32::from_le_bytes(*b"fcfr");
/// Bytes before the records.
pub(in super::super) const FRAME_HEAD: usize = 32;
/// Frames begin at multiples of this.
pub(in super::super) const ALIGN: usize = 8;
/// Longest frame, bytes: longer is damaged.
pub(in super::super) const FRAME_BYTES_MAX: u32 = 1 << 29;

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Frame {
    /// Bytes of the records, padding included.
    pub len: u32,
    /// One more than that of the frame before it, across segments.
    pub sequence: u64,
    /// The queue's time, milliseconds.
    pub time: u64,
    /// How many records there are.
    pub records: u32,
    crc: u32,
}

impl Frame {
    /// Bytes in the file.
    pub(in super::super) fn bytes(&self) -> u32 {
        self.len + FRAME_HEAD as u32
    }

    /// The head, if it can be one: its CRC is not judged.
    pub(in super::super) fn decode(head: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(head);
        if cursor.u32()? != MAGIC {
            return Err("there is no frame");
        }
        let (len, sequence, time) = (cursor.u32()?, cursor.u64()?, cursor.u64()?);
        let (records, crc) = (cursor.u32()?, cursor.u32()?);
        if len > FRAME_BYTES_MAX || !(len as usize).is_multiple_of(ALIGN) {
            return Err("a frame's length is damaged");
        }
        Ok(Self { len, sequence, time, records, crc })
    }

    /// Judges a whole frame, head and records, by its CRC.
    pub(in super::super) fn check(&self, salt: u64, frame: &[u8]) -> Result<(), Malformed> {
        let whole = frame.len() == self.bytes() as usize;
        let is_good =
            whole && crc(salt, &[&frame[..FRAME_HEAD - 4], &frame[FRAME_HEAD..]]) == self.crc;
        if is_good { Ok(()) } else { Err("a frame's CRC does not fit its bytes") }
    }
}

/// Room for the head at the beginning of `bytes`, to be filled by [`finish`].
pub(in super::super) fn begin(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(FRAME_HEAD, 0);
}

/// Pads the records behind the head's room, and fills the head.
pub(in super::super) fn finish(
    bytes: &mut Vec<u8>,
    salt: u64,
    sequence: u64,
    time: u64,
    records: u32,
) {
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    let mut head = Vec::with_capacity(FRAME_HEAD);
    head.put_u32(MAGIC);
    head.put_u32((bytes.len() - FRAME_HEAD) as u32);
    head.put_u64(sequence);
    head.put_u64(time);
    head.put_u32(records);
    let crc = crc(salt, &[&head, &bytes[FRAME_HEAD..]]);
    head.put_u32(crc);
    bytes[..FRAME_HEAD].copy_from_slice(&head);
}
