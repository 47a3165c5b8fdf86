//! Many tasks that wait: the memory they need, and how long a restart takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fc::core::Queue;

use super::{fill, lane, open, runtime};
use crate::peers::cpu::resident_bytes;
use crate::peers::options::Options;
use crate::peers::role;
use crate::peers::table::{self, Budget, Row};

pub(crate) const ROLE: &str = "million";

const DIR: &str = "BENCH_DIR";
const COUNT: &str = "BENCH_COUNT";

/// Resident memory of all, MB.
const MEMORY: Budget = Budget::AtMost { goal: 512.0, least: 512.0 };
/// Seconds.
const RESTART: Budget = Budget::AtMost { goal: 5.0, least: 5.0 };

pub(crate) fn compare(options: &Options) {
    let (some, all): (u64, u64) = options.count((100_000, 1_000_000), (100, 1_000));
    let mut rows = Vec::new();
    for count in [some, all] {
        let dir = tempfile::tempdir().expect("a directory");
        // Each in a process of its own, which finds no memory that another has freed.
        let play = |count: u64| {
            let environment = [
                (DIR, dir.path().as_os_str()),
                (COUNT, std::ffi::OsStr::new(Box::leak(count.to_string().into_boxed_str()))),
            ];
            let output = role::output(ROLE, &environment);
            let figure = |text: &str| text.parse::<f64>().expect("a figure");
            output.split_whitespace().map(figure).collect::<Vec<_>>()
        };
        let pushed = play(count);
        let opened = play(0);
        let memory = |name: String, bytes: f64| Row::exact(name, bytes / 1e6, "MB resident");
        rows.extend([
            memory(format!("{count} tasks, pushed"), pushed[1]).budget(MEMORY),
            memory(format!("{count} tasks, after a restart"), opened[1]).budget(MEMORY),
            Row::exact(format!("{count} tasks: until it is open"), opened[0], "s").budget(RESTART),
            Row::exact(format!("{count} tasks: bytes of one"), pushed[1] / count as f64, "bytes"),
        ]);
    }
    let title =
        "Tasks that wait, each with an id of 30 bytes, a note of 100, and a payload of 1 KB";
    table::print(options, title, &rows);
}

/// The role: opens, pushes, and says what that took.
pub(crate) fn play() {
    let dir = std::env::var(DIR).expect("a directory");
    let count: u64 =
        std::env::var(COUNT).ok().and_then(|count| count.parse().ok()).expect("a count");
    let before = resident_bytes();
    let start = Instant::now();
    let queue = Arc::new(open(Path::new(&dir)));
    let opened = start.elapsed().as_secs_f64();
    let runtime = runtime();
    runtime.block_on(fill(&queue, 0..count, vec![7; 100].into()));
    let depth = runtime.block_on(queue.depth(&lane())).expect("a depth");
    assert!(depth.waiting >= count && depth.waiting > 0, "{depth:?}");
    println!("{opened} {}", resident_bytes() - before);
}
