//! A private nats-server with JetStream.
#![allow(clippy::disallowed_methods, reason = "it starts programs and waits for them")]

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What starting or recovering may take.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Runs the server, and kills it when whoever started it closes the pipe: at the latest as it dies.
const GUARD: &str = "\
dir=$1; shift
trap '' INT TERM HUP
\"$@\" </dev/null &
server=$!
keep=$(cat)
kill -KILL $server 2>/dev/null
wait $server 2>/dev/null
[ \"$keep\" = keep ] || rm -rf \"$dir\"";

/// What the server is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NatsSettings {
    /// `sync_interval: always`, where the server knows it (2.10 or later): see
    /// [`NatsServer::is_synced`].
    pub synced: bool,
    /// The largest message, bytes, if not the server's default of 1 MiB.
    pub max_payload: Option<u32>,
    /// Whether it has no JetStream.
    pub without_jetstream: bool,
}

/// A nats-server of its own: on a free port of the loopback, with its data in a temporary directory.
///
/// It is killed when this is dropped, and also if the process that holds it is killed.
#[derive(Debug)]
pub struct NatsServer {
    directory: TempDir,
    settings: NatsSettings,
    is_synced: bool,
    port: u16,
    guard: Option<Child>,
}

impl NatsServer {
    /// Starts a server without data; ready on return. It blocks.
    ///
    /// # Errors
    ///
    /// What is missing, with the Debian package that brings it, or what the server said.
    pub fn start(settings: NatsSettings) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("fc-nats-").tempdir();
        let directory = directory.map_err(|e| format!("a temporary directory: {e}"))?;
        let mut server = Self { directory, settings, is_synced: false, port: 0, guard: None };
        server.is_synced = server.settings.synced && server.knows_sync()?;
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

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it syncs each message before it acknowledges it: asked for, and known to the server.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Where it keeps its streams.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Kills it with `SIGKILL`, as a crash would.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not die.
    pub fn kill9(&mut self) -> Result<(), String> {
        if self.guard.is_none() {
            return Err("the server does not run".into());
        }
        self.release(true)
    }

    /// Starts it again with its data, on the same port; ready on return. It blocks.
    ///
    /// # Errors
    ///
    /// What the server said.
    pub fn restart(&mut self) -> Result<(), String> {
        self.release(true)?;
        self.run()
    }

    fn run(&mut self) -> Result<(), String> {
        let config = self.directory.path().join("nats.conf");
        write(&config, &self.config())?;
        let log = self.directory.path().join("log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(|e| format!("{}: {e}", log.display()))?;
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(self.directory.path());
        guard.arg(program()?).arg("-c").arg(&config).current_dir(self.directory.path());
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(file);
        self.guard = Some(guard.spawn().map_err(|e| format!("nats-server: {e}"))?);
        if until(|| self.is_ready()) {
            return Ok(());
        }
        self.release(true)?;
        let said = fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(20).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(format!("nats-server does not start: {}", last.join("\n")))
    }

    fn config(&self) -> String {
        let Self { settings, is_synced, port, .. } = self;
        let mut config = format!("host: 127.0.0.1\nport: {port}\n");
        if let Some(bytes) = settings.max_payload {
            config += &format!("max_payload: {bytes}\n");
        }
        if !settings.without_jetstream {
            let synced = if *is_synced { "  sync_interval: always\n" } else { "" };
            config += &format!("jetstream {{\n  store_dir: {:?}\n{synced}}}\n", self.data());
        }
        config
    }

    /// Servers before 2.10 do not start with a setting that they do not know.
    fn knows_sync(&self) -> Result<bool, String> {
        let config = self.directory.path().join("sync.conf");
        write(&config, "jetstream { sync_interval: always }\n")?;
        let tried = Command::new(program()?).arg("-t").arg("-c").arg(&config).output();
        let tried = tried.map_err(|e| format!("nats-server -t: {e}"))?;
        Ok(tried.status.success())
    }

    /// It greets when its streams are recovered.
    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return false;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).is_ok() && greeting == *b"INFO "
    }

    /// Ends the server and its guard, and keeps or removes the data.
    fn release(&mut self, keep: bool) -> Result<(), String> {
        use std::io::Write;
        let Some(mut guard) = self.guard.take() else {
            return Ok(());
        };
        if let (true, Some(stdin)) = (keep, &mut guard.stdin) {
            // A guard that is gone removes nothing either.
            let _ = stdin.write_all(b"keep");
        }
        drop(guard.stdin.take());
        if until(|| !matches!(guard.try_wait(), Ok(None))) {
            return Ok(());
        }
        let _ = guard.kill();
        let _ = guard.wait();
        Err(format!("nats-server does not end within {READY_WITHIN:?}"))
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.release(false);
    }
}

fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's is in /usr/sbin, which is not in everybody's path.
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|place| place.join("nats-server")).find(|program| program.is_file());
    found.ok_or_else(|| "no nats-server: install the Debian package 'nats-server'".into())
}

fn write(path: &std::path::Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|e| format!("a free port: {e}"))
}

fn until(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > READY_WITHIN {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_after_a_kill_and_leaves_nothing() {
        let mut server = NatsServer::start(NatsSettings::default()).unwrap();
        let directory = server.directory.path().to_owned();
        assert!(server.is_ready() && server.data().is_dir());
        server.kill9().unwrap();
        assert!(!server.is_ready() && server.data().is_dir());
        server.kill9().unwrap_err();
        server.restart().unwrap();
        assert!(server.is_ready());
        drop(server);
        assert!(!directory.exists());
    }
}
