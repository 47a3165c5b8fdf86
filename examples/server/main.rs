//! Serves a directory of functions over HTTP: `cargo run --release --example server`.
//!
//! Invocations that ask for it are queued: in the data directory, unless `--queue` says where else.
//!
//! Each folder with a `function.toml` is a function (see `fc::folder`), run as a process of its own.
//! What is written here, anybody can write: it uses the public parts of `fc` alone.

mod storage;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use fc::core::{AuthType, FunctionVersion, RequestId, Runtime, SystemClock};
use fc::runtime::process::{ProcessConfig, ProcessRuntime};
use fc::{AsyncParts, Context, FunctionFolder, Platform};
use http::Method;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use storage::Place;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// After a signal, requests have this long to finish, and then instances to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves every function of a directory over HTTP, each as a program of its own.
///
/// SIGINT and SIGTERM drain: nothing new is taken, running requests have 30 s to finish, then every
/// program is stopped. A second signal stops them at once.
#[derive(Parser, Debug)]
struct Options {
    /// Address and port to listen on; port 0 chooses a free one.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR")]
    listen: SocketAddr,

    /// Directory whose sub-directories with a `function.toml` are the functions.
    #[arg(long, default_value = "examples/functions", value_name = "DIR")]
    functions: PathBuf,

    /// Directory that is this server's alone, made if need be: `fc.lock` in it holds the process
    /// id, and a second server with the same directory is refused. Queued invocations and their
    /// records are kept in it.
    #[arg(long, default_value = "fc-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// Where queued invocations wait: `memory`, `embedded` (in the data directory), `nats://…`,
    /// `postgres://…`.
    #[arg(long, default_value = "embedded", value_name = "PLACE", hide_default_value = false)]
    queue: Place,

    /// Where records of tasks and settings are kept: as `--queue`.
    #[arg(long, default_value = "embedded", value_name = "PLACE")]
    store: Place,

    /// What is logged to stderr, as `RUST_LOG` has it: `warn`, `info,fc_runtime=debug`, …
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: EnvFilter,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(options.log.clone())
        .init();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    // Before anything is started: from here on, a signal ends the program in good order.
    let (first, second) = (Signals::new()?, Signals::new()?);
    let _lock = lock(&options.data_dir)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
    let address = listener.local_addr()?;

    let clock = Arc::new(SystemClock::new());
    let processes = Arc::new(ProcessRuntime::new(ProcessConfig::default(), clock.clone())?);
    let platform = Platform::builder().clock(clock).runtime(processes.clone()).build()?;
    let functions = deploy_all(&platform, &*processes, &options.functions).await?;
    // Behind the functions: what an earlier server has queued runs from here on.
    let data = &options.data_dir;
    let queue = storage::queue(&options.queue, data, platform.clock().clone()).await?;
    let store = storage::store(&options.store, data, platform.clock().clone()).await?;
    let platform = platform.asynchronous(AsyncParts::new(queue, store)).await?;
    let gateway = platform.gateway()?;
    let mut out = io::stdout().lock();
    out.write_all(table(&functions, address).as_bytes())?;
    writeln!(out, "listening on http://{address}")?;
    out.flush()?;
    drop(out);

    let served = async {
        // One drain for both: what the gateway takes of it, the platform does not have again.
        let mut asked = platform.clock().now();
        let first = async {
            first.come(1).await;
            asked = platform.clock().now();
        };
        gateway.serve(listener, first).await?;
        platform.shutdown(DRAIN.saturating_sub(platform.clock().now() - asked)).await;
        Ok(())
    };
    tokio::select! {
        served = served => served,
        () = second.come(2) => {
            platform.shutdown(Duration::ZERO).await;
            Err("stopped by a second signal: requests that ran were cut off".into())
        }
    }
}

