//! What the tests of the process runtime share: functions in temporary directories.
#![allow(dead_code, unreachable_pub, clippy::disallowed_methods, clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use fc_core::{
    AccountId, Attachment, AttachmentId, Body, Clock, CodeRef, Context, CustomRuntimeConfig,
    FunctionSpec, FunctionVersion, Instance, InstanceId, InstanceSpec, Invocation, InvocationKind,
    Limits, LogType, Qualifier, Reply, Request, RequestId, RequestIds, Result, Runtime,
    SystemClock, Target, VersionId,
};
use fc_runtime::process::{ProcessConfig, ProcessRuntime};
use tempfile::TempDir;

pub const SERVER: &str = include_str!("server.py");

/// Fails instead of hanging.
pub async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("took over 60 s")
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Tests of one process run at once: each runtime has ports of its own.
pub fn config() -> ProcessConfig {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Files of tests run at once too, each in a process of its own.
    let base = 20_000 + (std::process::id() % 40) as u16 * 200;
    let first = base + NEXT.fetch_add(1, Ordering::Relaxed) % 20 * 10;
    ProcessConfig { region: "cn-test".into(), ports: first..=first + 9, ..ProcessConfig::default() }
}

pub fn runtime() -> ProcessRuntime {
    ProcessRuntime::new(config(), clock()).unwrap()
}

/// A function: its files and its version.
pub struct Function {
    pub folder: TempDir,
    pub spec: FunctionSpec,
}

impl Function {
    /// A function whose `bootstrap` is `program`.
    pub fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_program(&folder.path().join("bootstrap"), program);
        Self {
            folder,
            spec: FunctionSpec {
                function_name: "tested".into(),
                runtime: "custom.debian12".into(),
                handler: "index.handler".into(),
                timeout: 30,
                ..FunctionSpec::default()
            },
        }
    }

    pub fn server() -> Self {
        Self::new(SERVER)
    }

    pub fn with(mut self, change: impl FnOnce(&mut FunctionSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    pub fn with_runtime_config(self, change: impl FnOnce(&mut CustomRuntimeConfig)) -> Self {
        self.with(|spec| {
            change(spec.custom_runtime_config.get_or_insert_default());
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn version(&self) -> Arc<FunctionVersion> {
        self.version_of(CodeRef::Directory { path: self.path().into(), unpacked_bytes: 1 })
    }

    pub fn version_of(&self, code: CodeRef) -> Arc<FunctionVersion> {
        let account = AccountId::new("1234567890").unwrap();
        let limits = Limits::function_compute();
        let id = VersionId::new(7);
        FunctionVersion::new(1, account, id, &self.spec, Arc::new(code), &limits).unwrap().into()
    }

    pub async fn start(&self, runtime: &ProcessRuntime) -> Result<Arc<dyn Instance>> {
        let spec = instance_spec(self.version());
        runtime.prepare(cx(), &spec.version).await?;
        runtime.start(cx(), &spec).await
    }

    /// The lines of a file that the program wrote.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap_or_default();
        text.lines().map(String::from).collect()
    }
}

/// Python itself: what is called `python3` may be a script that looks for it.
pub fn python() -> &'static str {
    static PYTHON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PYTHON.get_or_init(|| {
        let asked = std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.executable, end='')"])
            .output();
        String::from_utf8(asked.unwrap().stdout).unwrap()
    })
}

pub fn write_program(path: &PathBuf, program: &str) {
    let program = program.replacen("#!/usr/bin/env python3", &format!("#!{}", python()), 1);
    std::fs::write(path, program).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn instance_spec(version: Arc<FunctionVersion>) -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::from_request(next_id()),
        version,
        attachment: Attachment {
            id: AttachmentId(1),
            address: [127, 0, 0, 1].into(),
            own_address: false,
            namespace: None,
        },
        boost: None,
    }
}

pub fn next_id() -> RequestId {
    static IDS: std::sync::OnceLock<RequestIds> = std::sync::OnceLock::new();
    static SECONDS: AtomicU64 = AtomicU64::new(1);
    let ids = IDS.get_or_init(RequestIds::from_machine);
    let millis = SECONDS.fetch_add(1, Ordering::Relaxed) * 1000;
    ids.next(fc_core::Timestamp::from_unix_millis(millis))
}

pub fn cx() -> Context {
    Context::new(next_id())
}

pub fn event(version: &Arc<FunctionVersion>, payload: impl Into<Body>) -> Invocation {
    Invocation {
        target: Target::Resolved {
            version: version.clone(),
            qualifier: Qualifier::Alias("prod".into()),
        },
        kind: InvocationKind::Event,
        client_ip: None,
        log: LogType::None,
        asynchronous: None,
        request: Request::new(payload.into()),
    }
}

pub fn http(
    version: &Arc<FunctionVersion>,
    method: &str,
    path: &str,
    body: impl Into<Body>,
) -> Invocation {
    let mut request = Request::new(body.into());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    Invocation {
        kind: InvocationKind::Http,
        client_ip: Some([192, 0, 2, 9].into()),
        request,
        ..event(version, Body::EMPTY)
    }
}

/// Sends one HTTP request and reads the answer.
pub async fn call(instance: &Arc<dyn Instance>, function: &Function, path: &str) -> Result<String> {
    let reply = instance.invoke(cx(), http(&function.version(), "GET", path, ())).await?;
    text(reply).await
}

pub async fn text(reply: Reply) -> Result<String> {
    let bytes = reply.response.into_body().read(64 << 20).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// The numbers of all processes whose environment names this instance or whose id is given.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

pub fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Children of this process, zombies too.
pub fn children() -> usize {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
            rest.split(' ').nth(1) == Some(&own)
        })
        .count()
}
