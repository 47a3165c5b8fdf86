//! Resident memory of a million registered functions.

use super::subject::{builder, current_thread};
use crate::peers::cpu::resident_bytes;
use crate::peers::options::Options;
use crate::peers::role;
use crate::peers::table::{self, Budget, Row};
use fc::runtime::in_process::InProcessRuntime;
use fc::{Body, FunctionSpec, Response, handler_fn};
use std::sync::Arc;

pub(crate) const ROLE: &str = "functions";

const COUNT: &str = "BENCH_COUNT";

/// A million functions, GB.
const MILLION: Budget = Budget::AtMost { goal: 0.3, least: 1.0 };

/// In a process of its own, which finds no memory that another has freed.
pub(crate) fn compare(options: &Options) {
    let count: u32 = options.count(1_000_000, 1_000);
    let output = role::output(ROLE, &[(COUNT, count.to_string().as_ref())]);
    let bytes: f64 = output.trim().parse().unwrap_or_else(|e| panic!("{output:?}: {e}"));
    let rows = [
        Row::exact(format!("{count} functions"), bytes / 1e9, "GB resident").budget(MILLION),
        Row::exact("one of them", bytes / f64::from(count), "bytes resident"),
    ];
    let title = "Registered functions in fc-control's registry, each with a name and a version of \
                 its own";
    table::print(options, title, &rows);
}

/// The role: registers, and says what that took.
pub(crate) fn register() {
    let count: u32 =
        std::env::var(COUNT).ok().and_then(|count| count.parse().ok()).expect("a count");
    current_thread().block_on(async {
        let platform = builder(count, 1).build().expect("a platform");
        let account = platform.account();
        let hello = handler_fn(|_, _| async { Ok(Response::new(Body::from("hello"))) });
        let code = Arc::new(InProcessRuntime::code(hello));
        let before = resident_bytes();
        for index in 0..count {
            let spec = FunctionSpec {
                function_name: format!("hello-{index}"),
                runtime: "in-process".into(),
                ..FunctionSpec::default()
            };
            platform.functions().create(&account, &spec, code.clone()).expect("it is taken");
        }
        println!("{}", resident_bytes() - before);
    });
}
