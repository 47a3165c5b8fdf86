//! A gateway over a catalog and functions made here, and a client that sends bytes as they are.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::disallowed_methods,
    clippy::unwrap_used
)]

mod answer;
mod bodies;
mod functions;
mod queue;

pub use answer::{Answer, next_answer};
pub use bodies::{chunked, undeclared};
pub use functions::{Functions, Gatekeeper, NAMES, RUDE};
pub use queue::{Enqueued, Enqueuer, KnownTasks, task};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    AccountId, AuthType, Body, Catalog, CodeRef, Context, Error, ErrorKind, FailureType,
    FunctionSpec, FunctionVersion, HttpTriggerSpec, InstanceId, Invocation, InvocationKind, Invoke,
    Limits, Qualifier, Reply, Report, RequestIds, Result, SystemClock, Target, VersionId,
};
use fc_trigger::{Gateway, GatewayConfig, GatewayPorts};
use http::HeaderMap;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// No test runs longer.
pub const GUARD: Duration = Duration::from_secs(60);

pub async fn guarded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future).await.expect("the test hangs")
}

/// Waits until `condition` holds.
pub async fn until(condition: impl Fn() -> bool) {
    guarded(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// What a function saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub function: String,
    pub qualifier: String,
    pub kind: InvocationKind,
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    pub trailers: bool,
    pub client_ip: Option<std::net::IpAddr>,
}

/// The witness: what reached functions, what was dropped, what is running.
#[derive(Debug, Default)]
pub struct Witness {
    pub seen: std::sync::Mutex<Vec<Seen>>,
    pub body_errors: std::sync::Mutex<Vec<String>>,
    pub running: AtomicUsize,
    pub dropped: AtomicUsize,
    pub authorized: std::sync::Mutex<Vec<(String, HeaderMap)>>,
    pub release: Notify,
    /// How the streamed answers ended.
    pub endings: std::sync::Mutex<Vec<fc_core::Ending>>,
}

impl Witness {
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn is_running(&self, n: usize) -> bool {
        self.running.load(Ordering::SeqCst) == n
    }

    pub fn has_dropped(&self, n: usize) -> bool {
        self.dropped.load(Ordering::SeqCst) == n
    }
}

struct Running<'w>(&'w Witness, bool);

impl<'w> Running<'w> {
    fn new(witness: &'w Witness) -> Self {
        witness.running.fetch_add(1, Ordering::SeqCst);
        Self(witness, false)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub fn account() -> AccountId {
    AccountId::new("1234567890").unwrap()
}

fn version(uid: u64, name: &str, trigger: Option<HttpTriggerSpec>) -> Arc<FunctionVersion> {
    let spec = FunctionSpec {
        function_name: name.into(),
        runtime: "in-process".into(),
        http_trigger: trigger,
        ..FunctionSpec::default()
    };
    let code = Arc::new(CodeRef::Registered);
    let limits = Limits::function_compute();
    Arc::new(FunctionVersion::new(uid, account(), VersionId::LATEST, &spec, code, &limits).unwrap())
}

pub struct Setup {
    pub config: GatewayConfig,
    pub authorize: Option<bool>,
    pub enqueue: Option<Arc<Enqueuer>>,
    pub tasks: Option<Arc<KnownTasks>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { config: GatewayConfig::new(account()), authorize: None, enqueue: None, tasks: None }
    }
}

impl Setup {
    pub fn gateway(self) -> (Gateway, Arc<Witness>) {
        let witness = Arc::new(Witness::default());
        let trigger = |methods: &[&str], auth_type| HttpTriggerSpec {
            methods: methods.iter().map(|m| (*m).to_owned()).collect(),
            auth_type,
        };
        let mut versions: HashMap<_, _> = NAMES
            .iter()
            .enumerate()
            .map(|(uid, name)| {
                ((*name).to_owned(), version(uid as u64, name, Some(HttpTriggerSpec::default())))
            })
            .collect();
        versions.insert("plain".into(), version(100, "plain", None));
        versions.insert(
            "get-only".into(),
            version(101, "get-only", Some(trigger(&["GET", "HEAD"], AuthType::Anonymous))),
        );
        versions.insert(
            "signed".into(),
            version(102, "signed", Some(trigger(&["GET"], AuthType::Function))),
        );
        let functions = Arc::new(Functions { versions, witness: witness.clone() });
        let ports = GatewayPorts {
            catalog: functions.clone(),
            invoke: functions,
            enqueue: self.enqueue.map(|enqueue| enqueue as Arc<dyn Invoke>),
            tasks: self.tasks.map(|tasks| tasks as Arc<dyn fc_core::Tasks>),
            authorize: self.authorize.map(|permit| {
                Arc::new(Gatekeeper(witness.clone(), permit)) as Arc<dyn fc_core::Authorize>
            }),
            clock: Arc::new(SystemClock::new()),
            request_ids: Arc::new(RequestIds::with_prefix(7)),
        };
        (Gateway::new(self.config, ports).unwrap(), witness)
    }

    /// With somebody who queues, and somebody who knows of tasks.
    pub fn queued() -> (Self, Arc<Enqueuer>, Arc<KnownTasks>) {
        let (enqueue, tasks) = (Arc::new(Enqueuer::default()), Arc::new(KnownTasks::default()));
        let setup =
            Self { enqueue: Some(enqueue.clone()), tasks: Some(tasks.clone()), ..Self::default() };
        (setup, enqueue, tasks)
    }

    pub async fn serve(self) -> Server {
        let (gateway, witness) = self.gateway();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = gateway.clone();
        let task = tokio::spawn(async move {
            serving
                .serve(listener, async {
                    let _ = stopped.await;
                })
                .await
        });
        Server { address, witness, gateway, stop: Some(stop), task }
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub witness: Arc<Witness>,
    pub gateway: Gateway,
    pub stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<Result<()>>,
}

impl Server {
    pub async fn start() -> Self {
        Setup::default().serve().await
    }

    pub async fn connect(&self) -> TcpStream {
        guarded(TcpStream::connect(self.address)).await.unwrap()
    }

    /// A connection of HTTP/2, and the task that drives it.
    pub async fn http2<B>(&self) -> (SendRequest<B>, JoinHandle<hyper::Result<()>>)
    where
        B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + Unpin
            + 'static,
    {
        let stream = TokioIo::new(self.connect().await);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        (sender, tokio::spawn(connection))
    }

    /// Sends bytes and reads until the server closes.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
        let mut stream = self.connect().await;
        guarded(async {
            // A server that refuses early may close before it has read all.
            let _ = stream.write_all(bytes.as_ref()).await;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            Answer::parse_all(&all)
        })
        .await
    }

    /// One request on a connection of its own; `head` without the empty line.
    pub async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut bytes =
            format!("{head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len())
                .into_bytes();
        bytes.extend_from_slice(body);
        let mut answers = self.raw(bytes).await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }
}
