//! The bytes of the log: pure, without I/O.
//!
//! ```text
//! directory   lock | synced | 0000000001.log 0000000001.leases | 0000000002.log …  | spare
//! segment     header (4096 bytes) | frame | frame | … | zeros
//! frame       magic, length, sequence, time, records, CRC-32 | record | … | padding to 8 bytes
//! record      length | kind | body
//! ```
//!
//! A frame is what one sync made durable: there is never more than one that was not. So a bad frame
//! with a good one behind it, or before the end that `synced` names, is corruption and no torn tail.

pub(super) mod bytes;
pub(super) mod frame;
pub(super) mod header;
pub(super) mod leases;
pub(super) mod record;
pub(super) mod watermark;

/// Where frames begin in a segment.
pub(super) const HEADER_BYTES: u32 = 4096;

/// CRC-32 of `parts`, one after another, begun with `salt`.
pub(super) fn crc(salt: u64, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
