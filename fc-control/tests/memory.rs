//! What a registered function takes of memory, and that resolving one takes none.
// The counting allocator is the one way to know, and is unsafe by its trait.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fc_control::Functions;
use fc_core::{
    AccountId, Catalog, CodeRef, Enforcement, FunctionSpec, Isolation, Limits, Qualifier,
    RuntimeCapabilities, RuntimeKind,
};

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's allocator, and counts beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: usize = 100_000;

/// `performance.md`: 1 KB a registered function at most. One test, so that nothing else allocates.
#[test]
fn a_default_function_takes_little_and_resolving_it_takes_nothing() {
    let limits = Limits { functions_per_account_max: COUNT as u32, ..Limits::function_compute() };
    let process = RuntimeCapabilities {
        kind: RuntimeKind::Process,
        isolation: Isolation::Process,
        concurrency_max: 200,
        streaming: true,
        suspend: false,
        enforces: Enforcement::default(),
    };
    let functions = Functions::new(limits, vec![process]);
    for accounts in [250, 1] {
        let account = |number: usize| AccountId::new(&format!("{accounts}-{number}")).unwrap();
        let code = Arc::new(CodeRef::Directory { path: "/srv/code".into(), unpacked_bytes: 1 });
        let before = BYTES.load(Ordering::Relaxed);
        for number in 0..COUNT {
            let spec = FunctionSpec {
                function_name: format!("function-{number}"),
                ..FunctionSpec::default()
            };
            functions.create(&account(number % accounts), &spec, code.clone()).unwrap();
        }
        let each = (BYTES.load(Ordering::Relaxed) - before) / COUNT;
        println!("{each} bytes a function, {COUNT} functions in {accounts} accounts");
        assert!(each <= 1024, "{each}");

        let (mine, latest) = (account(0), Qualifier::default());
        functions.resolve(&mine, "function-0", &latest).unwrap();
        let calls = CALLS.load(Ordering::Relaxed);
        for _ in 0..10_000 {
            let version = functions.resolve(&mine, "function-0", &latest).unwrap();
            assert!(functions.is_current(&version));
        }
        assert_eq!(CALLS.load(Ordering::Relaxed), calls);
    }
}
