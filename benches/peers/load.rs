//! The load generator: raw TCP, keep-alive, one request at a time on each connection.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::cpu::CpuTimes;

/// Connections of a closed loop.
pub(crate) const CONNECTIONS: usize = 64;

/// Largest answer, bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What to send, where to, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// The request as it goes over the wire.
    pub(crate) request: &'static [u8],
    /// The body of each answer.
    pub(crate) body: &'static str,
}

/// What a server did in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Requests in a second.
    pub(crate) requests_per_second: f64,
    /// CPU time of the server's process for one request, microseconds.
    pub(crate) cpu_us: f64,
}

impl Load {
    /// Loads the server, whose process is `pid`, for `warm_up` and then for a counted `turn`.
    ///
    /// Panics if an answer is not a 200 with the body, or a connection breaks: figures of a server
    /// that fails are worth nothing.
    pub(crate) fn turn(&self, pid: u32, warm_up: Duration, turn: Duration) -> Turn {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a tokio runtime for the load generator");
        LocalSet::new().block_on(&runtime, async {
            let served = Rc::new(Cell::new(0));
            let mut connections = JoinSet::new();
            for _ in 0..CONNECTIONS {
                connections.spawn_local(self.clone().repeat(served.clone()));
            }
            let counted = async {
                tokio::time::sleep(warm_up).await;
                let (cpu, count, start) = (CpuTimes::of(pid), served.get(), Instant::now());
                tokio::time::sleep(turn).await;
                let seconds = start.elapsed().as_secs_f64();
                let requests = (served.get() - count) as f64;
                let cpu_ns = CpuTimes::of(pid).since(&cpu) as f64;
                assert!(requests > 0.0, "{}: nothing was answered in {turn:?}", self.address);
                Turn { requests_per_second: requests / seconds, cpu_us: cpu_ns / 1e3 / requests }
            };
            tokio::select! {
                turn = counted => turn,
                failed = connections.join_next() => {
                    panic!("{}: a connection failed: {failed:?}", self.address)
                }
            }
        })
    }

    /// One request on a connection of its own: the answer's head, without the empty line.
    pub(crate) fn head(&self) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a tokio runtime for the load generator").block_on(async {
            let mut stream = TcpStream::connect(self.address).await.expect("connect");
            let mut buffer = vec![0; ANSWER_BYTES_MAX];
            let head = self.exchange(&mut stream, &mut buffer).await;
            let head = head.unwrap_or_else(|e| panic!("{}: {e}", self.address));
            String::from_utf8_lossy(&buffer[..head]).into_owned()
        })
    }

    async fn repeat(self, served: Rc<Cell<u64>>) -> std::io::Error {
        let work = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let mut buffer = vec![0; ANSWER_BYTES_MAX];
            loop {
                self.exchange(&mut stream, &mut buffer).await?;
                served.set(served.get() + 1);
            }
        };
        let failed: std::io::Result<std::convert::Infallible> = work.await;
        match failed {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// One request and its answer, which is left in `buffer`: the length of its head.
    async fn exchange(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
        stream.write_all(self.request).await?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err(wrong("the server closed the connection", &buffer[..filled]));
            }
            filled += read;
            let answer = &buffer[..filled];
            let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            if !answer.starts_with(b"HTTP/1.1 200") {
                return Err(wrong("not a 200", answer));
            }
            let length = content_length(&answer[..head]);
            let length = length.ok_or_else(|| wrong("no Content-Length", answer))?;
            let body = &answer[head + 4..];
            if body.len() < length {
                continue;
            }
            if body != self.body.as_bytes() {
                return Err(wrong("not the body that was expected", answer));
            }
            return Ok(head);
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let value = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    })?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn wrong(what: &str, answer: &[u8]) -> std::io::Error {
    std::io::Error::other(format!("{what}: {:?}", String::from_utf8_lossy(answer)))
}
