//! fc's queue in PostgreSQL beside apalis 1.0 on the same private server: pushes, drained tasks, and the
//! time from a push to its start at idle. Run it with `benches/peers/apalis/run [--test]`.

mod fc;
mod peer;

use std::future::Future;
use std::time::Instant;

use fc_testkit::server::PostgresServer;

/// What a task carries: text, since apalis makes JSON of it.
pub(crate) const PAYLOAD: &str = match std::str::from_utf8(&[b'x'; 256]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

/// Tasks that a worker fetches at a time.
pub(crate) const BATCH: usize = 100;

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (rounds, scale) = if is_test { (1, 100) } else { (7, 1) };
    let settings = [("max_connections", "300"), ("shared_buffers", "256MB")];
    let server = PostgresServer::start(&settings).unwrap_or_else(|e| panic!("{e}"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a tokio runtime of two workers");
    let (ours, theirs) = runtime.block_on(async {
        (fc::Fc::connect(&server.url()).await, peer::Apalis::connect(&server.url()).await)
    });
    println!("{:44} {:>12} {:>12}  fc over apalis (lowest-highest)", "", "fc", "apalis");
    for clients in [1, 16, 64] {
        let count = if clients == 1 { 1_000 } else { 6_000 } / scale;
        compare(&format!("pushes/s, {clients} clients"), rounds, || {
            let fc = runtime.block_on(rate(count, ours.push(clients, count)));
            let apalis = runtime.block_on(rate(count, theirs.push(clients, count)));
            (fc, apalis)
        });
    }
    let count = 6_000 / scale;
    compare("tasks/s, leased, run and settled", rounds, || {
        runtime.block_on(ours.clear());
        runtime.block_on(theirs.clear());
        runtime.block_on(ours.push(64, count));
        runtime.block_on(theirs.push(64, count));
        let fc = runtime.block_on(rate(count, ours.drain(count)));
        let apalis = runtime.block_on(rate(count, theirs.drain(count)));
        (fc, apalis)
    });
    runtime.block_on(ours.clear());
    runtime.block_on(theirs.clear());
    // Few: now and then apalis misses a word of its server, and looks again 30 s later.
    let count = (20 / scale).max(3);
    compare("ms from a push to its start at idle, p50", rounds, || {
        let fc = median(runtime.block_on(ours.starts_ms(count)));
        let apalis = median(runtime.block_on(theirs.starts_ms(count)));
        (fc, apalis)
    });
}

async fn rate(count: usize, work: impl Future<Output = ()>) -> f64 {
    let start = Instant::now();
    work.await;
    count as f64 / start.elapsed().as_secs_f64()
}

/// One line: medians of the rounds, and the ratio round by round. The first round is not counted.
fn compare(name: &str, rounds: usize, mut round: impl FnMut() -> (f64, f64)) {
    if rounds > 1 {
        round();
    }
    let turns: Vec<(f64, f64)> = (0..rounds).map(|_| round()).collect();
    let ratios: Vec<f64> = turns.iter().map(|(fc, apalis)| fc / apalis).collect();
    let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = ratios.iter().copied().fold(0.0, f64::max);
    let (fc, apalis): (Vec<f64>, Vec<f64>) = turns.into_iter().unzip();
    let [fc, apalis, ratio] = [fc, apalis, ratios].map(median);
    println!("{name:44} {fc:>12.2} {apalis:>12.2}  {ratio:.2} ({lowest:.2}-{highest:.2})");
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
