//! An endpoint that writes down what it gets and answers as it is told, byte for byte.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// The header's one value.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name));
        let value = values.next().unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert!(values.next().is_none(), "{name} came twice: {self:?}");
        &value.1
    }
}

#[derive(Default)]
struct Notes {
    connections: usize,
    requests: Vec<Received>,
    answers: VecDeque<Answer>,
    written: u64,
    is_closed: bool,
}

/// What an endpoint does with a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Writes this, and goes on.
    Bytes(String),
    /// Writes this, then bytes without end.
    Endless(String),
    /// Nothing.
    Silence,
    /// Closes the connection.
    Close,
}

/// An answer of this status line and these header lines, without a body.
pub(super) fn plain(status: &str, headers: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n{headers}\r\n"))
}

/// An endpoint; it ends with its drop.
pub(super) struct Receiver {
    pub(super) at: SocketAddr,
    notes: Arc<Mutex<Notes>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::on("127.0.0.1:0", answers).await
    }

    pub(super) async fn on(at: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind(at).await.expect("a free port");
        let at = listener.local_addr().expect("an address");
        let notes = Notes { answers: answers.into_iter().collect(), ..Notes::default() };
        let notes = Arc::new(Mutex::new(notes));
        let shared = notes.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().expect("notes").connections += 1;
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { at, notes, task }
    }

    #[cfg(feature = "tls")]
    pub(super) async fn encrypted(
        tls: tokio_rustls::TlsAcceptor,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("an address");
        let notes = Notes { answers: answers.into_iter().collect(), ..Notes::default() };
        let notes = Arc::new(Mutex::new(notes));
        let shared = notes.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().expect("notes").connections += 1;
                let (tls, shared) = (tls.clone(), shared.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                });
            }
        });
        Self { at, notes, task }
    }

    pub(super) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.at)
    }

    pub(super) fn connections(&self) -> usize {
        self.notes.lock().expect("notes").connections
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        self.notes.lock().expect("notes").requests.clone()
    }

    /// Bytes of an endless answer that were written, once its reader has gone.
    pub(super) fn written_in_the_end(&self) -> Option<u64> {
        let notes = self.notes.lock().expect("notes");
        notes.is_closed.then_some(notes.written)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, notes: Arc<Mutex<Notes>>) {
    while let Some(request) = read(&mut stream).await {
        let answer = {
            let mut notes = notes.lock().expect("notes");
            notes.requests.push(request);
            notes.answers.pop_front().unwrap_or(Answer::Close)
        };
        match answer {
            Answer::Bytes(bytes) => {
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Endless(head) => {
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 1024]).await;
                    notes.lock().expect("notes").written += 1024;
                }
                notes.lock().expect("notes").is_closed = true;
                return;
            }
            Answer::Silence => std::future::pending().await,
            Answer::Close => return,
        }
        if stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        assert!(head.len() < 64 * 1024, "an endless head");
    }
    let head = String::from_utf8(head).expect("a head of text");
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let received = Received { line, headers, body: Vec::new() };
    let mut body = vec![0; received.header("content-length").parse().expect("a length")];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { body, ..received })
}
