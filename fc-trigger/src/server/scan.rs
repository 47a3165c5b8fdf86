//! Where each request of an HTTP/1 connection ends.

use super::Violation;
use super::chunked::Chunks;
use super::head::{Framing, Head, HeadLimits};

/// What is to be done with bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// So many of them belong to the request and are in order; never 0. Behind them is the next
    /// request, or nothing.
    Pass(usize),
    /// They are the start of a head: give them again, with more behind.
    Wait,
    /// The head is refused, or the body behind so many bytes.
    Refuse(usize, Violation),
}

/// Follows the requests of one connection. It decides nothing but where they end, from the same
/// bytes that hyper reads, and refuses what another server could read differently (T4, I27).
#[derive(Debug)]
pub(super) struct Scanner {
    limits: HeadLimits,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Head(Head),
    Length(u64),
    Chunked(Chunks),
}

impl Scanner {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { limits, stage: Stage::Head(Head::default()) }
    }

    /// Whether the next byte is a request's first, or belongs to a head that was not passed yet.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.stage, Stage::Head(_))
    }

    /// Looks at the next bytes, at least one: those behind all that passed.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let passed = match &mut self.stage {
            Stage::Head(head) => match head.read(bytes, self.limits) {
                Ok(None) => return Step::Wait,
                Err(violation) => return Step::Refuse(0, violation),
                Ok(Some((length, framing))) => {
                    self.stage = match framing {
                        Framing::Length(0) => Stage::Head(Head::default()),
                        Framing::Length(length) => Stage::Length(length),
                        Framing::Chunked => Stage::Chunked(Chunks::new()),
                    };
                    length
                }
            },
            Stage::Length(_) | Stage::Chunked(_) => 0,
        };
        let body = &bytes[passed..];
        match &mut self.stage {
            Stage::Head(_) => Step::Pass(passed),
            Stage::Length(left) => {
                let here = (*left).min(body.len() as u64);
                *left -= here;
                if *left == 0 {
                    self.stage = Stage::Head(Head::default());
                }
                Step::Pass(passed + here as usize)
            }
            Stage::Chunked(chunks) => match chunks.read(body) {
                Ok((here, is_over)) => {
                    if is_over {
                        self.stage = Stage::Head(Head::default());
                    }
                    Step::Pass(passed + here)
                }
                Err((here, violation)) => Step::Refuse(passed + here, violation),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: HeadLimits = HeadLimits { target: 300, head: 2000 };

    /// Where each request ends, as `Strict` uses the scanner on bytes that come in `parts`; and the
    /// refusal, if there was one.
    fn ends(parts: &[&[u8]]) -> (Vec<usize>, Option<Violation>) {
        let mut scanner = Scanner::new(LIMITS);
        let (mut held, mut passed, mut ends) = (Vec::new(), 0, Vec::new());
        for part in parts {
            held.extend_from_slice(part);
            while !held.is_empty() {
                match scanner.step(&held) {
                    Step::Pass(here) => {
                        assert!(here > 0 && here <= held.len());
                        held.drain(..here);
                        passed += here;
                        if scanner.is_between() {
                            ends.push(passed);
                        }
                    }
                    Step::Wait => {
                        assert!(held.len() <= LIMITS.head, "a head is held without bound");
                        break;
                    }
                    Step::Refuse(here, violation) => {
                        assert!(here <= held.len());
                        return (ends, Some(violation));
                    }
                }
            }
        }
        (ends, None)
    }

    /// Another reading of the same bytes, as plain as can be: where the first request ends.
    fn naive_end(bytes: &[u8]) -> Option<usize> {
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let find = |from: usize, what: &[u8]| {
            let found = bytes[from..].windows(what.len()).position(|window| window == what)?;
            Some(from + found + what.len())
        };
        let mut at = find(start, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[start..at]).to_lowercase();
        let value = |name: &str| {
            head.split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| field.trim() == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        if value("transfer-encoding").is_none() {
            let length: usize =
                value("content-length").map_or(Some(0), |text| text.parse().ok())?;
            return Some(at + length).filter(|end| *end <= bytes.len());
        }
        loop {
            let line_end = find(at, b"\r\n")?;
            let line = std::str::from_utf8(&bytes[at..line_end - 2]).ok()?;
            let size = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
            at = line_end;
            if size == 0 {
                break;
            }
            at = at.checked_add(size + 2).filter(|at| *at <= bytes.len())?;
        }
        while !bytes[at..].starts_with(b"\r\n") {
            at = find(at, b"\r\n")?;
        }
        Some(at + 2)
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let method = prop_oneof!["GET", "POST", "[A-Z]{1,10}"];
        let target = "/[a-zA-Z0-9%./?&=;_-]{0,40}";
        let fields = prop::collection::vec(("[a-wyz][a-z0-9_-]{0,12}[xyz]", "[ -~]{0,20}"), 0..6);
        let plain = prop::collection::vec(any::<u8>(), 0..80).prop_map(|body| {
            let mut bytes = format!("Content-Length:  {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend(body);
            bytes
        });
        let chunk = (prop::collection::vec(any::<u8>(), 1..40), "(;[a-z]{1,4}(=[a-z0-9]{1,5})?)?");
        let trailers = prop::collection::vec("[a-z]{1,5}: [a-z ]{0,5}\r\n", 0..3);
        let chunked =
            (prop::collection::vec(chunk, 0..4), trailers).prop_map(|(chunks, trailers)| {
                let mut bytes = b"transfer-encoding: Chunked\r\n\r\n".to_vec();
                for (data, extension) in chunks {
                    bytes.extend(format!("{:X}{extension}\r\n", data.len()).bytes());
                    bytes.extend(data);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(format!("0\r\n{}\r\n", trailers.concat()).bytes());
                bytes
            });
        let rest = prop_oneof![Just(b"\r\n".to_vec()), plain, chunked];
        (method, target, fields, rest, any::<bool>()).prop_map(
            |(method, target, fields, rest, blank)| {
                let blank = if blank { "\r\n" } else { "" };
                let mut head = format!("{blank}{method} {target} HTTP/1.1\r\nHost: a\r\n");
                for (name, value) in fields {
                    head += &format!("{name}: {value}\r\n");
                }
                let mut bytes = head.into_bytes();
                bytes.extend(rest);
                bytes
            },
        )
    }

    fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
        prop::collection::vec(any::<prop::sample::Index>(), 0..12)
    }

    proptest! {
        /// I27: valid requests end where they were written to end, however the bytes are cut.
        #[test]
        fn i27_boundaries_of_valid_requests(
            requests in prop::collection::vec(request(), 1..6),
            cuts in cuts(),
        ) {
            let bytes = requests.concat();
            let mut end = 0;
            let expected: Vec<usize> = requests
                .iter()
                .map(|request| {
                    end += request.len();
                    end
                })
                .collect();
            prop_assert_eq!(ends(&cut(&bytes, &cuts)), (expected.clone(), None));
            let singles: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(ends(&singles), (expected, None));
            prop_assert_eq!(naive_end(&bytes), Some(requests[0].len()));
        }

        /// I27: what passes in spite of a damage ends where a plain reading ends it, and cutting the
        /// bytes changes nothing.
        #[test]
        fn i27_damaged_requests_pass_only_unambiguously(
            requests in prop::collection::vec(request(), 1..4),
            damage in prop::collection::vec(
                (any::<prop::sample::Index>(), prop_oneof![
                    any::<u8>(),
                    prop::sample::select(&b"\r\n \t:;,0\0\x0b+-xa"[..]),
                ], 0u8..3),
                1..4,
            ),
            cuts in cuts(),
        ) {
            let mut bytes = requests.concat();
            for (at, byte, how) in damage {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
                prop_assume!(!bytes.is_empty());
            }
            let whole = ends(&[&bytes]);
            prop_assert_eq!(&ends(&cut(&bytes, &cuts)), &whole);
            let mut start = 0;
            for end in whole.0 {
                let naive = naive_end(&bytes[start..]).map(|length| start + length);
                prop_assert_eq!(naive, Some(end));
                start = end;
            }
        }

        /// Any bytes: no panic, no endless loop, no unbounded hold.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000), cuts in cuts()) {
            ends(&cut(&bytes, &cuts));
        }

        /// The same with what looks like HTTP.
        #[test]
        fn any_tokens(tokens in prop::collection::vec(prop::sample::select(&[
            "GET / HTTP/1.1", "\r\n", "\n", "\r", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked", "0", "3",
            "abc", ":", " ", "HTTP/1.0", "\0", "Content-Length: 18446744073709551616", "fffffffffffffff", ";",
        ][..]), 0..60), cuts in cuts()) {
            let bytes = tokens.concat().into_bytes();
            ends(&cut(&bytes, &cuts));
        }
    }
}
