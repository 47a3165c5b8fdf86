//! This test's executable, run again as another process.

use std::process::{Child, Command, Stdio};

/// Says to a test that it is the other process, and what it works on.
const ROLE: &str = "FC_TEST_CHILD";

/// What this process was started with by [`start`], if it was.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs the test of this name in another process, behind `wrapper` if there is one.
pub(crate) fn start(test: &str, role: &str, wrapper: &[&str]) -> Child {
    let executable = std::env::current_exe().expect("the path of this executable");
    let mut command = match wrapper {
        [] => Command::new(executable),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(executable);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().unwrap_or_else(|e| panic!("{wrapper:?} {test}: {e}"))
}
