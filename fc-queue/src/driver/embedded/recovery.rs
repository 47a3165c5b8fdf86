//! Reads the log when a queue is opened.
//!
//! Whatever cannot be read is an error that names the file and the offset, with one exception: the
//! last frame of the last segment, if it lies behind what is known to be durable and nothing follows
//! it. It was being written when the process or the machine stopped, and nobody was told of it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fc_core::port::queue::{Lane, NewTask, Pushed};
use fc_core::{Error, ErrorKind, Result, Timestamp};

use super::fs::{File, Fs};
use super::log::bytes::Cursor;
use super::log::frame::ALIGN;
use super::log::header::{self, Header};
use super::log::record::{Record, Task};
use super::log::watermark::Watermark;
use super::log::{HEADER_BYTES, crc, leases};
use super::marks;
use super::scan::{self, Next, Scan};
use super::state::{Location, Put, Segment, State};

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Recovered {
    pub state: State,
    pub marks: Arc<dyn File>,
    /// Which of the marks is to be written next.
    pub turn: u64,
    /// The last segment's number; 0: there is none.
    pub number: u32,
    /// Where it ends.
    pub offset: u32,
    /// The next frame's sequence.
    pub sequence: u64,
    pub oldest: u32,
    /// Larger than any before.
    pub epoch: u32,
    /// The last position that was used.
    pub position: u64,
    /// The last time that was seen.
    pub time: Timestamp,
    /// The last file of leases: beside which segment, and where it ends.
    pub leases: (u32, u64),
}

/// A segment whose header was read.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    file: Arc<dyn File>,
    header: Header,
}

struct Recovery<'r> {
    fs: &'r dyn Fs,
    dir: &'r Path,
    state: State,
    lanes: HashMap<String, Lane>,
    sequence: u64,
    oldest: u32,
    position: u64,
    time: u64,
    leases: (u32, u64),
}

/// Reads what is in `dir`, which exists and is locked. Nothing is changed but for files that are
/// needed no more.
///
/// # Errors
///
/// `InternalServerError` that names the file, and for corruption the offset in it.
pub(super) fn recover(fs: &dyn Fs, dir: &Path, cache_bytes_max: u64) -> Result<Recovered> {
    let names = fs.list(dir).map_err(|e| failed("list", dir, &e))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|n| header::number(n, ".log")).collect();
    numbers.sort_unstable();
    let is_there = names.iter().any(|name| name == marks::NAME);
    let (marks, found) = marks::open(fs, dir, is_there, numbers.is_empty())?;
    let mark = found.watermark;
    let opened = open_all(fs, dir, &numbers)?;
    let first = opened.first().map(|segment| segment.header);
    let last = opened.last().map(|segment| segment.header);
    if last.map_or(0, |last| last.number) < mark.segment {
        let path = dir.join(header::name(mark.segment));
        return Err(corrupt(
            &path,
            u64::from(mark.end),
            "the file is missing, and was synced to there",
        ));
    }
    let epoch = last.map_or(1, |last| last.epoch + 1);
    let mut recovery = Recovery {
        fs,
        dir,
        state: State::new(0, u64::from(epoch) << 40, cache_bytes_max),
        lanes: HashMap::new(),
        sequence: first.map_or(1, |first| first.sequence),
        oldest: last.map_or(1, |last| last.oldest),
        position: 0,
        time: mark.time,
        leases: (0, 0),
    };
    let mut offset = 0;
    for (index, segment) in opened.iter().enumerate() {
        let end = opened.get(index + 1).map(|next| next.header.previous_end);
        offset = recovery.read(segment, end, mark)?;
    }
    recovery.leases(&names)?;
    recovery.finish(&opened, marks, offset, epoch).map(|it| Recovered { turn: found.turn, ..it })
}

/// Opens all segments, and judges their headers, alone and beside each other.
fn open_all(fs: &dyn Fs, dir: &Path, numbers: &[u32]) -> Result<Vec<Opened>> {
    let mut opened: Vec<Opened> = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = dir.join(header::name(*number));
        let file = fs.open(&path).map_err(|e| failed("open", &path, &e))?;
        let mut bytes = vec![0; HEADER_BYTES as usize];
        let read = file.read_full_at(&mut bytes, 0).map_err(|e| failed("read", &path, &e))?;
        let header = Header::decode(&bytes[..read]).map_err(|what| corrupt(&path, 0, what))?;
        if header.number != *number {
            return Err(corrupt(&path, 0, "the segment has another's name"));
        }
        if let Some(previous) = opened.last() {
            if previous.header.number + 1 != *number {
                let missing = dir.join(header::name(previous.header.number + 1));
                return Err(corrupt(&missing, 0, "the file is missing"));
            }
            if previous.header.epoch > header.epoch || header.previous_end < HEADER_BYTES {
                return Err(corrupt(&path, 0, "the segment does not follow the one before it"));
            }
        }
        opened.push(Opened { path, file, header });
    }
    Ok(opened)
}

