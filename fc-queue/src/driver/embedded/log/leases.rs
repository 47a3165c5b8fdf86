//! How often tasks were leased, in files beside the segments that are never synced: they outlive the
//! process, and a machine that fails may forget some, as the port allows.

use super::bytes::{Cursor, Put};
use super::crc;

const MAGIC: u16 = u16::from_le_bytes(*b"fl");
const HEAD: usize = 12;

/// The leases of one call, all of one lane: positions, and how often each was leased with this.
pub(in super::super) fn encode(lane: &str, leases: &[(u64, u32)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(2 + lane.len() + leases.len() * 12);
    body.put_short(lane.as_bytes());
    for (position, count) in leases {
        body.put_u64(*position);
        body.put_u32(*count);
    }
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.put_u16(MAGIC);
    bytes.put_u16(0);
    bytes.put_u32(body.len() as u32);
    let crc = crc(0, &[&bytes, &body]);
    bytes.put_u32(crc);
    bytes.extend_from_slice(&body);
    bytes
}

/// Calls `each` with every lease of a file; gives where it cannot be read any more, if it is not at
/// its end.
pub(in super::super) fn decode(file: &[u8], mut each: impl FnMut(&str, u64, u32)) -> Option<usize> {
    let mut at = 0;
    while at < file.len() {
        let Some(body) = body(&file[at..]) else {
            return Some(at);
        };
        at += HEAD + body.len();
        let mut cursor = Cursor::new(body);
        let Ok(lane) = cursor.text() else {
            return Some(at);
        };
        while let (Ok(position), Ok(count)) = (cursor.u64(), cursor.u32()) {
            each(lane, position, count);
        }
    }
    None
}

fn body(bytes: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(bytes);
    let is_record = cursor.u16() == Ok(MAGIC);
    let _reserved = cursor.u16();
    let (len, sum) = (cursor.u32().ok()?, cursor.u32().ok()?);
    let body = cursor.take(len as usize).ok()?;
    (is_record && sum == crc(0, &[&bytes[..HEAD - 4], body])).then_some(body)
}
