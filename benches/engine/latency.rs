//! From a caller's call to the function's first line, when nothing else happens.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::stamp::{Stamp, halves};
use super::{QUICK, Subject, alternate, dirs, envelope, runtime};
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};

/// Median, milliseconds.
const HALF: Budget = Budget::AtMost { goal: 2.0, least: 2.0 };
/// Median less the median of one append and `fdatasync`, milliseconds.
const MORE: Budget = Budget::AtMost { goal: 0.2, least: 1.0 };

const FILE_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn compare(options: &Options) {
    let dirs = dirs::<2>();
    let runtime = runtime();
    let mut stamp = None;
    let subject = Subject::start(&runtime, dirs[0].path(), |platform| {
        stamp = Some(Stamp::deploy(platform, platform.account()));
    });
    let stamp = stamp.expect("deployed");
    let record = envelope(subject.platform.account(), QUICK, 0);
    let file = ahead(dirs[1].path());
    let mut offset = 0;
    let count = options.count(100, 5);
    let series = alternate(
        options,
        [
            Box::new(|| {
                halves((0..count).map(|_| {
                    std::thread::sleep(Duration::from_millis(1));
                    let before = Instant::now();
                    file.write_all_at(&record, offset).expect("written");
                    file.sync_data().expect("synced");
                    offset = (offset + record.len() as u64) % (FILE_BYTES - 4096);
                    before.elapsed().as_secs_f64() * 1e3
                }))
            }),
            Box::new(|| stamp.measure(&runtime, &subject, count)),
        ],
    );
    let [[sync, slow_sync], [start, slow_start]] = series;
    let more: Series = start.minus(&sync);
    let unit = "ms";
    let rows = [
        Row::new("enqueue to start, half of them", &start, unit).budget(HALF),
        Row::new("the same less one append and fdatasync", &more, unit).budget(MORE),
        Row::new("enqueue to start, 99 of 100", &slow_start, unit),
        Row::new("append and fdatasync into a file made ahead, half", &sync, unit),
        Row::new("append and fdatasync, 99 of 100", &slow_sync, unit),
    ];
    let title = "From the call of enqueue with 1 KB to the function's first line, at idle";
    table::print(options, title, &rows);
    subject.stop(&runtime);
}

fn ahead(dir: &std::path::Path) -> File {
    let file = File::create(dir.join("file")).expect("a file");
    let zeros = vec![0; 1024 * 1024];
    for at in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at).expect("zeros");
    }
    file.sync_all().expect("synced");
    file
}
