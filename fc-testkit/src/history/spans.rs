//! Stretches of time, and whether one of them touches another.

/// Stretches of time: answers in O(log n).
#[derive(Default, Debug)]
pub(super) struct Spans {
    /// Begin, and the latest end of this one and all that began before it.
    sorted: Vec<(u64, u64)>,
}

impl Spans {
    pub(super) fn new(mut spans: Vec<(u64, u64)>) -> Self {
        spans.sort_unstable();
        let mut latest = 0;
        for (_, end) in &mut spans {
            latest = latest.max(*end);
            *end = latest;
        }
        Self { sorted: spans }
    }

    /// Whether one of them has an instant in `from..until`.
    pub(super) fn touch(&self, from: u64, until: u64) -> bool {
        let began = self.sorted.partition_point(|(begin, _)| *begin < until);
        began > 0 && self.sorted[began - 1].1 > from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_touches_what_it_overlaps() {
        let spans = Spans::new(vec![(10, 20), (0, 100), (200, 300)]);
        for (from, until, must) in [
            (50, 60, true),
            (100, 200, false),
            (99, 101, true),
            (299, 400, true),
            (300, 400, false),
        ] {
            assert_eq!(spans.touch(from, until), must, "{from} {until}");
        }
        assert!(!Spans::default().touch(0, 9));
    }
}
