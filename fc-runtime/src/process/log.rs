//! An instance's output: a bounded ring of lines, cut per request.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use fc_core::RequestId;

/// Requests whose part of the log is known.
const SPANS_MAX: usize = 1_024;

const START: &str = " Start RequestId: ";
const END: &str = " End RequestId: ";

/// Room for the longest marker, bytes: 13 + 18 + 32 + 38 + 1.
const MARKER_BYTES_MAX: usize = 112;

/// Which call a marker belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Invoke,
    Initialize,
    PreStop,
}

impl Call {
    fn prefix(self) -> &'static str {
        match self {
            Self::Invoke => "FC Invoke",
            Self::Initialize => "FC Initialize",
            Self::PreStop => "FC PreStop",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// With an answer.
    Done,
    /// With an error: the function's own, a crash, a time-out.
    Failed,
    /// Its caller left before the end.
    Cancelled,
}

impl Ended {
    /// What its end marker says behind the id (`alibaba-fc.md` 2.5, 5.6).
    fn suffix(self) -> &'static str {
        match self {
            Self::Done => "",
            Self::Failed => ", Error: Unhandled function error",
            Self::Cancelled => ", Error: Invocation canceled by client",
        }
    }
}

/// The last lines of an instance's output, markers among them.
#[derive(Debug)]
pub(super) struct Log {
    ring: VecDeque<u8>,
    bytes_max: usize,
    /// Bytes written ever: the position behind the ring's last byte.
    end: u64,
    lost: u64,
    spans: VecDeque<Span>,
}

/// Where a request's part of the log lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    id: RequestId,
    from: u64,
    to: Option<u64>,
}

