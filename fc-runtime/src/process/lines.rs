//! Lines of a program's output, however its bytes arrive.

/// Longest line that is kept whole, bytes (`alibaba-fc.md` 5.6).
const LINE_BYTES_MAX: usize = 32 * 1024;

/// One stream's bytes as lines.
#[derive(Default, Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The rest of the line is dropped: it is too long.
    cut: bool,
}

impl Lines {
    /// Hands every line that `bytes` end to `line`, without its newline, and says how many bytes of
    /// lines too long were dropped.
    pub(super) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) -> usize {
        let mut dropped = 0;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if ends && self.partial.is_empty() && text.len() <= LINE_BYTES_MAX {
                line(text);
                continue;
            }
            let room = LINE_BYTES_MAX - self.partial.len();
            let kept = if self.cut { 0 } else { text.len().min(room) };
            self.partial.extend_from_slice(&text[..kept]);
            dropped += text.len() - kept;
            self.cut |= kept < text.len();
            if ends {
                self.flush(&mut line);
            }
        }
        dropped
    }

    /// Ends a line that its newline has not ended yet.
    pub(super) fn flush(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
        }
        self.partial = Vec::new();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn run_9_a_line_too_long_is_cut_and_the_rest_counted() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut dropped = 0;
        for _ in 0..5 {
            dropped += lines.feed(&[b'x'; 10_000], |line| seen.push(line.len()));
        }
        dropped += lines.feed(b"\nshort\n", |line| seen.push(line.len()));
        assert_eq!(seen, [LINE_BYTES_MAX, 5]);
        assert_eq!(dropped, 50_000 - LINE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn run_9_lines_are_the_same_however_they_arrive(
            text in "[a-c\n]{0,60}", cuts in prop::collection::vec(1usize..9, 1..20),
        ) {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                lines.feed(now, |line| seen.push(String::from_utf8(line.to_vec()).unwrap()));
                rest = later;
            }
            lines.flush(|line| seen.push(String::from_utf8(line.to_vec()).unwrap()));
            let whole: Vec<&str> = text.split_terminator('\n').filter(|line| !line.is_empty()).collect();
            seen.retain(|line| !line.is_empty());
            prop_assert_eq!(seen, whole);
        }
    }
}
