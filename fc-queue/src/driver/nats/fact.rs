//! What a message of the log says.

use bytes::{Bytes, BytesMut};
use fc_core::port::queue::{Lane, Place, Verdict};
use fc_core::{Error, Result, Timestamp};

use crate::core::book::Standing;

use super::code::{Reader, Writer};

/// The first byte of what this version writes. A change of the form has another.
const FORM: u8 = 1;

/// Facts that became true together, in the order in which they are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Batch {
    /// Who wrote it: tells its own messages from others'.
    pub(super) writer: u64,
    /// The writer's number for it.
    pub(super) number: u64,
    /// When it was decided, by the writer's clock.
    pub(super) at: Timestamp,
    /// What is true now.
    pub(super) facts: Vec<Fact>,
}

/// One change of one task. A payload follows in the message's body, in the order of the facts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fact {
    /// A new task, at the place of this fact in the log.
    Pushed { lane: Lane, id: String, note: Bytes, visible_at: Timestamp, payload_bytes: u32 },
    /// Somebody holds it; the message's sequence is the fence.
    Leased { lane: Lane, position: u64, until: Timestamp },
    /// Its holder holds it until then.
    Extended { lane: Lane, position: u64, until: Timestamp },
    /// It is nobody's any more.
    Ended { lane: Lane, position: u64, verdict: Verdict },
    /// A dead letter waits again.
    Revived { lane: Lane, position: u64, at: Timestamp, note: Bytes },
    /// A task as it is, so that the log before this message is not needed for it.
    Carried(Box<Carried>),
}

/// All that is known of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Carried {
    pub(super) lane: Lane,
    pub(super) position: u64,
    pub(super) id: String,
    pub(super) note: Bytes,
    pub(super) pushed_at: Timestamp,
    pub(super) visible_at: Timestamp,
    pub(super) leases: u32,
    pub(super) reason: Option<String>,
    pub(super) standing: Standing,
    pub(super) payload_bytes: u32,
}

mod tag {
    pub(super) const PUSHED: u8 = 1;
    pub(super) const LEASED: u8 = 2;
    pub(super) const EXTENDED: u8 = 3;
    pub(super) const DONE: u8 = 4;
    pub(super) const RETRIED: u8 = 5;
    pub(super) const BURIED: u8 = 6;
    pub(super) const REVIVED: u8 = 7;
    pub(super) const CARRIED: u8 = 8;
}

/// The form, the writer, the number and the time.
pub(super) const HEAD_BYTES: usize = 25;

/// Begins a batch, [`HEAD_BYTES`] long. Facts follow one by one.
pub(super) fn begin(writer: u64, number: u64, at: Timestamp) -> BytesMut {
    let mut out = Writer::default();
    out.byte(FORM);
    out.number(writer);
    out.number(number);
    out.time(at);
    out.0
}

impl Batch {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader(bytes);
        let form = input.byte()?;
        if form != FORM {
            let what = format!("a batch of form {form}; this version reads form {FORM}");
            return Err(Error::internal(what));
        }
        let (writer, number, at) = (input.number()?, input.number()?, input.time()?);
        let mut facts = Vec::new();
        while !input.0.is_empty() {
            facts.push(Fact::decode(&mut input)?);
        }
        Ok(Self { writer, number, at, facts })
    }
}

impl Fact {
    /// What it is about.
    pub(super) fn lane(&self) -> &Lane {
        match self {
            Self::Pushed { lane, .. }
            | Self::Leased { lane, .. }
            | Self::Extended { lane, .. }
            | Self::Ended { lane, .. }
            | Self::Revived { lane, .. } => lane,
            Self::Carried(task) => &task.lane,
        }
    }

    /// What it has in the message's body.
    pub(super) fn payload_bytes(&self) -> u64 {
        match self {
            Self::Pushed { payload_bytes, .. } => u64::from(*payload_bytes),
            Self::Carried(task) => u64::from(task.payload_bytes),
            _ => 0,
        }
    }

