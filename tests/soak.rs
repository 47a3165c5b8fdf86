//! 10 000 requests at 64 connections, with clients that leave, functions that hang and crash: what is
//! left afterwards, judged from the operating system (I14, I17, I18, I22).
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "real processes take real time")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fc::core::SystemClock;
use fc::runtime::process::{ProcessConfig, ProcessRuntime};
use fc::{CodeRef, FunctionSpec, Platform};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const REQUESTS: u64 = 10_000;
const CONNECTIONS: usize = 64;
const SEED: u64 = 0x5eed_0f5c;

/// A path and its weight.
type Choice = (&'static str, u64);

/// Name, instance concurrency, instances at most, and what its clients ask for.
const FUNCTIONS: [(&str, u32, u32, &[Choice]); 4] = [
    ("quick", 20, 4, &[("/ok", 100)]),
    ("single", 1, 8, &[("/ok", 60), ("/sleep", 37), ("/child", 3)]),
    ("streams", 4, 4, &[("/stream", 60), ("/ok", 40)]),
    ("faulty", 2, 6, &[("/ok", 97), ("/crash", 2), ("/stuck", 1)]),
];

/// One client in this many leaves without its answer.
const LEAVES_ONE_IN: u64 = 40;

/// A seeded generator (splitmix64): the run is the same for the same seed, up to the scheduling.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn weighted<'a>(&mut self, choices: &[(&'a str, u64)]) -> &'a str {
        let mut at = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in choices {
            if at < *weight {
                return choice;
            }
            at -= weight;
        }
        choices[0].0
    }
}

/// Compiles the function's program into `dir`.
fn compile(dir: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/soak/program.rs");
    let status = Command::new("rustc")
        .args(["-O", "--edition", "2024", "-o"])
        .arg(dir.join("bootstrap"))
        .arg(source)
        .status()
        .expect("rustc is there: install Rust");
    assert!(status.success());
}

/// Processes of this machine whose environment holds `marker`.
fn processes(marker: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes()) {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{:?} {}", entry.path(), String::from_utf8_lossy(&command)));
        }
    }
    found
}

/// Children of this process that are dead and not reaped.
fn zombies() -> usize {
    let own = std::process::id().to_string();
    let dead_child = |stat: String| {
        let mut fields =
            stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ')).into_iter().flatten();
        fields.next() == Some("Z") && fields.next() == Some(&own)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| dead_child(stat.clone())).count()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Reads one answer; gives its status, or nothing if the connection ended first.
async fn answer(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        assert!(head.contains("x-fc-request-id: 1-"), "no request id: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = match length {
            Some(length) => bytes.len() - end - 4 >= length.parse::<usize>().unwrap(),
            None => bytes.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            return Some(status);
        }
    }
}

async fn client(gateway: SocketAddr, seed: u64, left: Arc<AtomicU64>) -> BTreeMap<String, u64> {
    let mut random = Random(seed);
    let mut outcomes = BTreeMap::new();
    let mut connection: Option<TcpStream> = None;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let (name, _, _, paths) = FUNCTIONS[random.below(4) as usize];
        let path = random.weighted(paths);
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(gateway).await.unwrap(),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {name}.localhost\r\n\r\n");
        let sent = stream.write_all(request.as_bytes()).await;
        let outcome = if sent.is_err() {
            "closed".to_owned()
        } else if random.below(LEAVES_ONE_IN) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(4))).await;
            "left".to_owned()
        } else {
            match answer(&mut stream).await {
                Some(status) => {
                    connection = Some(stream);
                    format!("{path} {status}")
                }
                None => format!("{path} cut"),
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// I14, I17, I18, I22, and INV-8 under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path());
    let marker = format!("SOAK_RUN={}", std::process::id());
    let (files_before, tasks_before) = (open_files(), tasks());

    let clock = Arc::new(SystemClock::new());
    let runtime = ProcessRuntime::new(ProcessConfig::default(), clock.clone()).unwrap();
    let runtime = Arc::new(runtime);
    let platform = Platform::builder().clock(clock).runtime(runtime).build().unwrap();
    let mut versions = Vec::new();
    for (name, concurrency, most, _) in FUNCTIONS {
        let (key, value) = marker.split_once('=').unwrap();
        let spec = FunctionSpec {
            function_name: name.into(),
            timeout: 2,
            instance_concurrency: concurrency,
            instance_max: Some(most),
            idle_timeout: Some(1),
            environment_variables: [(key.to_owned(), value.to_owned())].into(),
            http_trigger: Some(Default::default()),
            ..FunctionSpec::default()
        };
        let code = CodeRef::Directory { path: dir.path().into(), unpacked_bytes: 1 };
        versions.push(platform.deploy(&spec, code).unwrap());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = platform.gateway().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        gateway.serve(listener, async { stopped.await.unwrap_or_default() }).await
    });

    println!("REPRODUCE WITH: SEED = {SEED:#x}");
    let left = Arc::new(AtomicU64::new(REQUESTS));
    let clients: Vec<_> = (0..CONNECTIONS as u64)
        .map(|n| tokio::spawn(client(address, SEED.wrapping_add(n), left.clone())))
        .collect();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for client in clients {
        let client = tokio::time::timeout(Duration::from_secs(300), client).await;
        for (outcome, count) in client.expect("a client is stuck").unwrap() {
            *outcomes.entry(outcome).or_default() += count;
        }
    }
    println!("{outcomes:#?}");
    assert_eq!(outcomes.values().sum::<u64>(), REQUESTS);
    assert!(outcomes["/ok 200"] > REQUESTS / 2);
    for needed in ["left", "/crash 502", "/stuck 502", "/stream 200", "/child 200"] {
        assert!(outcomes.get(needed).is_some_and(|count| *count > 0), "no {needed}");
    }

    // No slot is held for ever: without a request every instance idles out.
    let idle = async {
        while versions.iter().any(|version| platform.scheduler().usage(version).instances > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), idle).await.expect("I18: a slot was leaked");
    assert_eq!(processes(&marker), Vec::<String>::new(), "I18: processes left");

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    platform.shutdown(Duration::from_secs(10)).await;
    drop(platform);
    let settled = async {
        while open_files() > files_before || tasks() > tasks_before || zombies() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), settled).await.is_err() {
        panic!(
            "I18: {} files (before: {files_before}), {} tasks (before: {tasks_before}), {} zombies",
            open_files(),
            tasks(),
            zombies()
        );
    }
}
