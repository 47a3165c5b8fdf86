//! Turns of contenders within the benchmark's own process.

use std::future::Future;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::compare::Series;
use super::options::Options;

/// Lets each contender have its turn in each of so many rounds, and gives what each turn gave. One turn
/// before them is not counted.
pub(crate) fn turns<const N: usize, T>(
    options: &Options,
    rounds: usize,
    mut contenders: [Box<dyn FnMut() -> T + '_>; N],
) -> [Vec<T>; N] {
    let mut turns = [const { Vec::new() }; N];
    if !options.test {
        for contender in &mut contenders {
            contender();
        }
    }
    for _ in 0..rounds {
        for (contender, turns) in contenders.iter_mut().zip(&mut turns) {
            turns.push(contender());
        }
    }
    turns
}

/// The figures of turns that have one each.
pub(crate) fn alternate<const N: usize>(
    options: &Options,
    contenders: [Box<dyn FnMut() -> f64 + '_>; N],
) -> [Series; N] {
    turns(options, options.rounds(), contenders).map(Series::from_iter)
}

/// So many things done since then, a second.
pub(crate) fn per_second(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// So many clients for one turn: how many things they did in a second, and in all.
pub(crate) fn clients<F, R>(
    options: &Options,
    runtime: &Runtime,
    clients: u32,
    once: &F,
) -> (f64, u64)
where
    F: Fn() -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let (start, length) = (Instant::now(), options.turn());
    let clients = (0..clients).map(|_| {
        let once = once.clone();
        runtime.spawn(async move {
            let mut count = 0_u64;
            while start.elapsed() < length {
                once().await;
                count += 1;
            }
            count
        })
    });
    let clients: Vec<_> = clients.collect();
    let counts = clients.into_iter().map(|client| runtime.block_on(client).expect("no panic"));
    let count = counts.sum();
    (per_second(count, start), count)
}
