//! Contenders in processes of their own: the benchmark's executable, run again in a role.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Names the role. Not `FC_…`, which no function may set (RUN-9).
pub(crate) const ROLE: &str = "BENCH_ROLE";

/// How long a contender may take to leave once its standard input is closed.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// A contender that listens. Dropping it ends the process and waits for that.
#[derive(Debug)]
pub(crate) struct Contender {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Contender {
    /// Runs this executable in `role` and waits until it says where it listens.
    pub(crate) fn start(role: &str, environment: &[(&str, &OsStr)]) -> Self {
        let mut command = Command::new(executable());
        command.env(ROLE, role).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("role {role}: {e}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the role's first line");
        let port = line.trim().parse().unwrap_or_else(|_| panic!("role {role} said {line:?}"));
        Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processes that it has started and not buried.
    pub(crate) fn children(&self) -> usize {
        children_of(self.pid())
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > LEAVE_WITHIN {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Runs this executable in `role` to its end, and gives what it printed.
pub(crate) fn output(role: &str, environment: &[(&str, &OsStr)]) -> String {
    let mut command = Command::new(executable());
    command.env(ROLE, role).envs(environment.iter().copied()).stderr(Stdio::inherit());
    let output = command.output().unwrap_or_else(|e| panic!("role {role}: {e}"));
    assert!(output.status.success(), "role {role}: {}", output.status);
    String::from_utf8(output.stdout).expect("the role prints text")
}

/// The role that this process is to play, if it is not the benchmark itself.
pub(crate) fn asked() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Processes whose parent is `pid`, the dead ones that wait to be buried included.
pub(crate) fn children_of(pid: u32) -> usize {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let parent = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name, which may hold anything: state, then parent.
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    entries.flatten().filter_map(parent).filter(|parent: &u32| *parent == pid).count()
}

/// This executable.
pub(crate) fn executable() -> PathBuf {
    std::env::current_exe().expect("the path of this executable")
}

/// Tells the benchmark where this role listens.
pub(crate) fn listening(listener: &tokio::net::TcpListener) {
    println!("{}", listener.local_addr().expect("the listener's address").port());
}

/// Ready when the benchmark has ended this role, or is no more.
pub(crate) async fn ended() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

/// The runtime of every server under test: one worker thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a tokio runtime of one worker")
}

/// A listener on a free port of the loopback.
pub(crate) async fn listener() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port of the loopback")
}