impl Recovery<'_> {
    /// Reads a segment that ends at `end`, or, the last one, wherever it does. Gives that.
    fn read(&mut self, segment: &Opened, end: Option<u32>, mark: Watermark) -> Result<u32> {
        let Opened { path, file, header } = segment;
        let read_failed = |e: io::Error| failed("read", path, &e);
        if header.sequence != self.sequence {
            let what = "the segment does not go on where the one before it ends";
            return Err(corrupt(path, 0, what));
        }
        self.position = self.position.max(header.position);
        self.time = self.time.max(header.time);
        let entry = Segment { file: file.clone(), salt: header.salt, end: HEADER_BYTES, tasks: 0 };
        self.state.segments.insert(header.number, entry);
        let len = file.len().map_err(read_failed)?;
        let mut scan =
            Scan::new(file.clone(), header.salt, HEADER_BYTES, end.map_or(len, u64::from));
        loop {
            let at = scan.offset;
            match scan.next().map_err(read_failed)? {
                Next::Frame(frame, ..) if frame.sequence != self.sequence => {
                    return Err(corrupt(path, u64::from(at), "a frame is missing before this one"));
                }
                Next::Frame(frame, begin, records) => {
                    let number = header.number;
                    self.frame(number, begin, frame.records, records)
                        .map_err(|what| corrupt(path, u64::from(begin), what))?;
                    self.sequence += 1;
                    self.time = self.time.max(frame.time);
                }
                Next::End => break,
                Next::Bad(what) if end.is_some() => return Err(corrupt(path, u64::from(at), what)),
                Next::Bad(what) => {
                    if mark.segment == header.number && at < mark.end {
                        return Err(corrupt(path, u64::from(at), what));
                    }
                    let sequence = self.sequence;
                    if scan.is_followed(sequence).map_err(read_failed)?.is_some() {
                        return Err(corrupt(path, u64::from(at), what));
                    }
                    break;
                }
            }
        }
        let offset = scan.offset;
        if mark.segment == header.number && offset < mark.end {
            return Err(corrupt(
                path,
                u64::from(offset),
                "the file is cut off, and was synced further",
            ));
        }
        if end.is_none() {
            let from = if mark.segment == header.number { mark.end } else { HEADER_BYTES };
            settle(&**file, from, offset).map_err(|e| failed("sync", path, &e))?;
        }
        if let Some(entry) = self.state.segments.get_mut(&header.number) {
            entry.end = offset;
        }
        Ok(offset)
    }

    fn frame(
        &mut self,
        segment: u32,
        begin: u32,
        count: u32,
        records: &[u8],
    ) -> Result<(), &'static str> {
        let mut cursor = Cursor::new(records);
        for _ in 0..count {
            let record = Record::take(&mut cursor)?;
            let place = |task: &Task<'_>| Location {
                segment,
                offset: scan::place(begin, records, task.payload),
                len: task.payload.len() as u32,
                crc: crc(0, &[task.payload]),
            };
            match record {
                Record::Pushed(task) => self.put(&task, place(&task))?,
                Record::Copied(task) => {
                    let lane = self.lane(task.lane)?;
                    // If the segment that it was copied from is still there.
                    self.state.remove(&lane, task.position);
                    self.put(&task, place(&task))?;
                }
                Record::Settled { lane, position, leases, verdict, follow_ups } => {
                    let lane = self.lane(lane)?;
                    follow_ups.iter().try_for_each(|task| self.put(task, place(task)))?;
                    self.state.book.count_leases(lane.as_str(), position, leases);
                    self.state.conclude(&lane, position, verdict);
                }
                Record::Removed { lane, positions } => {
                    let lane = self.lane(lane)?;
                    positions.iter().for_each(|position| self.state.remove(&lane, *position));
                }
                Record::Revived { lane, at, note, positions } => {
                    let (lane, note) = (self.lane(lane)?, Bytes::copy_from_slice(note));
                    for position in positions {
                        self.state.revive(&lane, position, at, note.clone());
                    }
                }
                Record::Oldest(oldest) => self.oldest = self.oldest.max(oldest),
            }
        }
        if records.len() - cursor.at() < ALIGN { Ok(()) } else { Err("a record is not counted") }
    }

    fn put(&mut self, task: &Task<'_>, location: Location) -> Result<(), &'static str> {
        let lane = self.lane(task.lane)?;
        self.position = self.position.max(task.position);
        let new = NewTask {
            id: task.id.to_owned(),
            payload: Bytes::new(),
            note: Bytes::copy_from_slice(task.note),
            visible_at: task.visible_at,
        };
        let (position, pushed_at) = (task.position, task.pushed_at);
        let put = Put { lane: lane.clone(), position, pushed_at, task: new, location };
        if self.state.put(put) == Pushed::Known {
            return Err("a task was pushed that is there already");
        }
        if task.leases > 0 {
            self.state.book.count_leases(lane.as_str(), position, task.leases);
        }
        if let Some(reason) = task.reason {
            let (reason, note) = (reason.to_owned(), Bytes::copy_from_slice(task.note));
            let verdict = fc_core::port::queue::Verdict::Bury { reason, note };
            self.state.conclude(&lane, position, verdict);
        }
        Ok(())
    }

    fn lane(&mut self, name: &str) -> Result<Lane, &'static str> {
        if let Some(lane) = self.lanes.get(name) {
            return Ok(lane.clone());
        }
        let lane = Lane::new(name).map_err(|_| "a lane's name is none")?;
        // Names are short; as many as there are lanes, and no more than these.
        if self.lanes.len() >= 65_536 {
            self.lanes.clear();
        }
        self.lanes.insert(name.to_owned(), lane.clone());
        Ok(lane)
    }

    /// How often tasks were leased, as far as that is known.
    fn leases(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            let Some(number) = header::number(name, ".leases") else {
                continue;
            };
            let path = self.dir.join(name);
            let file = self.fs.open(&path).map_err(|e| failed("open", &path, &e))?;
            let len = file.len().map_err(|e| failed("read", &path, &e))?;
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
            let read = file.read_full_at(&mut bytes, 0).map_err(|e| failed("read", &path, &e))?;
            let book = &mut self.state.book;
            let each = |lane: &str, position, count| book.count_leases(lane, position, count);
            let bad = leases::decode(&bytes[..read], each);
            if let Some(at) = bad {
                let path = path.display();
                tracing::warn!(%path, at, "some counts of leases cannot be read: they may be too low");
            }
            self.leases = self.leases.max((number, bad.unwrap_or(read) as u64));
        }
        Ok(())
    }

    /// Removes what is needed no more, and gives where the log goes on.
    fn finish(
        mut self,
        opened: &[Opened],
        marks: Arc<dyn File>,
        mut offset: u32,
        epoch: u32,
    ) -> Result<Recovered> {
        let first = opened.first().map_or(1, |segment| segment.header.number);
        let mut number = opened.last().map_or(0, |segment| segment.header.number);
        if first > self.oldest {
            let path = self.dir.join(header::name(self.oldest));
            return Err(corrupt(&path, 0, "the file is missing"));
        }
        for old in first..self.oldest {
            remove(self.fs, self.dir, old).map_err(|e| failed("clean", self.dir, &e))?;
            self.state.segments.remove(&old);
        }
        // A last segment without a frame is replaced.
        if let Some(last) = opened.last()
            && offset == HEADER_BYTES
        {
            self.state.segments.remove(&number);
            number -= 1;
            offset = last.header.previous_end;
        }
        let Self { mut state, sequence, oldest, position, time, leases, .. } = self;
        state.book.begin_above(position);
        Ok(Recovered {
            state,
            marks,
            turn: 0,
            number,
            offset,
            sequence,
            oldest,
            epoch,
            position,
            time: Timestamp::from_unix_millis(time),
            leases,
        })
    }
}

