//! A runtime, a network and a catalog that let others go on at every step, and see what is done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    AccountId, Attachment, AttachmentId, Body, Catalog, Context, Ending, Enforcement, Error,
    ErrorKind, Exit, FunctionVersion, Hook, Instance, InstanceId, InstanceSpec, Invocation,
    Isolation, Network, NetworkCapabilities, NetworkPolicy, Qualifier, Reply, RequestId, Response,
    Result, Runtime, RuntimeCapabilities, RuntimeKind,
};
// Uninstrumented: held for a look or a note, never over a scheduling point.
use parking_lot::Mutex;
use shuttle::future::yield_now;
use tokio_util::sync::CancellationToken;

use crate::decision::{Decision, DecisionSink};

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Counts polls of calls and ends of instances: their order.
    step: u64,
    /// When the poll of a call that is under way, or was the last, began.
    polls: BTreeMap<RequestId, u64>,
    /// How often it reached an instance.
    entered: BTreeMap<RequestId, u32>,
    decided: BTreeMap<RequestId, u32>,
    instances: Vec<Arc<Mutex<Life>>>,
    pub(crate) attached: BTreeSet<u64>,
    attachments: u64,
    /// So many starts fail from now on.
    pub(crate) failing_starts: u32,
    /// What broke an invariant.
    pub(crate) broken: Vec<String>,
}

/// One instance.
#[derive(Debug)]
struct Life {
    node: &'static str,
    takes: u32,
    running: u32,
    suspended: bool,
    /// A request was cancelled in it.
    cancelled: bool,
    /// From when on the platform knows that it takes nothing more.
    over: Option<u64>,
    stopped: bool,
}

impl Seen {
    fn step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    pub(crate) fn poll_begins(&mut self, call: RequestId) {
        let step = self.step();
        self.polls.insert(call, step);
    }

    /// A call has its answer, or its error.
    pub(crate) fn answered(&mut self, call: RequestId, well: bool) {
        let entered = self.entered.get(&call).copied().unwrap_or(0);
        let decided = self.decided.get(&call).copied().unwrap_or(0);
        if entered > 1 || (well && entered != 1) || decided != 1 {
            let what =
                format!("I22: {call} ran {entered} times, {decided} decisions, well: {well}");
            self.broken.push(what);
        }
    }

    /// The node is lost, and that has been told.
    pub(crate) fn node_lost(&mut self, node: &str) {
        self.over_if(|life| life.node == node);
    }

    /// A caller has left, and has let go of all it had: its instance takes nothing more (INV-8).
    pub(crate) fn caller_left(&mut self) {
        self.over_if(|life| life.cancelled && life.takes == 1);
    }

    fn over_if(&mut self, is: impl Fn(&Life) -> bool) {
        let step = self.step();
        for life in &self.instances {
            let mut life = life.lock();
            if is(&life) {
                life.over.get_or_insert(step);
            }
        }
    }

    /// Instances that were not stopped, and requests in instances.
    pub(crate) fn left(&self) -> (usize, u32) {
        let lives = self.instances.iter().map(|life| life.lock());
        lives.fold((0, 0), |(live, running), life| {
            (live + usize::from(!life.stopped), running + life.running)
        })
    }

    fn enters(&mut self, call: RequestId, life: &mut Life) {
        *self.entered.entry(call).or_default() += 1;
        life.running += 1;
        if life.running > life.takes {
            let what = format!("I14: {} requests where {} may be", life.running, life.takes);
            self.broken.push(what);
        }
        let began = self.polls.get(&call).copied().unwrap_or(0);
        // An end that comes in the very poll that brings the request is too late to be known.
        if life.over.is_some_and(|over| over < began) {
            self.broken.push(format!("I17: {call} reached an instance that was over"));
        }
        if life.suspended {
            self.broken.push(format!("I17: {call} reached an instance without CPU"));
        }
    }
}

pub(crate) type SharedSeen = Arc<Mutex<Seen>>;

#[derive(Debug)]
pub(crate) struct Decisions(pub(crate) SharedSeen);

impl DecisionSink for Decisions {
    fn decided(&self, decision: &Decision<'_>) {
        *self.0.lock().decided.entry(decision.request_id).or_default() += 1;
    }
}

/// The runtime of one node.
#[derive(Debug)]
pub(crate) struct YieldingRuntime {
    pub(crate) node: &'static str,
    pub(crate) seen: SharedSeen,
}

#[async_trait]
impl Runtime for YieldingRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            kind: RuntimeKind::InProcess,
            isolation: Isolation::None,
            concurrency_max: 10,
            streaming: true,
            suspend: true,
            enforces: Enforcement::default(),
        }
    }

    async fn prepare(&self, _: Context, _: &Arc<FunctionVersion>) -> Result<()> {
        yield_now().await;
        Ok(())
    }

    async fn start(&self, _: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        yield_now().await;
        let mut seen = self.seen.lock();
        if seen.failing_starts > 0 {
            seen.failing_starts -= 1;
            return Err(Error::new(ErrorKind::FunctionNotStarted, "as the test wants"));
        }
        let life = Arc::new(Mutex::new(Life {
            node: self.node,
            takes: spec.version.instance_concurrency(),
            running: 0,
            suspended: false,
            cancelled: false,
            over: None,
            stopped: false,
        }));
        seen.instances.push(life.clone());
        let (seen, ended) = (self.seen.clone(), CancellationToken::new());
        Ok(Arc::new(YieldingInstance { life, seen, crashed: CancellationToken::new(), ended }))
    }
}

