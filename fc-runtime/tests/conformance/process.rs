//! The process runtime, with a Python program that does what its function's name says.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{CodeRef, FunctionVersion, Runtime, SystemClock};
use fc_runtime::process::{ProcessConfig, ProcessRuntime};
use fc_testkit::conformance::runtime::{Behaviour, RuntimeFixture};

struct Fixture {
    code: tempfile::TempDir,
}

#[async_trait]
impl RuntimeFixture for Fixture {
    async fn runtime(&self) -> Arc<dyn Runtime> {
        let config = ProcessConfig { ready: Duration::from_secs(20), ..ProcessConfig::default() };
        Arc::new(ProcessRuntime::new(config, Arc::new(SystemClock::new())).unwrap())
    }

    fn version(&self, behaviour: Behaviour) -> Option<Arc<FunctionVersion>> {
        let code = CodeRef::Directory { path: self.code.path().into(), unpacked_bytes: 1 };
        super::version(behaviour, "custom", code)
    }

    /// Processes that run this fixture's program.
    fn held(&self) -> Option<usize> {
        let ours = self.code.path().canonicalize().ok()?;
        let entries = std::fs::read_dir("/proc").ok()?.flatten();
        let runs = |path: std::path::PathBuf| {
            std::fs::read_link(path.join("cwd")).is_ok_and(|directory| directory == ours)
        };
        Some(entries.filter(|entry| runs(entry.path())).count())
    }
}

async fn fixture() -> Fixture {
    let code = tempfile::tempdir().unwrap();
    let bootstrap = code.path().join("bootstrap");
    std::fs::write(&bootstrap, include_str!("bootstrap.py")).unwrap();
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
    Fixture { code }
}

fc_testkit::runtime_conformance!(fixture);
