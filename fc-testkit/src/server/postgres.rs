//! A private PostgreSQL.
#![allow(clippy::disallowed_methods, reason = "it starts programs and waits for them")]

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What starting or recovering may take.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Runs the server, and ends it when whoever started it closes the pipe: at the latest as it dies.
const GUARD: &str = "\
dir=$1; shift
\"$@\" </dev/null &
server=$!
keep=$(cat)
kill -QUIT $server 2>/dev/null
wait $server
[ \"$keep\" = keep ] || rm -rf \"$dir\"";

/// A PostgreSQL server of its own: on a free port of the loopback, with its data in a temporary
/// directory, run by an unprivileged user.
///
/// It ends with its owner: when this is dropped, and also if the process that holds it is killed.
#[derive(Debug)]
pub struct PostgresServer {
    directory: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    settings: Vec<(String, String)>,
    port: u16,
    guard: Option<Child>,
}

impl PostgresServer {
    /// Makes a cluster and starts it with `settings` of `postgresql.conf`; ready on return. It blocks.
    ///
    /// # Errors
    ///
    /// What is missing, with the Debian package that brings it, or what the server said.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self, String> {
        let programs = programs()?;
        let directory = tempfile::Builder::new().prefix("fc-postgres-").tempdir();
        let directory = directory.map_err(|e| format!("a temporary directory: {e}"))?;
        let user = unprivileged(directory.path())?;
        if let Some((uid, gid)) = user {
            let given = chown(directory.path(), Some(uid), Some(gid));
            given.map_err(|e| format!("chown of {}: {e}", directory.path().display()))?;
        }
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut server = Self { directory, programs, user, settings, port: 0, guard: None };
        server.initialize()?;
        // Somebody else may take the port before the server does.
        let mut failure = String::new();
        for _ in 0..3 {
            server.port = free_port()?;
            match server.run() {
                Ok(()) => return Ok(server),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Where it listens, for a client of the superuser `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Changes the settings that the next start takes.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Kills all its processes with `SIGKILL`, as a crash would.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not die.
    pub fn kill9(&mut self) -> Result<(), String> {
        let postmaster = self.postmaster().ok_or("the server does not run")?;
        let children = children_of(postmaster);
        // The parent first, or it would mourn its children and start new ones.
        for pid in std::iter::once(postmaster).chain(children.iter().copied()) {
            if let Some(pid) = Pid::from_raw(pid) {
                // Gone already is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        self.release(true)?;
        until("its processes are gone", || children.iter().all(|pid| !is_alive(*pid)))
    }

    /// Starts it again with its data, on the same port; ready on return.
    ///
    /// # Errors
    ///
    /// What the server said.
    pub fn restart(&mut self) -> Result<(), String> {
        if self.guard.is_some() {
            self.release(true)?;
        }
        self.run()
    }

    fn initialize(&self) -> Result<(), String> {
        let mut initdb = self.command(&self.programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--pgdata"]).arg(self.data());
        let output = initdb.output().map_err(|e| format!("initdb: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("initdb: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn run(&mut self) -> Result<(), String> {
        let log = self.directory.path().join("log");
        let file = fs::File::create(&log);
        let file = file.map_err(|e| format!("{}: {e}", log.display()))?;
        // What a crash left says nothing of the new server.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        let mut guard = self.command(Path::new("sh"));
        guard.args(["-c", GUARD, "guard"]).arg(self.directory.path());
        guard.arg(self.programs.join("postgres")).arg("-D").arg(self.data());
        let sockets = self.directory.path().display();
        guard.args(["-c", &format!("unix_socket_directories={sockets}")]);
        guard.args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={}", self.port)]);
        for (name, value) in &self.settings {
            guard.args(["-c", &format!("{name}={value}")]);
        }
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(file);
        // What ends us from a terminal must not end the guard before the server.
        guard.process_group(0);
        let guard = guard.spawn().map_err(|e| format!("postgres: {e}"))?;
        self.guard = Some(guard);
        let ready = until("the server is ready", || self.is_ready() || self.has_ended());
        if ready.is_ok() && self.is_ready() {
            return Ok(());
        }
        self.release(true)?;
        let said = fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(20).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(format!("postgres does not start: {}", last.join("\n")))
    }

    /// Ends the server and its guard, and keeps or removes the data.
    fn release(&mut self, keep: bool) -> Result<(), String> {
        let Some(mut guard) = self.guard.take() else {
            return Ok(());
        };
        if let (true, Some(stdin)) = (keep, &mut guard.stdin) {
            // A guard that is gone removes nothing either.
            let _ = stdin.write_all(b"keep");
        }
        drop(guard.stdin.take());
        let ended = until("the server ends", || !matches!(guard.try_wait(), Ok(None)));
        if ended.is_err() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
        ended
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn pid_file(&self) -> Vec<String> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn postmaster(&self) -> Option<i32> {
        self.pid_file().first()?.parse().ok().filter(|pid| is_alive(*pid))
    }

    fn is_ready(&self) -> bool {
        self.pid_file().get(7).is_some_and(|status| status == "ready")
    }

    /// Whether a server has said something and is gone: its guard waits for the pipe.
    fn has_ended(&self) -> bool {
        let Some(guard) = &self.guard else {
            return true;
        };
        let servers = children_of(guard.id() as i32);
        !servers.iter().any(|pid| command_of(*pid).contains("postgres"))
            && fs::metadata(self.directory.path().join("log")).is_ok_and(|log| log.len() > 0)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.release(false);
    }
}

/// Where `initdb` and `postgres` are: the newest that Debian installed, or in the path.
fn programs() -> Result<PathBuf, String> {
    let has_both = |path: &PathBuf| ["initdb", "postgres"].iter().all(|p| path.join(p).is_file());
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        versions.extend(version.map(|version| (version, entry.path().join("bin"))));
    }
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = versions.into_iter().rev().map(|(_, path)| path);
    let found = installed.chain(std::env::split_paths(&path)).find(has_both);
    found.ok_or_else(|| "no PostgreSQL server: install the Debian package 'postgresql'".into())
}

/// Whom the server runs as if we are root, which it refuses to be.
fn unprivileged(directory: &Path) -> Result<Option<(u32, u32)>, String> {
    let owner = fs::metadata(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    if owner.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|e| format!("/etc/passwd: {e}"))?;
    let ids = |name: &str| {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let user = users.lines().map(fields).find(|user| user[0] == name)?;
        Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?))
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    found.map(Some).ok_or_else(|| "neither user 'postgres' nor 'nobody' exists".into())
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|e| format!("a free port: {e}"))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > READY_WITHIN {
            return Err(format!("not within {READY_WITHIN:?}: {what}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// State and parent of a process.
fn stat(pid: i32) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

fn children_of(parent: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, its)| its == parent)).collect()
}

fn command_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_a_kill_and_leaves_nothing() {
        let mut server = PostgresServer::start(&[("fsync", "on")]).unwrap();
        let port = server.port();
        server.kill9().unwrap();
        assert_eq!(server.postmaster(), None);
        server.restart().unwrap();
        assert_eq!(server.port(), port);
        let (pid, data) = (server.postmaster().unwrap(), server.data());
        drop(server);
        assert!(!is_alive(pid) && !data.exists());
    }

    #[test]
    fn a_setting_that_it_refuses_is_told() {
        let refused = PostgresServer::start(&[("no_such_setting", "1")]).unwrap_err();
        assert!(refused.contains("no_such_setting"), "{refused}");
    }
}