    pub(super) fn encode(&self, to: &mut BytesMut) {
        let mut out = Writer(std::mem::take(to));
        let mut head = |tag, lane: &Lane| {
            out.byte(tag);
            out.text(lane.as_str());
        };
        match self {
            Self::Pushed { lane, id, note, visible_at, payload_bytes } => {
                head(tag::PUSHED, lane);
                out.text(id);
                out.bytes(note);
                out.time(*visible_at);
                out.count(*payload_bytes);
            }
            Self::Leased { lane, position, until } => {
                head(tag::LEASED, lane);
                out.number(*position);
                out.time(*until);
            }
            Self::Extended { lane, position, until } => {
                head(tag::EXTENDED, lane);
                out.number(*position);
                out.time(*until);
            }
            Self::Ended { lane, position, verdict } => match verdict {
                Verdict::Done => {
                    head(tag::DONE, lane);
                    out.number(*position);
                }
                Verdict::Retry { at, note } => {
                    head(tag::RETRIED, lane);
                    out.number(*position);
                    out.time(*at);
                    out.bytes(note);
                }
                Verdict::Bury { reason, note } => {
                    head(tag::BURIED, lane);
                    out.number(*position);
                    out.bytes(reason.as_bytes());
                    out.bytes(note);
                }
            },
            Self::Revived { lane, position, at, note } => {
                head(tag::REVIVED, lane);
                out.number(*position);
                out.time(*at);
                out.bytes(note);
            }
            Self::Carried(task) => {
                head(tag::CARRIED, &task.lane);
                task.encode(&mut out);
            }
        }
        *to = out.0;
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self> {
        let tag = input.byte()?;
        let lane = Lane::new(input.text()?)?;
        if tag == tag::PUSHED {
            let (id, note) = (input.text()?.to_owned(), input.bytes()?);
            let (visible_at, payload_bytes) = (input.time()?, input.count()?);
            return Ok(Self::Pushed { lane, id, note, visible_at, payload_bytes });
        }
        let position = input.number()?;
        Ok(match tag {
            tag::LEASED => Self::Leased { lane, position, until: input.time()? },
            tag::EXTENDED => Self::Extended { lane, position, until: input.time()? },
            tag::DONE => Self::Ended { lane, position, verdict: Verdict::Done },
            tag::RETRIED => {
                let verdict = Verdict::Retry { at: input.time()?, note: input.bytes()? };
                Self::Ended { lane, position, verdict }
            }
            tag::BURIED => {
                let verdict = Verdict::Bury { reason: input.string()?, note: input.bytes()? };
                Self::Ended { lane, position, verdict }
            }
            tag::REVIVED => {
                Self::Revived { lane, position, at: input.time()?, note: input.bytes()? }
            }
            tag::CARRIED => Self::Carried(Box::new(Carried::decode(lane, position, input)?)),
            other => return Err(Error::internal(format!("a fact of kind {other} is not known"))),
        })
    }
}

impl Carried {
    fn encode(&self, out: &mut Writer) {
        out.number(self.position);
        out.text(&self.id);
        out.bytes(&self.note);
        out.time(self.pushed_at);
        out.time(self.visible_at);
        out.count(self.leases);
        out.byte(u8::from(self.reason.is_some()));
        out.bytes(self.reason.as_deref().unwrap_or_default().as_bytes());
        out.byte(match self.standing.place {
            Place::Waiting => 0,
            Place::Leased => 1,
            Place::Buried => 2,
        });
        out.number(self.standing.fence);
        out.time(self.standing.until);
        out.count(self.payload_bytes);
    }

    fn decode(lane: Lane, position: u64, input: &mut Reader<'_>) -> Result<Self> {
        let (id, note) = (input.text()?.to_owned(), input.bytes()?);
        let (pushed_at, visible_at) = (input.time()?, input.time()?);
        let (leases, has_reason) = (input.count()?, input.byte()? != 0);
        let reason = input.string()?;
        let place = match input.byte()? {
            0 => Place::Waiting,
            1 => Place::Leased,
            2 => Place::Buried,
            other => return Err(Error::internal(format!("place {other} is not known"))),
        };
        let standing = Standing { place, fence: input.number()?, until: input.time()? };
        let (reason, payload_bytes) = (has_reason.then_some(reason), input.count()?);
        let task = Self {
            lane,
            position,
            id,
            note,
            pushed_at,
            visible_at,
            leases,
            reason,
            standing,
            payload_bytes,
        };
        Ok(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Fact> {
        let lane = Lane::new("1234/resize").unwrap();
        let at = Timestamp::from_unix_millis(77);
        let ended = |verdict| Fact::Ended { lane: lane.clone(), position: 9, verdict };
        let carried = |place, reason: Option<&str>| {
            Fact::Carried(Box::new(Carried {
                lane: lane.clone(),
                position: 5 << 12,
                id: "f:1".into(),
                note: "note".into(),
                pushed_at: at,
                visible_at: at,
                leases: 3,
                reason: reason.map(str::to_owned),
                standing: Standing { place, fence: 8, until: at },
                payload_bytes: 4,
            }))
        };
        vec![
            Fact::Pushed {
                lane: lane.clone(),
                id: "a".repeat(300),
                note: Bytes::from(vec![0xff; 4096]),
                visible_at: at,
                payload_bytes: 1 << 20,
            },
            Fact::Leased { lane: lane.clone(), position: 1, until: at },
            Fact::Extended { lane: lane.clone(), position: u64::MAX, until: at },
            ended(Verdict::Done),
            ended(Verdict::Retry { at, note: Bytes::new() }),
            ended(Verdict::Bury { reason: "za\u{fc}n".into(), note: "n".into() }),
            Fact::Revived { lane: lane.clone(), position: 2, at, note: "n".into() },
            carried(Place::Waiting, None),
            carried(Place::Leased, None),
            carried(Place::Buried, Some("")),
        ]
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let at = Timestamp::from_unix_millis(1 << 40);
        let mut bytes = begin(7, 8, at);
        assert_eq!(bytes.len(), HEAD_BYTES);
        samples().iter().for_each(|fact| fact.encode(&mut bytes));
        let must = Batch { writer: 7, number: 8, at, facts: samples() };
        assert_eq!(Batch::decode(&bytes).unwrap(), must);
    }

    #[test]
    fn a_batch_that_was_cut_or_is_of_another_form_is_refused() {
        let mut bytes = begin(7, 8, Timestamp::default());
        let mut ends = vec![bytes.len()];
        for fact in samples() {
            fact.encode(&mut bytes);
            ends.push(bytes.len());
        }
        for end in 0..bytes.len() {
            assert_eq!(Batch::decode(&bytes[..end]).is_ok(), ends.contains(&end), "{end}");
        }
        bytes[0] = FORM + 1;
        assert!(Batch::decode(&bytes).is_err());
    }
}
