//! A process under load that is killed 100 times (I1, I2, I30).

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{FollowUp, Lane, NewTask, Place, Settlement, Verdict};
use fc_core::{Clock, Context, Deadline, Queue, RequestId, SystemClock};

use super::{child, open};

const KILLS: u64 = 100;
const PUSHERS: u64 = 8;
const WORKERS: u64 = 4;
const LONG: Duration = Duration::from_secs(3600);

fn lane(id: &str) -> Lane {
    Lane::new(if id.len().is_multiple_of(2) { "even" } else { "odd" }).expect("a lane")
}

fn payload(id: &str) -> Vec<u8> {
    id.bytes().cycle().take(id.bytes().map(usize::from).sum::<usize>() % 900).collect()
}

/// What the killed processes said, in one line each, and what follows from that.
#[derive(Default)]
struct History {
    submitted: HashSet<String>,
    acknowledged: HashSet<String>,
    /// It may be over.
    ending: HashSet<String>,
    over: HashSet<String>,
    leases: HashMap<String, u32>,
}

impl History {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (Some(what), Some(id)) = (words.next(), words.next()) else {
            return;
        };
        let id = id.to_owned();
        match what {
            "submit" => _ = self.submitted.insert(id),
            "pushed" => _ = self.acknowledged.insert(id),
            "end" => _ = self.ending.insert(id),
            "over" => _ = self.over.insert(id),
            "leased" => {
                let leases = words.next().and_then(|count| count.parse().ok()).expect("a count");
                self.leases.insert(id, leases);
            }
            _ => {}
        }
    }

    async fn judge(&self, queue: &dyn Queue) -> usize {
        let mut found = HashSet::new();
        for lane in ["even", "odd"] {
            let lane = Lane::new(lane).expect("a lane");
            for view in queue.list(&lane, Place::Waiting, None, usize::MAX).await.expect("a list") {
                assert!(self.submitted.contains(&view.id), "{} was never pushed", view.id);
                assert_eq!(view.payload, payload(&view.id), "{}", view.id);
                assert!(!self.over.contains(&view.id), "{} was settled, and is there", view.id);
                let leases = self.leases.get(&view.id).copied().unwrap_or(0);
                assert!(view.leases >= leases, "{}: {} leases of {leases}", view.id, view.leases);
                found.insert(view.id);
            }
        }
        for id in self.acknowledged.difference(&self.ending) {
            assert!(found.contains(id), "{id} was acknowledged, and is lost");
        }
        found.len()
    }
}

#[test]
fn a_hundred_kills_lose_nothing_and_make_nothing_up() {
    if let Some(role) = child::role() {
        return life(&role);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut history = History::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for kill in 0..KILLS {
        let role = format!("{kill} {}", dir.path().display());
        let test = "kill::a_hundred_kills_lose_nothing_and_make_nothing_up";
        let mut process = child::start(test, &role, &[]);
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        let after = 20 + kill * 37 % 700;
        let mut heard = 0;
        // Whatever is in the pipe when it dies was said.
        while lines.read_line(&mut line).expect("a line") > 0 {
            if line.ends_with('\n') {
                history.hear(line.trim_end());
            }
            line.clear();
            heard += 1;
            if heard == after {
                process.kill().expect("it lives");
            }
        }
        process.wait().expect("it ends");
        assert!(heard >= after, "life {kill} ended by itself after {heard} lines");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let queue = open(dir.path(), &clock);
        runtime.block_on(history.judge(&queue));
    }
    let (acknowledged, over) = (history.acknowledged.len(), history.over.len());
    assert!(acknowledged > 3_000 && over > 1_000, "{acknowledged} pushed, {over} over");
    assert!(history.leases.values().any(|leases| *leases > 1), "nothing was leased twice");
}

/// Pushes, leases and settles until it is killed, and says so.
fn life(role: &str) {
    // The test's name stands on the line so far.
    say("");
    let (life, dir) = role.split_once(' ').expect("a number and a directory");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let queue = Arc::new(open(Path::new(dir), &clock));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let pushers =
            (0..PUSHERS).map(|who| tokio::spawn(push(queue.clone(), format!("{life}-{who}"))));
        let workers = (0..WORKERS).map(|who| {
            tokio::spawn(work(queue.clone(), clock.clone(), format!("{life}-w{who}"), who))
        });
        for task in pushers.chain(workers).collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
    });
}

fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).expect("somebody hears");
}

const CX: Context = Context::new(RequestId::NIL);

async fn push(queue: Arc<dyn Queue>, who: String) {
    for number in 0.. {
        let id = format!("{who}-{number}");
        say(&format!("submit {id}"));
        let task = NewTask::new(id.clone(), payload(&id));
        queue.push(CX, &lane(&id), task).await.expect("pushed");
        say(&format!("pushed {id}"));
    }
}

async fn work(queue: Arc<dyn Queue>, clock: Arc<dyn Clock>, who: String, number: u64) {
    let lane_of_mine =
        Lane::new(if number.is_multiple_of(2) { "even" } else { "odd" }).expect("a lane");
    for turn in 0_u64.. {
        let soon = Deadline::at(clock.now() + Duration::from_millis(50));
        if !queue.wait(CX.with_deadline(soon), &lane_of_mine).await.expect("waited") {
            continue;
        }
        for leased in queue.lease(CX, &lane_of_mine, 3, LONG).await.expect("leased") {
            let id = leased.token.task.clone();
            assert_eq!(leased.payload, payload(&id));
            say(&format!("leased {id} {}", leased.leases_before + 1));
            let settlement = match turn % 4 {
                0 => Verdict::Retry { at: leased.pushed_at, note: "again".into() }.into(),
                1 => {
                    let id = format!("{who}-{turn}-{}", leased.token.position);
                    say(&format!("submit {id}"));
                    let task = NewTask::new(id.clone(), payload(&id));
                    let follow_ups = vec![FollowUp { lane: lane(&id), task }];
                    Settlement { verdict: Verdict::Done, follow_ups }
                }
                _ => Verdict::Done.into(),
            };
            let is_over = matches!(settlement.verdict, Verdict::Done);
            if is_over {
                say(&format!("end {id}"));
            }
            let follow_ups = settlement.follow_ups.clone();
            queue.settle(CX, &leased.token, settlement).await.expect("settled");
            if is_over {
                say(&format!("over {id}"));
            }
            for follow_up in follow_ups {
                say(&format!("pushed {}", follow_up.task.id));
            }
        }
    }
}