impl Log {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { ring: VecDeque::new(), bytes_max, end: 0, lost: 0, spans: VecDeque::new() }
    }

    /// Marks the begin of a call.
    pub(super) fn begin(&mut self, call: Call, id: RequestId) {
        if self.spans.len() >= SPANS_MAX {
            let over = self.spans.iter().position(|span| span.to.is_some());
            self.spans.remove(over.unwrap_or(0));
        }
        self.spans.push_back(Span { id, from: self.end, to: None });
        self.marker(call, START, id, "");
    }

    /// Marks the end of a call.
    pub(super) fn finish(&mut self, call: Call, id: RequestId, ended: Ended) {
        self.marker(call, END, id, ended.suffix());
        let end = self.end;
        if let Some(span) = self.span_mut(id) {
            span.to = Some(end);
        }
    }

    /// Adds what the program printed, unless it is a marker that the platform writes itself.
    pub(super) fn line(&mut self, line: &[u8]) {
        if !self.is_own_marker(line) {
            self.push(line);
            self.push(b"\n");
        }
    }

    /// Counts bytes that were not kept.
    pub(super) fn lose(&mut self, bytes: usize) {
        self.lost += bytes as u64;
    }

    /// Bytes that are no longer there, or never were.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The last `max` bytes of a request's part; `None` if it is not known (any more).
    ///
    /// Of requests that ran meanwhile it has not the lines that name them, markers included. A line
    /// that names nobody may be anybody's, and is in each of their parts (`alibaba-fc.md` 5.6).
    pub(super) fn tail(&self, id: RequestId, max: usize) -> Option<Bytes> {
        let span = self.spans.iter().rev().find(|span| span.id == id)?;
        let (from, to) = (span.from, span.to.unwrap_or(self.end));
        let ran_meanwhile = |other: &&Span| {
            other.id != id && other.from < to && other.to.is_none_or(|other| other > from)
        };
        let others: HashSet<RequestId> =
            self.spans.iter().filter(ran_meanwhile).map(|other| other.id).collect();
        if others.is_empty() {
            return Some(self.between(from, to, max));
        }
        let all = self.between(from, to, usize::MAX);
        let own = all.split_inclusive(|&byte| byte == b'\n').filter(|line| !names(line, &others));
        let own: Vec<u8> = own.flatten().copied().collect();
        let surplus = own.len().saturating_sub(max);
        Some(Bytes::from(own).slice(surplus..))
    }

    /// The last `max` bytes.
    pub(super) fn last(&self, max: usize) -> Bytes {
        self.between(0, self.end, max)
    }

    fn between(&self, from: u64, to: u64, max: usize) -> Bytes {
        let oldest = self.end - self.ring.len() as u64;
        let from = from.max(oldest).max(to.saturating_sub(max as u64)).min(to.max(oldest));
        let to = to.max(oldest);
        // Both lie within the ring, whose length is a usize.
        let range = (from - oldest) as usize..(to - oldest) as usize;
        self.ring.range(range).copied().collect::<Vec<u8>>().into()
    }

    fn span_mut(&mut self, id: RequestId) -> Option<&mut Span> {
        self.spans.iter_mut().rev().find(|span| span.id == id)
    }

    fn marker(&mut self, call: Call, what: &str, id: RequestId, suffix: &str) {
        let mut text = [0; MARKER_BYTES_MAX];
        let mut length = 0;
        let id = id.encode();
        for part in [call.prefix().as_bytes(), what.as_bytes(), &id, suffix.as_bytes(), b"\n"] {
            text[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        self.push(&text[..length]);
    }

    /// Whether `line` is a marker of a request whose marker the platform has written or will write.
    fn is_own_marker(&self, line: &[u8]) -> bool {
        if !line.starts_with(b"FC ") {
            return false;
        }
        let id = [Call::Invoke, Call::Initialize, Call::PreStop]
            .into_iter()
            .find_map(|call| line.strip_prefix(call.prefix().as_bytes()))
            .and_then(|rest| {
                rest.strip_prefix(START.as_bytes()).or_else(|| rest.strip_prefix(END.as_bytes()))
            })
            .and_then(|rest| rest.get(..RequestId::TEXT_BYTES));
        id.is_some_and(|id| self.spans.iter().rev().any(|span| span.id.encode() == id))
    }

    fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        let over = (self.ring.len() + kept.len()).saturating_sub(self.bytes_max);
        self.lost += (over + bytes.len() - kept.len()) as u64;
        self.ring.drain(..over);
        self.ring.extend(kept);
    }
}

/// Whether `line` has the id of one of `others` in it.
fn names(line: &[u8], others: &HashSet<RequestId>) -> bool {
    line.windows(RequestId::TEXT_BYTES).any(|text| {
        let text = text.starts_with(b"1-").then(|| str::from_utf8(text).ok()).flatten();
        text.and_then(|text| text.parse().ok()).is_some_and(|id| others.contains(&id))
    })
}