#[derive(Debug)]
struct YieldingInstance {
    life: Arc<Mutex<Life>>,
    seen: SharedSeen,
    crashed: CancellationToken,
    ended: CancellationToken,
}

/// A request in an instance.
struct Presence {
    life: Arc<Mutex<Life>>,
    complete: bool,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut life = self.life.lock();
        life.running -= 1;
        life.cancelled |= !self.complete;
    }
}

fn died() -> Error {
    Error::new(ErrorKind::FunctionCrashed, "the instance ended")
}

#[async_trait]
impl Instance for YieldingInstance {
    async fn run_hook(&self, _: Context, _: Hook) -> Result<()> {
        yield_now().await;
        Ok(())
    }

    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        self.seen.lock().enters(cx.request_id, &mut self.life.lock());
        let mut presence = Presence { life: self.life.clone(), complete: false };
        let work = async {
            let payload = invocation.request.into_body().read(16).await?;
            yield_now().await;
            match &*payload {
                b"crash" => {
                    self.crashed.cancel();
                    self.ended.cancel();
                    Err(died())
                }
                b"stream" => Ok(true),
                _ => Ok(false),
            }
        };
        let streams = tokio::select! {
            biased;
            () = self.ended.cancelled() => Err(died()),
            streams = work => streams,
        };
        // Answered, well or not: nobody left.
        presence.complete = true;
        let body = if streams? {
            let body = Body::stream(Frames { left: 2, ready: false });
            body.guarded(move |ending| {
                presence.complete = ending != Ending::Aborted;
                drop(presence);
            })
        } else {
            Body::from("answer")
        };
        Ok(Reply::new(Response::new(body)))
    }

    async fn log_tail(&self, _: RequestId, _: usize) -> Option<Bytes> {
        None
    }

    async fn suspend(&self, _: Context) -> Result<()> {
        {
            let mut life = self.life.lock();
            life.suspended = true;
            if life.running > 0 {
                let what = "SCH-7: CPU was taken under a request".to_owned();
                self.seen.lock().broken.push(what);
            }
        }
        yield_now().await;
        Ok(())
    }

    async fn resume(&self, _: Context) -> Result<()> {
        yield_now().await;
        self.life.lock().suspended = false;
        Ok(())
    }

    async fn end_boost(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "CPU: not enforced"))
    }

    async fn exited(&self) -> Exit {
        self.ended.cancelled().await;
        if self.crashed.is_cancelled() { Exit::Code(1) } else { Exit::Stopped }
    }

    async fn stop(&self, _: Context) -> Result<()> {
        {
            let mut seen = self.seen.lock();
            let step = seen.step();
            self.life.lock().over.get_or_insert(step);
        }
        self.ended.cancel();
        yield_now().await;
        self.life.lock().stopped = true;
        Ok(())
    }
}

/// A body that is ready at every other look.
struct Frames {
    left: u32,
    ready: bool,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>>>> {
        use std::task::Poll;
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"x")))))
    }
}

#[derive(Debug)]
pub(crate) struct YieldingNetwork(pub(crate) SharedSeen);

#[async_trait]
impl Network for YieldingNetwork {
    fn capabilities(&self) -> NetworkCapabilities {
        NetworkCapabilities { isolates: false, egress_policy: false }
    }

    async fn attach(&self, _: Context, _: InstanceId, _: &NetworkPolicy) -> Result<Attachment> {
        yield_now().await;
        let mut seen = self.0.lock();
        seen.attachments += 1;
        let number = seen.attachments;
        seen.attached.insert(number);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Attachment { id: AttachmentId(number), address, own_address: false, namespace: None })
    }

    async fn detach(&self, _: Context, id: AttachmentId) -> Result<()> {
        yield_now().await;
        self.0.lock().attached.remove(&id.0);
        Ok(())
    }

    async fn reconcile(&self, _: Context, _: &[InstanceId]) -> Result<u32> {
        Ok(0)
    }
}

/// The functions, behind a lock with scheduling points.
#[derive(Debug, Default)]
pub(crate) struct Functions(pub(crate) crate::sync::Mutex<BTreeMap<String, Arc<FunctionVersion>>>);

impl Catalog for Functions {
    fn resolve(
        &self,
        _: &AccountId,
        function: &str,
        _: &Qualifier,
    ) -> Result<Arc<FunctionVersion>> {
        let versions = self.0.lock();
        versions.get(function).cloned().ok_or_else(|| Error::function_not_found(function))
    }

    fn is_current(&self, version: &FunctionVersion) -> bool {
        let versions = self.0.lock();
        versions.get(version.name().as_str()).is_some_and(|each| each.uid() == version.uid())
    }
}
