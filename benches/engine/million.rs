//! One million queued invocations: memory, and the time of `depth`.

use std::path::Path;
use std::time::{Duration, Instant};

use fc::FunctionName;
use fc::core::port::queue::Lane;
use fc::core::{Asynchronous, Queue};

use super::{QUICK, Subject, envelope, fill, payload, quantile, runtime};
use crate::peers::compare::Series;
use crate::peers::cpu::resident_bytes;
use crate::peers::options::Options;
use crate::peers::role;
use crate::peers::table::{self, Budget, Row};

pub(crate) const ROLE: &str = "million";

const DIR: &str = "BENCH_DIR";
const COUNT: &str = "BENCH_COUNT";
const ROUNDS: usize = 9;

/// Resident memory of all, MB.
const MEMORY: Budget = Budget::AtMost { goal: 512.0, least: 512.0 };
/// `depth` of many over `depth` of few.
const CONSTANT: Budget = Budget::AtMost { goal: 1.2, least: 2.0 };

pub(crate) fn compare(options: &Options) {
    let (few, many): (u64, u64) = options.count((1_000, 1_000_000), (100, 3_000));
    let dir = tempfile::tempdir().expect("a directory");
    // In a process of its own, which finds no memory that another has freed.
    let play = |count: u64| {
        let (dir, count) = (dir.path().as_os_str(), count.to_string());
        let environment = [(DIR, dir), (COUNT, std::ffi::OsStr::new(&count))];
        let output = role::output(ROLE, &environment);
        let figure = |text: &str| text.parse::<f64>().expect("a figure");
        output.split_whitespace().map(figure).collect::<Vec<_>>()
    };
    let pushed = play(many);
    let opened = play(0);
    let of = |figures: &[f64]| figures.iter().copied().collect::<Series>();
    let (figures, depths) = pushed.split_at(2);
    let (short, long) = (of(&depths[..ROUNDS]), of(&depths[ROUNDS..]));
    let rows = [
        Row::exact(format!("{many} queued: the whole process"), figures[0] / 1e6, "MB resident")
            .budget(MEMORY),
        Row::exact("after a restart: the whole process", opened[0] / 1e6, "MB resident")
            .budget(MEMORY),
        Row::exact("until all were queued", figures[1], "s"),
        Row::exact("a restart, until the platform is up", opened[1], "s"),
        Row::new(format!("depth of {few}"), &short, "us, median"),
        Row::new(format!("depth of {many}"), &long, "us, median")
            .over(long.over(&short))
            .budget(CONSTANT),
    ];
    let title = "Queued invocations of 1 KB that wait for their time";
    table::print(options, title, &rows);
}

/// The role: starts, queues through the platform, and says what that took.
pub(crate) fn play() {
    let dir = std::env::var(DIR).expect("a directory");
    let count: u64 =
        std::env::var(COUNT).ok().and_then(|count| count.parse().ok()).expect("a count");
    let runtime = runtime();
    let start = Instant::now();
    let subject = Subject::start(&runtime, Path::new(&dir), |_| {});
    let clients = (0..256).map(|client| {
        let (platform, payload) = (subject.platform.clone(), payload());
        runtime.spawn(async move {
            for _ in (client..count).step_by(256) {
                let delay = Some(Duration::from_secs(3600));
                let options = Asynchronous { task_id: None, delay };
                platform.enqueue_with(QUICK, payload.clone(), options).await.expect("queued");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        runtime.block_on(client).expect("no panic");
    }
    let took = start.elapsed().as_secs_f64();
    let resident = resident_bytes();
    print!("{resident} {took}");
    // Beyond the first thousand the function has a lane of its own.
    let name = FunctionName::new(QUICK).expect("a name");
    let long = Lane::function(subject.platform.account(), &name);
    let depth = runtime.block_on(subject.queue.depth(&long)).expect("a depth");
    assert!(depth.waiting > 0 && depth.waiting + 1_000 >= count, "{depth:?}");
    if count > 0 {
        // Whose lane no engine attends.
        let short = Lane::new("bench:short").expect("a lane");
        let few = (count / 1000).max(100);
        let task = envelope(subject.platform.account(), QUICK, 0);
        runtime.block_on(fill(&subject.queue, &short, 0..few, &task));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (lane, times) in [&short, &long].into_iter().zip(&mut times) {
                times.push(depth_us(&runtime, &subject, lane));
            }
        }
        times.iter().flatten().for_each(|time| print!(" {time}"));
    }
    println!();
    subject.stop(&runtime);
}

/// The median of a turn, microseconds.
fn depth_us(runtime: &tokio::runtime::Runtime, subject: &Subject, lane: &Lane) -> f64 {
    let engine = subject.platform.engine().expect("it queues");
    let mut times: Vec<f64> = runtime.block_on(async {
        let mut times = Vec::new();
        for _ in 0..2_000 {
            let before = Instant::now();
            engine.depth(lane).await.expect("a depth");
            times.push(before.elapsed().as_secs_f64() * 1e6);
        }
        times
    });
    quantile(&mut times, 0.5)
}
