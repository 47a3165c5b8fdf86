//! A scheduler over a scripted runtime and simulated time.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fc_core::*;
use fc_sched::core::WaitsFor;
use fc_sched::core::placement::{Capacity, NodeSpec, RuntimeSet, Tenancy, Zone};
use fc_sched::core::quota::{AccountQuota, AccountUse};
use fc_sched::{
    Decision, DecisionSink, Node, Outcome, Policies, Scheduler, SchedulerConfig, SchedulerPorts,
};
use fc_testkit::{ScriptedRuntime, SimClock};
use parking_lot::Mutex;

/// The functions of a test.
#[derive(Debug, Default)]
pub struct TestCatalog {
    versions: Mutex<HashMap<String, Arc<FunctionVersion>>>,
    uids: AtomicU64,
}

impl Catalog for TestCatalog {
    fn resolve(
        &self,
        _: &AccountId,
        function: &str,
        _: &Qualifier,
    ) -> Result<Arc<FunctionVersion>> {
        let versions = self.versions.lock();
        versions.get(function).cloned().ok_or_else(|| Error::function_not_found(function))
    }

    fn is_current(&self, version: &FunctionVersion) -> bool {
        let versions = self.versions.lock();
        versions.get(version.name().as_str()).is_some_and(|each| each.uid() == version.uid())
    }
}

/// Attachments that are counted.
#[derive(Debug, Default)]
pub struct TestNetwork(pub Mutex<HashMap<u64, InstanceId>>, AtomicU64, pub Mutex<Attach>);

/// What attaching does.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Attach {
    #[default]
    Works,
    Hangs,
    Panics,
}

#[async_trait]
impl Network for TestNetwork {
    fn capabilities(&self) -> NetworkCapabilities {
        NetworkCapabilities { isolates: false, egress_policy: false }
    }

    async fn attach(&self, _: Context, id: InstanceId, _: &NetworkPolicy) -> Result<Attachment> {
        let mode = *self.2.lock();
        match mode {
            Attach::Works => {}
            Attach::Hangs => std::future::pending().await,
            Attach::Panics => panic!("as the test wants"),
        }
        let number = self.1.fetch_add(1, Ordering::Relaxed);
        self.0.lock().insert(number, id);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Attachment { id: AttachmentId(number), address, own_address: false, namespace: None })
    }

    async fn detach(&self, _: Context, id: AttachmentId) -> Result<()> {
        self.0.lock().remove(&id.0);
        Ok(())
    }

    async fn reconcile(&self, _: Context, _: &[InstanceId]) -> Result<u32> {
        Ok(0)
    }
}

/// Everything that a test of the scheduler needs.
pub struct World {
    pub clock: Arc<SimClock>,
    pub runtime: Arc<ScriptedRuntime>,
    pub catalog: Arc<TestCatalog>,
    pub network: Arc<TestNetwork>,
    pub scheduler: Scheduler,
    pub limits: Limits,
    ids: RequestIds,
}

pub fn account() -> AccountId {
    AccountId::new("1").unwrap()
}

impl World {
    pub fn new(script: impl FnOnce(ScriptedRuntime) -> ScriptedRuntime) -> Self {
        Self::with_limits(Limits::function_compute(), script)
    }

    pub fn with_limits(
        limits: Limits,
        script: impl FnOnce(ScriptedRuntime) -> ScriptedRuntime,
    ) -> Self {
        Self::with_config(
            SchedulerConfig {
                limits,
                account_quota: Some(AccountQuota::function_compute()),
                policies: Policies { freeze_after: None, ..Policies::default() },
                decisions: None,
            },
            script,
            |runtime| vec![Node::local(vec![runtime]).unwrap()],
        )
    }

