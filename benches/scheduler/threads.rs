//! Two threads with warm requests of different functions.

use std::sync::Barrier;
use std::time::Instant;

use super::measure::{shuffled, thread_cpu_ns};
use super::subject::{Warm, route};
use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::table::{self, Budget, Row};
use crate::peers::turns::alternate;

/// Two threads' throughput over one's.
const TWICE: Budget = Budget::AtLeast { goal: 1.9, least: 1.6 };

pub(crate) fn compare(options: &Options) {
    let (functions, count) = (options.count(10, 2), options.count(2_000_000, 1_000));
    let subject = Warm::functions(2 * functions, |b| b, |_| {});
    let order = shuffled(functions as usize);
    let mut cpu = [const { Vec::new() }; 2];
    let [cpu_one, cpu_two] = &mut cpu;
    let turn = |threads: usize, cpu: &mut Vec<f64>| {
        let (rate, cpu_ns) = run(&subject, &order, threads, count);
        cpu.push(cpu_ns);
        rate / 1e6
    };
    let [one, two] =
        alternate(options, [Box::new(|| turn(1, cpu_one)), Box::new(|| turn(2, cpu_two))]);
    let [cpu_one, cpu_two] =
        cpu.map(|figures| figures.into_iter().rev().take(options.rounds()).collect::<Series>());
    let unit = "M/s";
    let rows = [
        Row::new("1 thread", &one, unit),
        Row::new("2 threads", &two, unit).over(two.over(&one)).budget(TWICE),
        Row::new("1 thread", &cpu_one, "ns CPU"),
        Row::new("2 threads", &cpu_two, "ns CPU").over(cpu_two.over(&cpu_one)),
    ];
    let title = "Warm requests a second of one and of two threads with functions of their own \
                 (wall clock: two idle cores are needed), and CPU time of each request";
    table::print(options, title, &rows);
}

/// Requests a second of all threads together, and CPU time of one, nanoseconds.
fn run(subject: &Warm, order: &[u32], threads: usize, count: usize) -> (f64, f64) {
    let all_there = Barrier::new(threads);
    let spans = std::thread::scope(|scope| {
        let spawn = |thread: usize| {
            let all_there = &all_there;
            scope.spawn(move || {
                let versions = &subject.versions[thread * order.len()..];
                all_there.wait();
                let (begin, cpu) = (Instant::now(), thread_cpu_ns());
                route(subject.scheduler(), versions, order, count);
                (begin, Instant::now(), thread_cpu_ns() - cpu)
            })
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running.into_iter().map(|each| each.join().expect("no panic")).collect::<Vec<_>>()
    });
    let begin = spans.iter().map(|(begin, ..)| *begin).min().expect("a thread");
    let end = spans.iter().map(|(_, end, _)| *end).max().expect("a thread");
    let seconds = (end - begin).as_secs_f64();
    let cpu: u64 = spans.iter().map(|(.., cpu)| cpu).sum();
    let all = (threads * count) as f64;
    (all / seconds, cpu as f64 / all)
}
