//! nginx as a reverse proxy: what a user would put in front instead.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::spawn::free_port;

/// What a row says where there is no nginx.
pub(crate) const MISSING: &str = "peer missing: apt-get install nginx-light";

/// How long nginx may take to listen.
const LISTEN_WITHIN: Duration = Duration::from_secs(10);

/// Starts its arguments, says their process, and ends it with its own standard input: even a
/// benchmark that is killed leaves no nginx behind.
const WATCHED: &str = r#""$0" "$@" & echo $!; read -r _; kill -9 $!; wait"#;

/// One nginx process without a master, with a configuration of its own. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Nginx {
    watcher: Child,
    pid: u32,
    _directory: TempDir,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// Starts a reverse proxy in front of `upstream`, if there is an nginx.
    pub(crate) fn start(upstream: SocketAddr) -> Option<Self> {
        let program = find()?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration(directory.path(), address, upstream)).expect("write");
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHED])
            .arg(program)
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&file);
        command.arg("-e").arg(directory.path().join("error.log"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("nginx's process");
        let pid = line.trim().parse().unwrap_or_else(|_| panic!("nginx is process {line:?}"));
        let mut this = Self { watcher: child, pid, _directory: directory, address };
        this.wait_until_it_listens();
        Some(this)
    }

    /// Its process, which is its worker as well.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn wait_until_it_listens(&mut self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Ok(Some(status)) = self.watcher.try_wait() {
                panic!("nginx's watcher left with {status}");
            }
            assert!(start.elapsed() < LISTEN_WITHIN, "nginx does not listen on {}", self.address);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.map(|directory| directory.join("nginx")).find(|program| program.is_file())
}

fn configuration(directory: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let directory = directory.display();
    let mut temporary = String::new();
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(temporary, "{name}_temp_path {directory}/{name};");
    }
    // Connections live as long as the benchmark: nginx's own limit is 1000 requests.
    format!(
        "daemon off; master_process off; worker_processes 1; pid {directory}/pid;
         error_log {directory}/error.log warn;
         events {{ worker_connections 1024; }}
         http {{
             {temporary}
             access_log off;
             keepalive_requests 1000000000; keepalive_timeout 3600;
             upstream function {{
                 server {upstream};
                 keepalive 128; keepalive_requests 1000000000; keepalive_timeout 3600;
             }}
             server {{
                 listen {address};
                 location / {{
                     proxy_pass http://function;
                     proxy_http_version 1.1;
                     proxy_set_header Connection \"\";
                     proxy_set_header Host $http_host;
                 }}
             }}
         }}"
    )
}
