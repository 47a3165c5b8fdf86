//! Bytes of a registered function and of an idle instance, as the allocator is asked for them, with
//! resident memory beside it. The latter holds what was freed and kept for reuse as well: with all of
//! one function, what its concurrent requests needed.
//!
//! `cargo bench --bench memory [-- --json | --test]`
#![allow(clippy::print_stdout, reason = "a role tells the benchmark its figures")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

mod peers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fc::{Body, FunctionSpec, Platform, Response, handler_fn};
use peers::cpu::resident_bytes;
use peers::options::Options;
use peers::table::{self, Budget, Row};
use peers::{role, subject};
use tokio::sync::Semaphore;

/// A registered function, bytes (`performance.md`, budgets).
const FUNCTION: Budget = Budget::AtMost { goal: 300.0, least: 1024.0 };
/// An idle in-process instance, bytes.
const INSTANCE: Budget = Budget::AtMost { goal: 1024.0, least: 2048.0 };

const SHUTDOWN_WITHIN: Duration = Duration::from_secs(20);

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that are allocated now.
static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size as i64 - layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Memory of this process at one moment.
#[derive(Clone, Copy)]
struct Memory {
    live: i64,
    resident: i64,
}

impl Memory {
    fn now() -> Self {
        Self { live: LIVE.load(Ordering::Relaxed), resident: resident_bytes() as i64 }
    }

    /// What was taken since then.
    fn taken(self) -> Self {
        let now = Self::now();
        Self { live: now.live - self.live, resident: now.resident - self.resident }
    }
}

/// How many things a role makes.
const COUNT: &str = "BENCH_COUNT";

fn main() {
    let Some(role) = role::asked() else {
        return compare(&Options::from_args());
    };
    let count = std::env::var(COUNT).ok().and_then(|count| count.parse().ok()).expect("a count");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let taken = runtime.expect("a tokio runtime of this thread").block_on(async {
        match role.as_str() {
            "functions" => functions(count).await,
            "instance-each" => instance_each(count).await,
            "instances-of-one" => instances_of_one(count).await,
            role => panic!("no role {role}"),
        }
    });
    println!("{} {}", taken.live, taken.resident);
}

/// Each figure is from a process of its own: none finds memory that another has freed.
fn compare(options: &Options) {
    let (many, more) = options.count((10_000, 100_000), (100, 1_000));
    let rows: Vec<Row> = [
        ("functions", many, "registered function", FUNCTION),
        ("functions", more, "registered function", FUNCTION),
        ("instance-each", many, "idle instance with its pool, one a function", INSTANCE),
        ("instances-of-one", many, "idle instance, all of one function", INSTANCE),
    ]
    .into_iter()
    .flat_map(|(role, count, what, budget)| {
        let output = role::output(role, &[(COUNT, count.to_string().as_ref())]);
        let mut each = output.split_whitespace().map(|bytes| {
            bytes.parse::<f64>().unwrap_or_else(|e| panic!("{output:?}: {e}")) / f64::from(count)
        });
        let mut next = || each.next().expect("two figures");
        [
            Row::exact(format!("{what}, {count}: allocated"), next(), "bytes").budget(budget),
            Row::exact(format!("{what}, {count}: resident"), next(), "bytes"),
        ]
    })
    .collect();
    table::print(options, "Memory of what is idle", &rows);
}

/// Functions that were never invoked.
async fn functions(count: u32) -> Memory {
    let platform = subject::with_room(count, 300);
    let names = names(count);
    let before = Memory::now();
    register(&platform, &names);
    let taken = before.taken();
    platform.shutdown(SHUTDOWN_WITHIN).await;
    taken
}

/// One idle instance of each function, with its function's pool.
async fn instance_each(count: u32) -> Memory {
    let platform = subject::with_room(count, 300);
    let names = names(count);
    register(&platform, &names);
    let before = Memory::now();
    for name in &names {
        platform.invoke(name, ()).await.expect("an answer");
    }
    let taken = before.taken();
    platform.shutdown(SHUTDOWN_WITHIN).await;
    taken
}

/// Idle instances of one function, each of which had one request while all the others had theirs.
async fn instances_of_one(count: u32) -> Memory {
    let platform = subject::with_room(1, count);
    let (started, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let handler = handler_fn({
        let (started, go) = (started.clone(), go.clone());
        move |_, _| {
            started.add_permits(1);
            let go = go.clone();
            async move {
                go.acquire().await?.forget();
                Ok(Response::new(Body::EMPTY))
            }
        }
    });
    deploy_for_one_request(&platform, handler);
    let before = Memory::now();
    let invoke = |_| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.invoke("wait", ()).await.map(drop) })
    };
    let invocations: Vec<_> = (0..count).map(invoke).collect();
    started.acquire_many(count).await.expect("open").forget();
    go.add_permits(count as usize);
    for invocation in invocations {
        invocation.await.expect("no panic").expect("an answer");
    }
    let taken = before.taken();
    platform.shutdown(SHUTDOWN_WITHIN).await;
    taken
}

/// Function `wait`, with one request at a time in an instance.
fn deploy_for_one_request(platform: &Platform, handler: impl fc::Handler) {
    let spec = FunctionSpec {
        function_name: "wait".into(),
        runtime: "in-process".into(),
        instance_concurrency: 1,
        timeout: 60,
        ..FunctionSpec::default()
    };
    let code = fc::runtime::in_process::InProcessRuntime::code(handler);
    platform.deploy(&spec, code).expect("the function is taken");
}

fn names(count: u32) -> Vec<String> {
    (0..count).map(|index| format!("hello-{index}")).collect()
}

fn register(platform: &Platform, names: &[String]) {
    for name in names {
        subject::register(platform, name);
    }
}
