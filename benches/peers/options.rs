//! What a benchmark is told on its command line.

use std::time::Duration;

/// What a benchmark is told: `--json`, `--test`, and words that choose sections by their names.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// One JSON object per row, no table.
    pub(crate) json: bool,
    /// Tiny counts: whether it works, not how fast it is. Also without cargo's `--bench`, which is
    /// how `cargo test --benches` runs it.
    pub(crate) test: bool,
    sections: Vec<String>,
}

impl Options {
    /// From the process's arguments.
    pub(crate) fn from_args() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let words = arguments.iter().filter(|argument| !argument.starts_with('-'));
        Self {
            json: has("--json"),
            test: has("--test") || !has("--bench"),
            sections: words.cloned().collect(),
        }
    }

    /// Whether the section `name` is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|word| name.contains(word.as_str()))
    }

    /// `full`, or `tiny` under `--test`.
    pub(crate) fn count<T>(&self, full: T, tiny: T) -> T {
        if self.test { tiny } else { full }
    }

    /// Turns of each contender: more short ones, since what else the machine does comes in seconds.
    pub(crate) fn rounds(&self) -> usize {
        self.count(9, 1)
    }

    /// Length of one turn.
    pub(crate) fn turn(&self) -> Duration {
        self.count(Duration::from_secs(1), Duration::from_millis(50))
    }

    /// Load before each turn that is not counted.
    pub(crate) fn warm_up(&self) -> Duration {
        self.count(Duration::from_millis(200), Duration::from_millis(20))
    }
}