    /// A world of these nodes.
    pub fn with_config(
        config: SchedulerConfig,
        script: impl FnOnce(ScriptedRuntime) -> ScriptedRuntime,
        nodes: impl FnOnce(Arc<ScriptedRuntime>) -> Vec<Node>,
    ) -> Self {
        let limits = config.limits.clone();
        let clock = Arc::new(SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000)));
        let runtime = Arc::new(script(ScriptedRuntime::new(clock.clone())));
        let catalog = Arc::new(TestCatalog::default());
        let network = Arc::new(TestNetwork::default());
        let scheduler = Scheduler::new(
            config,
            SchedulerPorts {
                catalog: catalog.clone(),
                nodes: nodes(runtime.clone()),
                network: network.clone(),
                clock: clock.clone(),
                request_ids: Arc::new(RequestIds::with_prefix(2)),
            },
        )
        .unwrap();
        let ids = RequestIds::with_prefix(1);
        Self { clock, runtime, catalog, network, scheduler, limits, ids }
    }

    /// Puts a function, or a new state of it, into the catalog; gives the one it replaces.
    pub fn deploy(
        &self,
        name: &str,
        edit: impl FnOnce(&mut FunctionSpec),
    ) -> Option<Arc<FunctionVersion>> {
        self.deploy_for(account(), name, edit)
    }

    /// A function of another account; names are the catalog's, not the account's.
    pub fn deploy_for(
        &self,
        account: AccountId,
        name: &str,
        edit: impl FnOnce(&mut FunctionSpec),
    ) -> Option<Arc<FunctionVersion>> {
        let mut spec = FunctionSpec {
            function_name: name.into(),
            runtime: "in-process".into(),
            ..FunctionSpec::default()
        };
        edit(&mut spec);
        let uid = self.catalog.uids.fetch_add(1, Ordering::Relaxed);
        let code = Arc::new(CodeRef::Registered);
        let version =
            FunctionVersion::new(uid, account, VersionId::LATEST, &spec, code, &self.limits);
        self.catalog.versions.lock().insert(name.into(), Arc::new(version.unwrap()))
    }

    pub fn remove(&self, name: &str) -> Arc<FunctionVersion> {
        self.catalog.versions.lock().remove(name).unwrap()
    }

    pub fn version(&self, name: &str) -> Arc<FunctionVersion> {
        self.catalog.versions.lock()[name].clone()
    }

    pub fn cx(&self) -> Context {
        Context::new(self.ids.next(self.clock.wall()))
    }

    /// An invocation under way, in a task of its own.
    pub fn call(
        &self,
        name: &str,
        payload: &'static str,
    ) -> tokio::task::JoinHandle<Result<Reply>> {
        self.call_within(name, payload, Duration::MAX)
    }

    pub fn call_within(
        &self,
        name: &str,
        payload: &'static str,
        within: Duration,
    ) -> tokio::task::JoinHandle<Result<Reply>> {
        let invocation = Invocation::event(account(), FunctionName::new(name).unwrap(), payload);
        let scheduler = self.scheduler.clone();
        let deadline = Deadline { soft: self.clock.now() + within, hard: Instant::MAX };
        let cx = self.cx().with_deadline(deadline);
        tokio::spawn(async move {
            let mut reply = scheduler.invoke(cx, invocation).await?;
            let body = std::mem::take(reply.response.body_mut()).read(1_000).await?;
            *reply.response.body_mut() = body.into();
            Ok(reply)
        })
    }

    /// An invocation whose payload comes as the test feeds it.
    pub fn call_feed(&self, name: &str) -> (Feed, tokio::task::JoinHandle<Result<Reply>>) {
        let (feed, chunks) = tokio::sync::mpsc::channel(8);
        let body = Body::stream(Fed(chunks));
        let invocation = Invocation::event(account(), FunctionName::new(name).unwrap(), body);
        let (scheduler, cx) = (self.scheduler.clone(), self.cx());
        (feed, tokio::spawn(async move { scheduler.invoke(cx, invocation).await }))
    }

    /// Lets every task go as far as it can without time passing.
    pub async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets `by` pass, stopping at every timer on the way.
    pub async fn pass(&self, by: Duration) {
        let end = self.clock.now() + by;
        self.settle().await;
        while let Some(at) = self.clock.next_timer().filter(|at| *at <= end) {
            self.clock.advance_to(at);
            self.settle().await;
        }
        self.clock.advance_to(end);
        self.settle().await;
    }

    /// Waits for `task`, letting as much time pass as it needs.
    pub async fn finish<T>(&self, task: tokio::task::JoinHandle<T>) -> T {
        self.settle().await;
        while !task.is_finished() {
            let at = self.clock.next_timer().expect("nothing will ever happen");
            self.clock.advance_to(at);
            self.settle().await;
        }
        task.await.unwrap()
    }

    pub async fn ok(&self, name: &str) -> Reply {
        self.finish(self.call(name, "x")).await.unwrap()
    }

    pub async fn err(&self, name: &str) -> Error {
        self.finish(self.call(name, "x")).await.unwrap_err()
    }

    /// Shuts down and looks for what was left behind (I18).
    pub async fn end(self) {
        let scheduler = self.scheduler.clone();
        let by = self.clock.now() + Duration::from_secs(100_000);
        let shutdown = tokio::spawn(async move { scheduler.shutdown(by).await });
        self.finish(shutdown).await;
        self.nothing_left();
    }

    /// What a shutdown promises even to those who still hold an answer.
    pub fn nothing_left_but_requests(&self) {
        assert_eq!(self.runtime.witness().live(), 0, "I18: instances left");
        assert!(self.network.0.lock().is_empty(), "I18: attachments left");
    }

    pub fn nothing_left(&self) {
        assert_eq!(self.scheduler.account_use(account()), AccountUse::default(), "quota held");
        let witness = self.runtime.witness();
        assert_eq!((witness.live(), witness.running()), (0, 0), "I18: instances or requests left");
        assert!(self.network.0.lock().is_empty(), "I18: attachments left");
        assert_eq!(self.clock.pending_timers(), 0, "I18: timers left");
    }
}

