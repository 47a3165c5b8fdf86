//! The example server as a process, and a client for it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "real processes take real time")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustix::process::Pid;
pub use rustix::process::Signal;

/// Whatever a test waits for must come within this.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The example server's binary, built if it is not.
pub fn server_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // <target>/<profile>/deps/<test>
        let test = std::env::current_exe().expect("a test is a file");
        let profile_dir = test.ancestors().nth(2).expect("a test lies in the target directory");
        let profile = profile_dir.file_name().and_then(|name| name.to_str()).expect("a profile");
        let profile = if profile == "debug" { "dev" } else { profile };
        let target = profile_dir.parent().expect("a profile lies in the target directory");
        let built = Command::new(env!("CARGO"))
            // As `.ci/test` builds it, so that there is nothing left to build.
            .args(["build", "--quiet", "--workspace", "--all-features"])
            .args(["--example", "server", "--profile", profile])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the example server does not build");
        profile_dir.join("examples/server")
    })
}

/// A directory of functions.
pub struct Functions {
    dir: tempfile::TempDir,
}

impl Functions {
    pub fn none() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Copies of sample functions.
    pub fn samples(names: &[&str]) -> Self {
        let this = Self::none();
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/functions");
        for name in names {
            fs::create_dir(this.path().join(name)).unwrap();
            for entry in fs::read_dir(samples.join(name)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), this.path().join(name).join(entry.file_name())).unwrap();
            }
        }
        this
    }

    /// One more, of a `function.toml` and a `bootstrap`.
    pub fn and(self, name: &str, toml: &str, bootstrap: &str) -> Self {
        let folder = self.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("function.toml"), toml).unwrap();
        fs::write(folder.join("bootstrap"), bootstrap).unwrap();
        fs::set_permissions(folder.join("bootstrap"), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Processes whose code lies here, asked of the operating system.
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("FC_FUNC_CODE_PATH={}/", self.path().canonicalize().unwrap().display());
        let runs_here = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(mark.as_bytes()))
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(runs_here).collect()
    }
}

/// Servers choose their functions' ports from one range: one server at a time on this machine.
fn turn() -> File {
    let path = std::env::temp_dir().join("fc-test-server.lock");
    let file = File::options().write(true).create(true).truncate(false).open(path).unwrap();
    file.lock().unwrap();
    file
}

/// A running example server. Dropping it kills it, and whatever it would leave.
pub struct Server {
    child: Child,
    pub table: String,
    pub address: SocketAddr,
    pub functions: Functions,
    log: Arc<Mutex<String>>,
    _turn: File,
    /// Where it keeps its data, unless the test names another place.
    _data: tempfile::TempDir,
}

impl Server {
    /// Starts one and waits until it says that it listens.
    pub fn start(functions: Functions) -> Self {
        Self::start_with(functions, &[])
    }

    pub fn start_with(functions: Functions, flags: &[&str]) -> Self {
        let turn = turn();
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(server_binary());
        command.args(["--listen", "127.0.0.1:0", "--functions"]).arg(functions.path());
        if !flags.contains(&"--data-dir") {
            command.arg("--data-dir").arg(data.path());
        }
        let mut child =
            command.args(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, copy) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut table, mut line) = (String::new(), String::new());
        let address = loop {
            line.clear();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let status = child.wait().unwrap();
                panic!("the server ended before it listened: {status}\n{}", log.lock().unwrap());
            }
            match line.trim_end().strip_prefix("listening on http://") {
                Some(address) => break address.parse().unwrap(),
                None => table.push_str(&line),
            }
        };
        // Nobody reads the rest, and the server must not wait for a reader.
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        Self { child, table, address, functions, log, _turn: turn, _data: data }
    }

    /// The row of `function`.
    pub fn row(&self, function: &str) -> &str {
        let row = self.table.lines().find(|line| line.split_whitespace().next() == Some(function));
        row.unwrap_or_else(|| panic!("no row for {function} in\n{}", self.table))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.child.id(), signal);
    }

    /// Kills it and its programs, and gives its functions to the next.
    pub fn kill9(mut self) -> Functions {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let functions = std::mem::replace(&mut self.functions, Functions::none());
        for pid in functions.processes() {
            kill(pid, Signal::KILL);
        }
        functions
    }

    /// Waits for the server's own end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A request of one connection, answered whole.
    pub async fn request(
        &self,
        method: Method,
        host: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        in_time(exchange(self.address, method, host, path, body.into())).await
    }

    /// The HTTP trigger of `function`.
    pub async fn get(&self, function: &str, path: &str) -> Response<Bytes> {
        self.request(Method::GET, &format!("{function}.localhost"), path, "").await
    }

    /// The API.
    pub async fn invoke(&self, function: &str, event: &'static str) -> Response<Bytes> {
        let path = format!("/2023-03-30/functions/{function}/invocations");
        self.request(Method::POST, "127.0.0.1", &path, event).await
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "what a failed test shows")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in self.functions.processes() {
            kill(pid, Signal::KILL);
        }
    }
}

fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process of ours");
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, signal);
}

/// The same with headers.
pub async fn exchange_with(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Option<Response<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let mut request =
        http::Request::builder().method(method).uri(path).header(http::header::HOST, "127.0.0.1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).unwrap();
    let (head, body) = sender.send_request(request).await.ok()?.into_parts();
    Some(Response::from_parts(head, body.collect().await.ok()?.to_bytes()))
}

/// A request on a connection of its own. The answer keeps its `content-length`-framed or chunked
/// body whole.
pub async fn exchange(
    address: SocketAddr,
    method: Method,
    host: &str,
    path: &str,
    body: Bytes,
) -> Response<Bytes> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, host)
        .body(Full::new(body))
        .unwrap();
    let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
    Response::from_parts(head, body.collect().await.expect("the whole answer").to_bytes())
}

pub fn json(answer: &Response<Bytes>) -> serde_json::Value {
    serde_json::from_slice(answer.body()).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

pub fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> &'a str {
    let value = answer.headers().get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    value.to_str().unwrap()
}

/// Waits for `future`.
pub async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

/// Waits until `holds`.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}
