//! The example server as a queue: over HTTP, and through `kill -9`.
#![allow(clippy::disallowed_methods, reason = "real processes take real time")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fc::core::Clock;
use fc_testkit::history::{
    BootClock, Ending, Event, History, Judge, JudgeConfig, Outcome, Submission, What,
};
use fc_testkit::server::{NatsServer, NatsSettings, PostgresServer};
use http::Method;

use support::{Functions, Server, Signal, eventually, exchange_with, header, json};

const ASYNC: (&str, &str) = ("x-fc-invocation-type", "Async");
/// What milliseconds and two clocks may be off.
const SLACK: Duration = Duration::from_millis(20);
/// The platform's process in the history.
const HOST: &str = "server";
const INVOKE: &str = "/2023-03-30/functions/witness/invocations";

/// Writes what it is given, and as which attempt, into a file that the platform does not know.
fn witness(file: &Path) -> Functions {
    let toml = "runtime = \"custom.debian12\"\ninstance_concurrency = 100\n";
    let program = format!(
        r#"#!/usr/bin/env python3
import http.server, os, socketserver, time
out = os.open({file:?}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def tell(what, event, attempt):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    line = f"{{event.decode()}} {{attempt}} {{what}} {{now}} {{os.getpid()}}\n"
    os.write(out, line.encode())
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        event = self.rfile.read(int(self.headers["content-length"] or 0))
        attempt = self.headers.get("x-fc-retry-count") or "0"
        tell("begin", event, attempt)
        self.send_response(200)
        self.send_header("content-length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)
        tell("end", event, attempt)
    def log_message(self, *_):
        pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
Server(("0.0.0.0", int(os.environ["FC_CUSTOM_LISTEN_PORT"])), Handler).serve_forever()
"#
    );
    Functions::none().and("witness", toml, &program)
}

/// How often the witness has seen each event.
fn seen(file: &Path) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        let mut words = line.split(' ');
        let event = words.next().unwrap_or_default().to_owned();
        if words.nth(1) == Some("begin") {
            *seen.entry(event).or_default() += 1;
        }
    }
    seen
}

/// What the witness has seen of `tasks`, as events.
fn witnessed(file: &Path, tasks: &BTreeSet<String>) -> Vec<Event> {
    let mut fences: BTreeMap<String, u64> = BTreeMap::new();
    let mut events = Vec::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [task, attempt, what, at, pid] = words[..] else { panic!("{line}") };
        if !tasks.contains(task) {
            continue;
        }
        let fence = fences.entry(task.to_owned()).or_default();
        let what = if what == "begin" {
            *fence += 1;
            What::AttemptBegin {
                task: task.to_owned(),
                n: attempt.parse::<u32>().unwrap() + 1,
                instance: pid.to_owned(),
                fence: *fence,
                payload: task.to_owned(),
            }
        } else {
            let outcome = Outcome::Success;
            What::AttemptEnd { task: task.to_owned(), fence: *fence, outcome }
        };
        events.push(Event { host: HOST.into(), ..Event::new(at.parse().unwrap(), what) });
    }
    events
}

