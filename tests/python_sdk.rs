//! The cloud's own Python SDK invokes a sample function, unchanged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Functions, Server};

/// Its dependencies come with it, as `pip` resolves them.
const SDK: &str = "alibabacloud-fc20230330==4.8.3";

/// An interpreter that has the SDK. The environment stays in the target directory for the next run.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(home).unwrap();
    let environment = home.join("python-sdk");
    let python = environment.join("bin/python3");
    let lock = File::create(home.join("python-sdk.lock")).unwrap();
    lock.lock().unwrap();
    // Written last: an environment without it was not finished. The interpreter is a link to the
    // machine's, which may have been replaced since.
    let done = environment.join("installed");
    let installed = fs::read_to_string(&done).is_ok_and(|installed| installed == SDK);
    if installed && Command::new(&python).arg("--version").output().is_ok() {
        return python;
    }
    let advice = "; this test needs Python 3 with venv and pip, and PyPI: \
        apt-get install python3 python3-venv, or run .ci/test";
    let run = |command: &mut Command| {
        let output =
            command.output().unwrap_or_else(|error| panic!("{command:?}: {error}{advice}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}{advice}");
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", SDK]));
    fs::write(&done, SDK).unwrap();
    python
}

#[test]
fn the_official_sdk_invokes_a_sample_function() {
    let python = python();
    let server = Server::start(Functions::samples(&["echo", "crash"]));
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sdk_invoke.py"))
        .arg(server.address.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"ok\n", "{said}\n{}", server.log());
}