/// What was decided, as a sink may keep it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    pub request_id: RequestId,
    pub function: String,
    pub got: Got,
    pub waited: Duration,
    pub waited_for: Option<WaitsFor>,
}

/// What an invocation got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Got {
    Slot { instance: InstanceId, node: String, cold: bool, initialized: Duration },
    Refused { kind: ErrorKind, message: String },
}

/// Every decision there was.
#[derive(Debug, Default)]
pub struct Decisions(pub Mutex<Vec<Decided>>);

impl DecisionSink for Decisions {
    fn decided(&self, decision: &Decision<'_>) {
        let got = match decision.outcome {
            Outcome::Slot { instance, node, cold, initialized } => {
                Got::Slot { instance, node: node.to_string(), cold, initialized }
            }
            Outcome::Refused(error) => {
                Got::Refused { kind: error.kind(), message: error.message().to_owned() }
            }
        };
        self.0.lock().push(Decided {
            request_id: decision.request_id,
            function: decision.version.name().to_string(),
            got,
            waited: decision.waited,
            waited_for: decision.waited_for,
        });
    }
}

impl Decisions {
    /// The node that an instance runs on, by what was decided for its requests.
    pub fn node_of(&self, reply: &Reply) -> String {
        let id = reply.report.instance.unwrap();
        let on = |decided: &Decided| match &decided.got {
            Got::Slot { instance, node, .. } if *instance == id => Some(node.clone()),
            _ => None,
        };
        self.0.lock().iter().rev().find_map(on).unwrap()
    }

    pub fn last(&self) -> Decided {
        self.0.lock().last().unwrap().clone()
    }
}

/// A configuration without an account's quota.
pub fn config(policies: Policies, decisions: &Arc<Decisions>) -> SchedulerConfig {
    SchedulerConfig {
        limits: Limits::function_compute(),
        account_quota: None,
        policies,
        decisions: Some(decisions.clone()),
    }
}

/// A node with room for so many instances of the default size, whose accounts trust each other.
pub fn node_spec(id: &str, zone: &str, instances: u32) -> NodeSpec {
    let size = Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 };
    NodeSpec {
        id: NodeId::new(id).unwrap(),
        capacity: Capacity::Limited(Resources {
            cpu_milli: size.cpu_milli * instances,
            memory_mb: size.memory_mb * instances,
            disk_mb: size.disk_mb * instances,
        }),
        zone: Zone::new(zone).unwrap(),
        tenancy: Tenancy::Shared,
        isolation: Isolation::None,
        runtimes: RuntimeSet::of(RuntimeKind::InProcess),
        owner: None,
        accounts_trust_each_other: true,
    }
}

pub fn node(id: &str, zone: &str, instances: u32, runtime: &Arc<ScriptedRuntime>) -> Node {
    Node::new(node_spec(id, zone, instances), vec![runtime.clone()]).unwrap()
}

pub const SECOND: Duration = Duration::from_secs(1);

/// Feeds a streamed payload; dropped, it ends.
pub type Feed = tokio::sync::mpsc::Sender<bytes::Bytes>;

struct Fed(tokio::sync::mpsc::Receiver<bytes::Bytes>);

impl http_body::Body for Fed {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(http_body::Frame::data(chunk))))
    }
}