/// INV-2, INV-4, INV-5, ASY-9: the headers and paths of asynchronous invocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_2_an_invocation_is_queued_over_http() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seen");
    let server = Server::start(witness(&file));
    let ask = async |method, path: &str, headers: &[(&str, &str)], body: &'static str| {
        let body = Bytes::from_static(body.as_bytes());
        exchange_with(server.address, method, path, headers, body).await.unwrap()
    };
    let named = [ASYNC, ("x-fc-async-task-id", "t-1")];
    let accepted = ask(Method::POST, INVOKE, &named, "one").await;
    assert_eq!((accepted.status().as_u16(), accepted.body().len()), (202, 0));
    assert_eq!(header(&accepted, "x-fc-async-task-id"), "t-1");
    let request_id = header(&accepted, "x-fc-request-id").to_owned();
    let second = ask(Method::POST, INVOKE, &named, "two").await;
    assert_eq!(second.status(), 409);
    assert_eq!(json(&second)["Code"], "StatefulAsyncInvocationAlreadyExists");

    let tasks = "/2023-03-30/functions/witness/async-tasks";
    let mut task = serde_json::Value::Null;
    for _ in 0..200 {
        task = json(&ask(Method::GET, &format!("{tasks}/t-1"), &[], "").await);
        if task["status"] == "Succeeded" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(task["status"], "Succeeded");
    assert_eq!((&task["taskPayload"], &task["returnPayload"]), (&"one".into(), &"one".into()));
    assert_eq!(task["requestId"], request_id);

    let later = [ASYNC, ("x-fc-async-task-id", "t-2"), ("x-fc-async-delay", "3600")];
    assert_eq!(ask(Method::POST, INVOKE, &later, "later").await.status(), 202);
    let stop = ask(Method::PUT, &format!("{tasks}/t-2/stop"), &[], "").await;
    assert!(stop.status().is_success(), "{stop:?}");
    let listed = json(&ask(Method::GET, &format!("{tasks}?status=Stopped"), &[], "").await);
    assert_eq!(listed["tasks"][0]["taskId"], "t-2");
    let far = [ASYNC, ("x-fc-async-delay", "3601")];
    assert_eq!(ask(Method::POST, INVOKE, &far, "").await.status(), 400);

    let config = "/2023-03-30/functions/witness/async-invoke-config";
    assert_eq!(ask(Method::GET, config, &[], "").await.status(), 404);
    let put =
        ask(Method::PUT, config, &[], r#"{"asyncTask":true,"maxAsyncRetryAttempts":5}"#).await;
    assert_eq!(put.status(), 200);
    assert_eq!(json(&ask(Method::GET, config, &[], "").await)["maxAsyncRetryAttempts"], 5);
    assert!(ask(Method::DELETE, config, &[], "").await.status().is_success());
    assert_eq!(ask(Method::GET, config, &[], "").await.status(), 404);
    assert_eq!(seen(&file).into_iter().collect::<Vec<_>>(), [("one".to_owned(), 1)]);
}

/// I28: on SIGTERM nothing that was accepted is lost, and nothing that ran runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i28_a_drained_server_leaves_its_queue_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("seen"), dir.path().join("data").display().to_string());
    let flags = ["--data-dir", &data, "--log", "warn"];
    let mut server = Server::start_with(witness(&file), &flags);
    let mut acked = BTreeSet::new();
    for number in 0..200 {
        let event = format!("e{number}");
        let sent = Bytes::from(event.clone());
        let sent = exchange_with(server.address, Method::POST, INVOKE, &[ASYNC], sent).await;
        assert_eq!(sent.unwrap().status(), 202);
        acked.insert(event);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let functions = server.kill9();
    let server = Server::start_with(functions, &flags);
    eventually("all run", || seen(&file).len() == acked.len());
    assert!(seen(&file).values().all(|runs| *runs == 1), "{:?}", seen(&file));
    drop(server);
}

/// What a client was told, by event.
#[derive(Default)]
struct Told {
    submitted: BTreeSet<String>,
    acked: BTreeSet<String>,
    named: BTreeSet<String>,
}

/// ASY-1, I1 to I4, I9, I10: a server that is killed again and again loses nothing that it acknowledged, makes
/// nothing up, and runs nothing more often than it died.
async fn kill_loop(kills: usize, flags: &[&str], between: impl Fn(usize)) {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("seen"), dir.path().join("data").display().to_string());
    let mut all = vec!["--data-dir", &data, "--log", "error"];
    all.extend_from_slice(flags);
    let mut functions = witness(&file);
    let told = Arc::new(Mutex::new(Told::default()));
    let next = Arc::new(AtomicU64::new(0));
    let clock = Arc::new(BootClock::default());
    let history = History::in_memory(clock.clone(), HOST, 1_000_000);
    for kill in 0..kills {
        let server = Server::start_with(functions, &all);
        if kill > 0 {
            history.record(What::CrashEnd);
        }
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (told, next, history) = (told.clone(), next.clone(), history.clone());
                tokio::spawn(submit(server.address, told, next, history))
            })
            .collect();
        // Not always at the same point of its life.
        let life = Duration::from_millis(60 + (kill as u64 * 37) % 240);
        tokio::time::sleep(life).await;
        history.record(What::CrashBegin);
        between(kill);
        functions = server.kill9();
        clients.iter().for_each(tokio::task::JoinHandle::abort);
    }
    let server = Server::start_with(functions, &all);
    history.record(What::CrashEnd);
    let missing = || {
        let seen = seen(&file);
        let told = told.lock().unwrap();
        told.acked.iter().filter(|event| !seen.contains_key(*event)).count()
    };
    eventually("every acknowledged task runs", || missing() == 0);
    let (acked, submitted, named) = {
        let told = told.lock().unwrap();
        (told.acked.len(), told.submitted.clone(), told.named.clone())
    };
    assert!(acked >= kills, "{acked} tasks were acknowledged: the loop shows nothing");
    let mut terminals = Vec::new();
    for id in &named {
        let path = format!("/2023-03-30/functions/witness/async-tasks/{id}");
        let mut task = serde_json::Value::Null;
        for _ in 0..600 {
            let read = exchange_with(server.address, Method::GET, &path, &[], Bytes::new()).await;
            task = json(&read.unwrap());
            if task["status"] == "Succeeded" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(task["status"], "Succeeded", "{id}");
        // Wall-clock milliseconds on the axis of the history: not earlier than it was.
        let ago = clock.wall().as_unix_millis() - task["endTime"].as_u64().unwrap();
        let at = clock.now().as_nanos() - ago * 1_000_000 + SLACK.as_nanos() as u64;
        let (task, kind) = (id.clone(), Ending::Succeeded);
        terminals.push(Event::new(at, What::Terminal { task, kind, result: None }));
    }
    let mut events = history.events();
    events.extend(witnessed(&file, &named));
    events.extend(terminals);
    events.sort_by_key(|event| event.at);
    let judge = Judge::new(JudgeConfig {
        slack: SLACK,
        late_max: None,
        // A database that is killed under the server refuses much.
        acked_percent_min: 20,
        ..JudgeConfig::default()
    });
    let violations = judge.judge(&events);
    assert!(violations.is_empty(), "{}", violations[0]);
    let seen = seen(&file);
    let phantoms: Vec<_> = seen.keys().filter(|event| !submitted.contains(*event)).collect();
    assert!(phantoms.is_empty(), "{phantoms:?}");
    let most = seen.values().copied().max().unwrap_or_default() as usize;
    let extra: u32 = seen.values().map(|runs| runs - 1).sum();
    assert!(most <= kills + 1, "one task ran {most} times");
    assert!((extra as usize) < submitted.len() / 2, "{extra} runs too many of {}", submitted.len());
}

