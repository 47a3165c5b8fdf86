use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use fc_core::{Catalog, ErrorKind, Qualifier};

use super::*;

const WRITERS: usize = 4;
const ROUNDS: u32 = 300;

/// MGT-1: of several writers that have read the same state, exactly one comes through.
#[test]
fn mgt_1_of_racing_writers_exactly_one_wins() {
    let (functions, mine) = (functions(), account("1"));
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    let latest = Qualifier::default();
    let (start, wins) = (Barrier::new(WRITERS), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    start.wait();
                    let read = functions.get(&mine, "f", &latest).unwrap();
                    start.wait();
                    let next = FunctionSpec { timeout: read.spec.timeout + 1, ..read.spec };
                    match functions.update(&mine, &next, None, Some(read.revision)) {
                        Ok(_) => drop(wins.fetch_add(1, Ordering::SeqCst)),
                        Err(lost) => assert_eq!(lost.kind(), ErrorKind::ConcurrentUpdateError),
                    }
                    start.wait();
                    assert_eq!(wins.load(Ordering::SeqCst), round);
                }
            });
        }
    });
    assert_eq!(functions.get(&mine, "f", &latest).unwrap().spec.timeout, 3 + ROUNDS);
}

/// A reader sees whole states only, never one that was replaced before it asked.
#[test]
fn readers_see_whole_states_in_order() {
    let (functions, mine) = (functions(), account("1"));
    let state =
        |number: u32| FunctionSpec { timeout: number, handler: number.to_string(), ..spec("f") };
    functions.create(&mine, &state(1), code("/a", 1)).unwrap();
    // The state whose update has returned.
    let (done, over) = (AtomicU64::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !over.load(Ordering::SeqCst) {
                    let least = done.load(Ordering::SeqCst);
                    let seen = functions.resolve(&mine, "f", &Qualifier::default()).unwrap();
                    let number = seen.timeout().as_secs();
                    assert_eq!(seen.handler(), number.to_string());
                    assert!(number >= least && number >= last, "{number} {least} {last}");
                    last = number;
                }
            });
        }
        for number in 2..=3_000 {
            let update = functions.update(&mine, &state(number), None, None).unwrap();
            done.store(number.into(), Ordering::SeqCst);
            let resolved = functions.resolve(&mine, "f", &Qualifier::default()).unwrap();
            assert_eq!(resolved.uid(), update.version.uid());
            assert!(!functions.is_current(&update.replaced[0]));
        }
        over.store(true, Ordering::SeqCst);
    });
}

/// QUO-7: the count of functions is exact at any interleaving.
#[test]
fn quo_7_racing_creators_stay_within_the_limit() {
    let limits = Limits { functions_per_account_max: 10, ..Limits::function_compute() };
    let functions = Functions::new(limits, vec![runtime(RuntimeKind::Process, 1)]);
    let (mine, created) = (account("1"), AtomicU32::new(0));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (functions, mine, created) = (&functions, &mine, &created);
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("f{writer}_{number}");
                    if functions.create(mine, &spec(&name), code("/a", 1)).is_ok() {
                        created.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!((created.into_inner(), functions.len()), (10, 10));
}