/// Makes `dir` this process's own, for as long as the file is open.
fn lock(dir: &Path) -> Result<File, Failure> {
    let taken =
        |error: &dyn std::fmt::Display| format!("data directory {}: {error}", dir.display());
    fs::create_dir_all(dir).map_err(|error| taken(&error))?;
    let path = dir.join("fc.lock");
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| taken(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let holder = io::read_to_string(file).unwrap_or_default();
            return Err(taken(&format_args!("in use by process {}", holder.trim())).into());
        }
        Err(fs::TryLockError::Error(error)) => return Err(taken(&error).into()),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// A row of the table.
struct Row {
    name: String,
    runtime: String,
    outcome: Result<Arc<FunctionVersion>, String>,
}

/// Deploys every folder of `dir`. What is wrong with one keeps none of the others away.
async fn deploy_all(
    platform: &Platform,
    processes: &dyn Runtime,
    dir: &Path,
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut folder_of: HashMap<String, PathBuf> = HashMap::new();
    for (path, folder) in fc::folder::folders(dir)? {
        let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut runtime = String::from("-");
        let outcome = match folder {
            Err(error) => Err(error.to_string()),
            Ok(FunctionFolder { spec, code, .. }) => {
                name.clone_from(&spec.function_name);
                runtime.clone_from(&spec.runtime);
                match folder_of.insert(name.clone(), path) {
                    Some(other) => Err(format!("the name is taken by {}", other.display())),
                    None => match platform.deploy(&spec, code) {
                        Err(error) => Err(error.to_string()),
                        Ok(version) => prepare(platform, processes, version).await,
                    },
                }
            }
        };
        rows.push(Row { name, runtime, outcome });
    }
    Ok(rows)
}

/// A function that cannot start here is not offered, so that its callers are told at once.
async fn prepare(
    platform: &Platform,
    processes: &dyn Runtime,
    version: Arc<FunctionVersion>,
) -> Result<Arc<FunctionVersion>, String> {
    match processes.prepare(Context::new(RequestId::NIL), &version).await {
        Ok(()) => Ok(version),
        Err(error) => {
            let _ = platform.remove(version.name().as_str());
            Err(error.to_string())
        }
    }
}

/// One line for each function: its name, its runtime, and how to call it or why that is not possible.
fn table(rows: &[Row], address: SocketAddr) -> String {
    let width = |cell: fn(&Row) -> &str, title: &str| {
        rows.iter().map(cell).chain([title]).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let name = width(|row| &row.name, "FUNCTION");
    let runtime = width(|row| &row.runtime, "RUNTIME");
    let mut text = format!("{:name$}  {:runtime$}  TRY\n", "FUNCTION", "RUNTIME");
    for row in rows {
        let call = match &row.outcome {
            Ok(version) => curl(version, address),
            Err(reason) => format!("not served: {}", reason.replace(char::is_control, " ")),
        };
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{:name$}  {:runtime$}  {call}", row.name, row.runtime);
    }
    text
}

/// A command that calls the function: its HTTP trigger if that is open to everybody, else the API.
fn curl(version: &FunctionVersion, address: SocketAddr) -> String {
    let name = version.name().as_str();
    let reached = match address.ip() {
        ip if ip.is_unspecified() => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        }
        _ => address,
    };
    match version.http_trigger() {
        Some((methods, AuthType::Anonymous)) => {
            let preferred = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
            let method = match preferred.iter().find(|method| methods.contains(method)) {
                _ if methods.contains(&Method::GET) => String::new(),
                Some(method) => format!("-X {method} "),
                None if methods.contains(&Method::HEAD) => "-I ".into(),
                None => "-X OPTIONS ".into(),
            };
            // curl itself knows that a name under `localhost` is this machine's loopback.
            if reached.ip().is_loopback() && !name.contains('_') {
                format!("curl {method}http://{name}.localhost:{}/", reached.port())
            } else {
                format!("curl {method}-H 'Host: {name}.localhost' http://{reached}/")
            }
        }
        _ => format!("curl -d '{{}}' http://{reached}/2023-03-30/functions/{name}/invocations"),
    }
}

/// SIGINT and SIGTERM, counted together.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// Ready once `count` of them have come.
    async fn come(mut self, count: u32) {
        for _ in 0..count {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        }
    }
}