async fn submit(
    address: std::net::SocketAddr,
    told: Arc<Mutex<Told>>,
    next: Arc<AtomicU64>,
    history: History,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let id = format!("t{number}");
        let is_named = number.is_multiple_of(4);
        let mut headers = vec![ASYNC];
        if is_named {
            headers.push(("x-fc-async-task-id", &id));
        }
        told.lock().unwrap().submitted.insert(id.clone());
        let record = |what| {
            if is_named {
                history.record(what);
            }
        };
        record(What::Submit(Submission::new(&id, &id, &id)));
        let sent = Bytes::from(id.clone());
        let answer = exchange_with(address, Method::POST, INVOKE, &headers, sent).await;
        match answer.map(|answer| answer.status().as_u16()) {
            Some(202) => {
                record(What::ack(&id));
                let mut told = told.lock().unwrap();
                told.acked.insert(id.clone());
                if is_named {
                    told.named.insert(id);
                }
            }
            Some(code) => {
                record(What::Nack { id, code });
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            None => return record(What::Unknown { id }),
        }
    }
}

/// I1, I2, I3, with the embedded queue: 100 kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_hundred_kills_lose_nothing() {
    kill_loop(100, &[], |_| {}).await;
}

/// The same over NATS: the server is killed, and every other time the broker with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_twenty_kills_over_nats_lose_nothing() {
    let broker = Mutex::new(NatsServer::start(NatsSettings::default()).unwrap());
    let url = broker.lock().unwrap().url();
    kill_loop(20, &["--queue", &url, "--store", &url], |kill| {
        if kill % 2 == 1 {
            let mut broker = broker.lock().unwrap();
            broker.kill9().unwrap();
            broker.restart().unwrap();
        }
    })
    .await;
}

/// The same over PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_twenty_kills_over_postgres_lose_nothing() {
    let database = Mutex::new(PostgresServer::start(&[]).unwrap());
    let url = database.lock().unwrap().url();
    kill_loop(20, &["--queue", &url, "--store", &url], |kill| {
        if kill % 2 == 1 {
            let mut database = database.lock().unwrap();
            database.kill9().unwrap();
            database.restart().unwrap();
        }
    })
    .await;
}
