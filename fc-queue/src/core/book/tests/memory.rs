//! What a task costs, by this process's resident memory: run it alone, with `--ignored --nocapture`.

use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{Lane, NewTask, Verdict};
use fc_core::{Clock, SystemClock, Timestamp};

use super::super::Book;

const TASKS: u64 = 1_000_000;

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn id(number: u64) -> String {
    format!("1-67a59f35-150c1267-{number:012}/resize7")
}

#[test]
#[ignore = "measures the whole process: run it alone"]
fn bytes_of_a_task() {
    assert_eq!(id(0).len(), 40);
    let (lane, at) = (Lane::new("1234").unwrap(), Timestamp::from_unix_millis);
    let mut book = Book::<(u64, u64)>::new(0, 0);
    let (clock, mut longest) = (SystemClock::new(), Duration::ZERO);
    let before = resident_bytes();
    for number in 0..TASKS {
        let task = NewTask::new(id(number), Bytes::new());
        let begun = clock.now();
        book.push(&lane, task, (number, 7), at(number / 100));
        longest = longest.max(clock.now() - begun);
    }
    println!("longest push: {longest:?}");
    let per_task = |bytes: u64| (bytes.saturating_sub(before)) as f64 / TASKS as f64;
    println!("waiting: {:.0} bytes a task", per_task(resident_bytes()));
    let held = book.lease(&lane, TASKS as usize, at(90_000_000), at(80_000_000));
    let tokens: Vec<_> = held.into_iter().map(|lent| lent.token).collect();
    let tokens_cost = TASKS * (size_of_val(&tokens[0]) as u64 + 48);
    println!("leased: {:.0} bytes a task", per_task(resident_bytes() - tokens_cost));
    for token in tokens {
        let verdict = if token.position % 2 == 0 {
            Verdict::Done
        } else {
            Verdict::Retry { at: at(80_000_000), note: Bytes::new() }
        };
        book.settle(&token, verdict).unwrap();
    }
    println!("half of them over: {:.0} bytes a task at first", per_task(resident_bytes()));
    assert_eq!(book.len(), TASKS / 2);
}
