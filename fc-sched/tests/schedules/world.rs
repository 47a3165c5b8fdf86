//! A scheduler over ports that yield.

use std::sync::Arc;

use fc_core::{
    AccountId, Clock, CodeRef, Context, FunctionName, FunctionSpec, FunctionVersion, Instant,
    Invocation, Invoke, Isolation, Limits, NodeId, RequestIds, Result, Runtime, RuntimeKind,
    Timestamp, VersionId,
};
use fc_testkit::SimClock;
use shuttle::future::{JoinHandle, spawn};

use crate::Scheduler;
use crate::config::{Policies, SchedulerConfig, SchedulerPorts};
use crate::core::placement::{Capacity, NodeSpec, Tenancy, Zone};
use crate::core::quota::{AccountQuota, AccountUse};
use crate::ports::{Decisions, Functions, SharedSeen, YieldingNetwork, YieldingRuntime};
use crate::shell::Node;

/// A scheduler, and all that it works with.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) scheduler: Scheduler,
    pub(crate) clock: SimClock,
    pub(crate) seen: SharedSeen,
    functions: Arc<Functions>,
    limits: Arc<Limits>,
    ids: Arc<RequestIds>,
}

pub(crate) fn account() -> AccountId {
    AccountId::new("1").unwrap()
}

impl World {
    /// Two nodes, and a quota that is not in the way.
    pub(crate) fn new() -> Self {
        Self::with(AccountQuota::function_compute(), |policies| policies.freeze_after = None)
    }

    pub(crate) fn with(quota: AccountQuota, edit: impl FnOnce(&mut Policies)) -> Self {
        let clock = SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000));
        let (seen, functions) = (SharedSeen::default(), Arc::new(Functions::default()));
        let limits = Limits::function_compute();
        let mut policies = Policies::default();
        edit(&mut policies);
        let config = SchedulerConfig {
            limits: limits.clone(),
            account_quota: Some(quota),
            policies,
            decisions: Some(Arc::new(Decisions(seen.clone()))),
        };
        let ports = SchedulerPorts {
            catalog: functions.clone(),
            nodes: vec![node("a", &seen), node("b", &seen)],
            network: Arc::new(YieldingNetwork(seen.clone())),
            clock: Arc::new(clock.clone()),
            request_ids: Arc::new(RequestIds::with_prefix(2)),
        };
        let scheduler = Scheduler::new(config, ports).unwrap();
        let (limits, ids) = (Arc::new(limits), Arc::new(RequestIds::with_prefix(1)));
        Self { scheduler, clock, seen, functions, limits, ids }
    }

    /// Puts a function's version `uid` into the catalog; gives the one that it replaces.
    pub(crate) fn deploy(
        &self,
        name: &str,
        uid: u64,
        edit: impl FnOnce(&mut FunctionSpec),
    ) -> Option<Arc<FunctionVersion>> {
        let mut spec = FunctionSpec {
            function_name: name.into(),
            runtime: "in-process".into(),
            ..FunctionSpec::default()
        };
        edit(&mut spec);
        let code = Arc::new(CodeRef::Registered);
        let version =
            FunctionVersion::new(uid, account(), VersionId::LATEST, &spec, code, &self.limits);
        self.functions.0.lock().insert(name.into(), Arc::new(version.unwrap()))
    }

    /// A call in a task of its own.
    pub(crate) fn call(&self, name: &str, payload: &'static str) -> JoinHandle<Result<()>> {
        let invocation = Invocation::event(account(), FunctionName::new(name).unwrap(), payload);
        let cx = Context::new(self.ids.next(self.clock.wall()));
        let (id, scheduler, seen) = (cx.request_id, self.scheduler.clone(), self.seen.clone());
        let mut call = Box::pin(async move {
            let reply = scheduler.invoke(cx, invocation).await?;
            reply.response.into_body().read(100).await?;
            Ok(())
        });
        spawn(std::future::poll_fn(move |cx| {
            seen.lock().poll_begins(id);
            let answer = call.as_mut().poll(cx);
            if let std::task::Poll::Ready(answer) = &answer {
                seen.lock().answered(id, answer.is_ok());
            }
            answer
        }))
    }

    /// In a task of its own.
    pub(crate) fn spawn(&self, work: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move { work(&world) })
    }

    /// The caller leaves, if it has no answer yet.
    pub(crate) async fn leaves(&self, call: JoinHandle<Result<()>>) {
        call.abort();
        if call.await.is_err() {
            self.seen.lock().caller_left();
        }
    }

    /// Waits until no pool of version `uid` is left.
    pub(crate) async fn forgotten(&self, uid: u64) {
        let around = &self.scheduler.around;
        loop {
            let closed = around.pool_closed.notified();
            if !around.pools.pin().contains_key(&uid) {
                return;
            }
            closed.await;
        }
    }

    /// Shuts down when all calls are answered, and looks for what is left (I18).
    pub(crate) async fn end(self) {
        self.shutdown(Instant::MAX).await;
        self.nothing_left();
    }

    /// Shuts down, and looks for what is left though calls may still be about to be refused.
    pub(crate) async fn shutdown(&self, by: Instant) {
        self.scheduler.shutdown(by).await;
        self.nothing_runs();
    }

    fn nothing_runs(&self) {
        let used = self.scheduler.account_use(account());
        assert_eq!(used, AccountUse::default(), "I18: quota held");
        let held: u32 = self.scheduler.nodes().iter().map(|node| node.instances).sum();
        assert_eq!(held, 0, "I18: room on a node held");
        let seen = self.seen.lock();
        assert_eq!(seen.left(), (0, 0), "I18: instances or requests left");
        assert!(seen.attached.is_empty(), "I18: attachments left");
        assert!(seen.broken.is_empty(), "{}", seen.broken.join("; "));
    }

    /// What holds after a shutdown and the last answer.
    pub(crate) fn nothing_left(&self) {
        self.nothing_runs();
        assert!(self.scheduler.around.pools.is_empty(), "I18: a pool is left");
        if let Some(executions) = self.scheduler.around.executions.of(account()) {
            assert_eq!(executions.used(), 0, "I18: an execution is still counted");
        }
        assert_eq!(self.clock.pending_timers(), 0, "I18: timers left");
    }
}

/// A node with room for whatever a test starts.
pub(crate) fn node(name: &'static str, seen: &SharedSeen) -> Node {
    let runtime: Arc<dyn Runtime> = Arc::new(YieldingRuntime { node: name, seen: seen.clone() });
    let spec = NodeSpec {
        id: NodeId::new(name).unwrap(),
        capacity: Capacity::Unlimited,
        zone: Zone::new(name).unwrap(),
        tenancy: Tenancy::Shared,
        isolation: Isolation::None,
        runtimes: [RuntimeKind::InProcess].into_iter().collect(),
        owner: None,
        accounts_trust_each_other: true,
    };
    Node::new(spec, vec![runtime]).unwrap()
}
