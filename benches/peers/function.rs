//! The programs that stand behind a gateway or a proxy: the same ones for every contender.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::servers;
use super::{HELLO, role};

/// The role of the compiled program: hyper on the port that the platform names.
pub(crate) const FUNCTION: &str = "function";

/// Where the platform says that a program is to listen (`alibaba-fc.md` 5.3).
pub(crate) const PORT: &str = "FC_CUSTOM_LISTEN_PORT";

/// What a row says where there is no Python.
pub(crate) const NO_PYTHON: &str = "peer missing: apt-get install python3";

/// A function's code: a directory with a `bootstrap`.
#[derive(Debug)]
pub(crate) struct Program {
    directory: TempDir,
}

impl Program {
    /// This executable, in the role of a hyper server.
    pub(crate) fn compiled() -> Self {
        let this = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        fs::copy(role::executable(), this.bootstrap()).expect("copy this executable");
        this
    }

    /// A Python server on raw sockets, if there is a Python. The interpreter is named by its path, so
    /// that no shim of a version manager is measured.
    pub(crate) fn python() -> Option<Self> {
        let script = ["-c", "import sys; print(sys.executable)"];
        let output = Command::new("python3").args(script).output().ok()?;
        let interpreter = String::from_utf8(output.stdout).ok().filter(|path| !path.is_empty())?;
        let this = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        let text = format!("#!{} -SE\n{PYTHON}", interpreter.trim());
        fs::write(this.bootstrap(), text.replace("HELLO", HELLO)).expect("write the script");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(this.bootstrap(), executable).expect("make it executable");
        Some(this)
    }

    /// Its code directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What is executed.
    pub(crate) fn bootstrap(&self) -> std::path::PathBuf {
        self.directory().join("bootstrap")
    }
}

/// The compiled program. On port 0 it chooses one, says so, and leaves with its standard input.
pub(crate) fn serve() {
    let port = std::env::var(PORT).ok().and_then(|port| port.parse::<u16>().ok());
    role::runtime().block_on(async {
        let Some(port) = port else {
            let listener = role::listener().await;
            role::listening(&listener);
            tokio::select! {
                () = servers::answer(listener, Vec::new()) => {}
                () = role::ended() => {}
            }
            return;
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
        servers::answer(listener, Vec::new()).await;
    });
}

/// Reads no body: it is asked for nothing that has one.
const PYTHON: &str = r#"
import os, select, socket
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["FC_CUSTOM_LISTEN_PORT"])))
server.listen(128)
poll, clients = select.poll(), {}
poll.register(server, select.POLLIN)
answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len("HELLO"), b"HELLO")
while True:
    for fd, _ in poll.poll():
        if fd == server.fileno():
            client, _ = server.accept()
            clients[client.fileno()] = [client, b""]
            poll.register(client, select.POLLIN)
            continue
        client, head = clients[fd]
        try:
            data = client.recv(65536)
        except ConnectionError:
            data = b""
        head += data
        while b"\r\n\r\n" in head:
            head = head.split(b"\r\n\r\n", 1)[1]
            client.sendall(answer)
        clients[fd][1] = head
        if not data:
            poll.unregister(fd)
            del clients[fd]
            client.close()
"#;
