//! What happened.

use fc_core::Timestamp;
use fc_core::port::queue::Verdict;

use super::bytes::{Cursor, Malformed, Put};

const TASK: u8 = 1;
const COPY: u8 = 2;
const SETTLED: u8 = 3;
const REMOVED: u8 = 4;
const REVIVED: u8 = 5;
const OLDEST: u8 = 6;

const DONE: u8 = 0;
const RETRY: u8 = 1;
const BURY: u8 = 2;

/// Bytes of a task in the log beside its texts and its payload, about.
pub(in super::super) const TASK_OVERHEAD: u64 = 64;

/// A task, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Task<'b> {
    pub lane: &'b str,
    pub position: u64,
    pub id: &'b str,
    pub pushed_at: Timestamp,
    pub visible_at: Timestamp,
    pub leases: u32,
    pub reason: Option<&'b str>,
    pub note: &'b [u8],
    pub payload: &'b [u8],
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Record<'b> {
    /// A task was pushed.
    Pushed(Task<'b>),
    /// A task was copied here from a segment that is to go.
    Copied(Task<'b>),
    /// A lease was settled, and tasks were pushed with that.
    Settled {
        lane: &'b str,
        position: u64,
        leases: u32,
        verdict: Verdict,
        follow_ups: Vec<Task<'b>>,
    },
    /// Tasks were cancelled or purged.
    Removed { lane: &'b str, positions: Vec<u64> },
    /// Dead letters were let wait again.
    Revived { lane: &'b str, at: Timestamp, note: &'b [u8], positions: Vec<u64> },
    /// Segments before this are needed no more.
    Oldest(u32),
}

impl Task<'_> {
    /// Where the payload of this task begins in `bytes`, behind which it is put.
    fn put(&self, bytes: &mut Vec<u8>) -> usize {
        bytes.put_short(self.lane.as_bytes());
        bytes.put_u64(self.position);
        bytes.put_short(self.id.as_bytes());
        bytes.put_u64(self.pushed_at.as_unix_millis());
        bytes.put_u64(self.visible_at.as_unix_millis());
        bytes.put_u32(self.leases);
        bytes.put_u8(u8::from(self.reason.is_some()));
        bytes.put_short(self.reason.unwrap_or_default().as_bytes());
        bytes.put_short(self.note);
        bytes.put_long(self.payload);
        bytes.len() - self.payload.len()
    }
}

impl Record<'_> {
    /// Appends the record; tells `payload` where the payloads of its tasks begin in `bytes`.
    pub(in super::super) fn put(&self, bytes: &mut Vec<u8>, mut payload: impl FnMut(usize)) {
        let at = bytes.len();
        bytes.put_u32(0);
        match self {
            Self::Pushed(task) => {
                bytes.put_u8(TASK);
                payload(task.put(bytes));
            }
            Self::Copied(task) => {
                bytes.put_u8(COPY);
                payload(task.put(bytes));
            }
            Self::Settled { lane, position, leases, verdict, follow_ups } => {
                bytes.put_u8(SETTLED);
                bytes.put_short(lane.as_bytes());
                bytes.put_u64(*position);
                bytes.put_u32(*leases);
                put_verdict(bytes, verdict);
                bytes.put_u32(follow_ups.len() as u32);
                follow_ups.iter().for_each(|task| payload(task.put(bytes)));
            }
            Self::Removed { lane, positions } => {
                bytes.put_u8(REMOVED);
                bytes.put_short(lane.as_bytes());
                put_positions(bytes, positions);
            }
            Self::Revived { lane, at, note, positions } => {
                bytes.put_u8(REVIVED);
                bytes.put_short(lane.as_bytes());
                bytes.put_u64(at.as_unix_millis());
                bytes.put_short(note);
                put_positions(bytes, positions);
            }
            Self::Oldest(segment) => {
                bytes.put_u8(OLDEST);
                bytes.put_u32(*segment);
            }
        }
        let len = (bytes.len() - at - 4) as u32;
        bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

fn put_verdict(bytes: &mut Vec<u8>, verdict: &Verdict) {
    match verdict {
        Verdict::Done => bytes.put_u8(DONE),
        Verdict::Retry { at, note } => {
            bytes.put_u8(RETRY);
            bytes.put_u64(at.as_unix_millis());
            bytes.put_short(note);
        }
        Verdict::Bury { reason, note } => {
            bytes.put_u8(BURY);
            bytes.put_short(reason.as_bytes());
            bytes.put_short(note);
        }
    }
}

fn put_positions(bytes: &mut Vec<u8>, positions: &[u64]) {
    bytes.put_u32(positions.len() as u32);
    positions.iter().for_each(|position| bytes.put_u64(*position));
}

impl<'b> Record<'b> {
    /// The next record of a frame.
    pub(in super::super) fn take(cursor: &mut Cursor<'b>) -> Result<Self, Malformed> {
        let len = cursor.u32()? as usize;
        let end = cursor.at() + len;
        let record = match cursor.u8()? {
            TASK => Self::Pushed(task(cursor)?),
            COPY => Self::Copied(task(cursor)?),
            SETTLED => Self::Settled {
                lane: cursor.text()?,
                position: cursor.u64()?,
                leases: cursor.u32()?,
                verdict: verdict(cursor)?,
                follow_ups: (0..cursor.u32()?).map(|_| task(cursor)).collect::<Result<_, _>>()?,
            },
            REMOVED => Self::Removed { lane: cursor.text()?, positions: positions(cursor)? },
            REVIVED => Self::Revived {
                lane: cursor.text()?,
                at: Timestamp::from_unix_millis(cursor.u64()?),
                note: cursor.short()?,
                positions: positions(cursor)?,
            },
            OLDEST => Self::Oldest(cursor.u32()?),
            _ => return Err("a record's kind is not known"),
        };
        if cursor.at() == end { Ok(record) } else { Err("a record's length does not fit") }
    }
}

fn task<'b>(cursor: &mut Cursor<'b>) -> Result<Task<'b>, Malformed> {
    Ok(Task {
        lane: cursor.text()?,
        position: cursor.u64()?,
        id: cursor.text()?,
        pushed_at: Timestamp::from_unix_millis(cursor.u64()?),
        visible_at: Timestamp::from_unix_millis(cursor.u64()?),
        leases: cursor.u32()?,
        reason: {
            let is_some = cursor.u8()? != 0;
            let reason = cursor.text()?;
            is_some.then_some(reason)
        },
        note: cursor.short()?,
        payload: cursor.long()?,
    })
}

fn verdict(cursor: &mut Cursor<'_>) -> Result<Verdict, Malformed> {
    let copy = bytes::Bytes::copy_from_slice;
    Ok(match cursor.u8()? {
        DONE => Verdict::Done,
        RETRY => Verdict::Retry {
            at: Timestamp::from_unix_millis(cursor.u64()?),
            note: copy(cursor.short()?),
        },
        BURY => Verdict::Bury { reason: cursor.text()?.to_owned(), note: copy(cursor.short()?) },
        _ => return Err("a verdict is not known"),
    })
}

fn positions(cursor: &mut Cursor<'_>) -> Result<Vec<u64>, Malformed> {
    let count = cursor.u32()?;
    (0..count).map(|_| cursor.u64()).collect()
}