#[cfg(test)]
mod tests {
    use fc_core::{RequestIds, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn ids() -> (RequestId, RequestId) {
        let ids = RequestIds::with_prefix(1);
        (ids.next(Timestamp::default()), ids.next(Timestamp::default()))
    }

    fn text(bytes: Option<Bytes>) -> String {
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn run_9_a_tail_is_the_requests_own_part_between_its_markers() {
        let (a, b) = ids();
        let mut log = Log::new(10_000);
        log.line(b"before");
        log.begin(Call::Invoke, a);
        log.line(b"one");
        log.finish(Call::Invoke, a, Ended::Done);
        log.line(b"between");
        log.begin(Call::Invoke, b);
        log.line(b"two");
        log.finish(Call::Invoke, b, Ended::Failed);
        let marks = |id: RequestId, line: &str, error: &str| {
            format!(
                "FC Invoke Start RequestId: {id}\n{line}\nFC Invoke End RequestId: {id}{error}\n"
            )
        };
        assert_eq!(text(log.tail(a, 4096)), marks(a, "one", ""));
        let failed = ", Error: Unhandled function error";
        assert_eq!(text(log.tail(b, 4096)), marks(b, "two", failed));
        assert_eq!(text(log.tail(a, 5)), format!("{}\n", &a.to_string()[28..]));
        assert_eq!(log.tail(RequestId::NIL, 10), None);
    }

    #[test]
    fn run_9_a_program_that_prints_the_markers_itself_has_them_once() {
        let (a, _) = ids();
        let mut log = Log::new(10_000);
        log.begin(Call::Invoke, a);
        log.line(format!("FC Invoke Start RequestId: {a}").as_bytes());
        log.line(b"FC Invoke Start RequestId: somebody else's");
        log.finish(Call::Invoke, a, Ended::Done);
        log.line(format!("FC Invoke End RequestId: {a}").as_bytes());
        let all = text(Some(log.last(10_000)));
        assert_eq!(all.matches(&a.to_string()).count(), 2);
        assert!(all.contains("somebody else's"));
    }

    #[test]
    fn run_9_a_tail_has_no_line_that_names_a_request_of_the_same_time() {
        let ids = RequestIds::with_prefix(1);
        let [before, a, b, c] = std::array::from_fn(|_| ids.next(Timestamp::default()));
        let mut log = Log::new(10_000);
        log.begin(Call::Invoke, before);
        log.finish(Call::Invoke, before, Ended::Done);
        log.begin(Call::Invoke, a);
        log.begin(Call::Invoke, b);
        for line in [
            format!("2026-01-01T00:00:00.000 {a} [INFO] of a"),
            format!("2026-01-01T00:00:00.000 {b} [INFO] of b"),
            format!("{a}, after {before}"),
            "of nobody".to_owned(),
        ] {
            log.line(line.as_bytes());
        }
        log.finish(Call::Invoke, a, Ended::Done);
        log.begin(Call::Invoke, c);
        log.line(b"of b or c");
        log.finish(Call::Invoke, b, Ended::Done);
        let tail = text(log.tail(a, 4096));
        let expected = [
            format!("FC Invoke Start RequestId: {a}"),
            format!("2026-01-01T00:00:00.000 {a} [INFO] of a"),
            format!("{a}, after {before}"),
            "of nobody".to_owned(),
            format!("FC Invoke End RequestId: {a}"),
        ];
        assert_eq!(tail.lines().collect::<Vec<_>>(), expected);
        assert_eq!(text(log.tail(a, 5)), format!("{}\n", &a.to_string()[28..]));
        let tail = text(log.tail(b, 4096));
        assert!(tail.contains("of b\nof nobody\nof b or c\n"), "{tail}");
        for other in [before, a, c] {
            assert!(!tail.contains(&other.to_string()), "{tail}");
        }
    }

    #[test]
    fn run_9_every_marker_has_room() {
        let (a, _) = ids();
        let mut log = Log::new(10_000);
        for call in [Call::Invoke, Call::Initialize, Call::PreStop] {
            for ended in [Ended::Done, Ended::Failed, Ended::Cancelled] {
                log.begin(call, a);
                log.finish(call, a, ended);
                let whole = text(log.tail(a, 4096));
                assert!(whole.ends_with(&format!("{a}{}\n", ended.suffix())), "{whole}");
            }
        }
    }

    proptest! {
        #[test]
        fn run_9_the_ring_is_bounded_and_counts_what_it_lost(
            bytes_max in 0usize..100,
            lines in prop::collection::vec(prop::collection::vec(b'a'..=b'z', 0..50), 0..30),
        ) {
            let (a, _) = ids();
            let mut log = Log::new(bytes_max);
            log.begin(Call::Invoke, a);
            let mut all = log.end;
            for line in &lines {
                log.line(line);
                all += line.len() as u64 + 1;
                prop_assert!(log.ring.len() <= bytes_max);
                prop_assert_eq!(log.lost() + log.ring.len() as u64, all);
                prop_assert!(log.tail(a, 20).unwrap().len() <= 20);
            }
        }
    }
}