/// Writes again what was found behind the mark, and syncs it: what a file shows is not always on the
/// disk, if a sync failed before.
fn settle(file: &dyn File, from: u32, to: u32) -> io::Result<()> {
    let mut at = from.min(to);
    while at < to {
        let mut bytes = vec![0; (to - at).min(1 << 20) as usize];
        file.read_exact_at(&mut bytes, u64::from(at))?;
        file.write_all_at(&bytes, u64::from(at))?;
        at += bytes.len() as u32;
    }
    file.sync_data()
}

/// Removes a segment and the leases beside it, durably.
pub(super) fn remove(fs: &dyn Fs, dir: &Path, number: u32) -> io::Result<()> {
    for name in [header::leases_name(number), header::name(number)] {
        match fs.remove(&dir.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    fs.sync_dir(dir)
}

pub(super) fn failed(what: &str, path: &Path, e: &io::Error) -> Error {
    let full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let kind = if full { ErrorKind::ResourceThrottled } else { ErrorKind::InternalServerError };
    Error::new(kind, format!("could not {what} '{}': {e}", path.display()))
}

pub(super) fn corrupt(path: &Path, offset: u64, what: &str) -> Error {
    let path = path.display();
    Error::internal(format!("the queue's file '{path}' is corrupt at offset {offset}: {what}"))
}
