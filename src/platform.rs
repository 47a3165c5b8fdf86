//! The only place where all crates meet.

use std::sync::Arc;
use std::time::Duration;

use fc_control::{Functions, Updated};
use fc_core::{
    AccountId, AuthType, Authorize, Body, Clock, CodeRef, Context, Error, ErrorKind, FunctionName,
    FunctionSpec, FunctionVersion, Invocation, Invoke, Limits, Network, Reply, RequestIds, Result,
    Runtime, RuntimeCapabilities, SystemClock,
};
use fc_network::OpenNetwork;
use fc_queue::Engine;
use fc_runtime::in_process::{Handler, InProcessRuntime};
use fc_sched::core::quota::AccountQuota;
use fc_sched::{DecisionSink, Node, Policies, Scheduler, SchedulerConfig, SchedulerPorts};
use fc_trigger::{Gateway, GatewayConfig, GatewayPorts};
use futures_util::future::join;

/// The account of a platform that was told no other.
const DEFAULT_ACCOUNT: &str = "1000000000000000";

/// A Function-as-a-Service platform in this process: functions, a scheduler, runtimes, a gateway.
///
/// Cloning is cheap and gives the same platform. Call [`Platform::shutdown`] before the last clone
/// is dropped, so that instances stop.
///
/// ```
/// use fc::{Body, Platform, Response, handler_fn};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let platform = Platform::builder().build()?;
/// platform.handle("upper", handler_fn(|_cx, request| async {
///     let text = request.into_body().read(1024).await?;
///     Ok(Response::new(Body::from(text.to_ascii_uppercase())))
/// }))?;
/// let reply = platform.invoke("upper", "hello").await?;
/// assert_eq!(reply.response.into_body().read(1024).await?, "HELLO");
/// platform.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), fc::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Platform {
    account: AccountId,
    limits: Limits,
    clock: Arc<dyn Clock>,
    pub(crate) request_ids: Arc<RequestIds>,
    authorize: Option<Arc<dyn Authorize>>,
    functions: Arc<Functions>,
    scheduler: Scheduler,
    pub(crate) engine: Option<Engine>,
}

/// Puts a [`Platform`] together.
#[derive(Debug)]
pub struct PlatformBuilder {
    account: Option<AccountId>,
    limits: Limits,
    account_quota: Option<AccountQuota>,
    policies: Policies,
    decisions: Option<Arc<dyn DecisionSink>>,
    clock: Option<Arc<dyn Clock>>,
    network: Option<Arc<dyn Network>>,
    authorize: Option<Arc<dyn Authorize>>,
    auth_types: Vec<AuthType>,
    runtimes: Vec<Arc<dyn Runtime>>,
}

impl PlatformBuilder {
    /// Whose functions these are; by default an account of the platform's own.
    #[must_use]
    pub fn account(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }

    /// What is enforced; by default [`Limits::function_compute`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What each account may hold and how fast it may grow (QUO-1, QUO-2); by default no quota. An
    /// invocation that needs an instance beyond it is refused with `ResourceExhausted`.
    #[must_use]
    pub fn account_quota(mut self, quota: AccountQuota) -> Self {
        self.account_quota = Some(quota);
        self
    }

    /// How instances are kept, placed and forecast; by default as the clouds document it.
    #[must_use]
    pub fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Who is told of every scheduling decision (OBS-6); by default `tracing` alone.
    #[must_use]
    pub fn decisions(mut self, sink: Arc<dyn DecisionSink>) -> Self {
        self.decisions = Some(sink);
        self
    }

    /// Where time comes from; by default the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// What instances can reach; by default [`OpenNetwork`], which isolates nothing.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// Who may call, and the kinds of trigger authentication that it checks; without it, everybody
    /// may, and only anonymous triggers are taken.
    #[must_use]
    pub fn authorize(
        mut self,
        authorize: Arc<dyn Authorize>,
        checks: impl IntoIterator<Item = AuthType>,
    ) -> Self {
        self.authorize = Some(authorize);
        self.auth_types.extend(checks);
        self
    }

    /// Where instances run, beside the in-process runtime that is always there.
    #[must_use]
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtimes.push(runtime);
        self
    }

    /// The platform.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for two runtimes of one kind: nobody could say which of them is meant.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn build(self) -> Result<Platform> {
        let account = match self.account {
            Some(account) => account,
            None => AccountId::new(DEFAULT_ACCOUNT)?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let request_ids = Arc::new(RequestIds::from_machine());
        let mut runtimes: Vec<Arc<dyn Runtime>> = vec![Arc::new(InProcessRuntime::new())];
        runtimes.extend(self.runtimes);
        let capabilities = capabilities_of(&runtimes)?;
        let functions = Functions::new(self.limits.clone(), capabilities);
        let functions = Arc::new(functions.with_auth_types(self.auth_types));
        let scheduler = Scheduler::new(
            SchedulerConfig {
                limits: self.limits.clone(),
                account_quota: self.account_quota,
                policies: self.policies,
                decisions: self.decisions,
            },
            SchedulerPorts {
                catalog: functions.clone(),
                nodes: vec![Node::local(runtimes)?],
                network: self.network.unwrap_or_else(|| Arc::new(OpenNetwork::new())),
                clock: clock.clone(),
                request_ids: request_ids.clone(),
            },
        )?;
        Ok(Platform {
            account,
            limits: self.limits,
            clock,
            request_ids,
            authorize: self.authorize,
            functions,
            scheduler,
            engine: None,
        })
    }
}

fn capabilities_of(runtimes: &[Arc<dyn Runtime>]) -> Result<Vec<RuntimeCapabilities>> {
    let mut all: Vec<RuntimeCapabilities> = Vec::new();
    for capabilities in runtimes.iter().map(|runtime| runtime.capabilities()) {
        if all.iter().any(|known| known.kind == capabilities.kind) {
            let what = format!("there are two of kind {:?}", capabilities.kind);
            return Err(Error::invalid("runtime", what));
        }
        all.push(capabilities);
    }
    Ok(all)
}

impl Platform {
    /// Puts a platform together.
    pub fn builder() -> PlatformBuilder {
        PlatformBuilder {
            account: None,
            limits: Limits::default(),
            account_quota: None,
            policies: Policies::default(),
            decisions: None,
            clock: None,
            network: None,
            authorize: None,
            auth_types: Vec::new(),
            runtimes: Vec::new(),
        }
    }

    /// Deploys a Rust handler of this process as function `name`, with an anonymous HTTP trigger.
    /// Requests share one instance, up to the highest concurrency the limits allow.
    ///
    /// # Errors
    ///
    /// As [`Platform::deploy`].
    pub fn handle(&self, name: &str, handler: impl Handler) -> Result<Arc<FunctionVersion>> {
        let spec = FunctionSpec {
            function_name: name.into(),
            runtime: "in-process".into(),
            instance_concurrency: self.limits.instance_concurrency_max,
            http_trigger: Some(Default::default()),
            ..FunctionSpec::default()
        };
        self.deploy(&spec, InProcessRuntime::code(handler))
    }

    /// Creates a function, or replaces it by a new state of its LATEST. Requests that are running or
    /// waiting finish on the old one's instances; requests from now on use the new one (INV-10).
    ///
    /// # Errors
    ///
    /// What is wrong with the specification, the field first; nothing is changed then.
    /// `FunctionNotFound` if somebody deletes the function at the same moment.
    pub fn deploy(&self, spec: &FunctionSpec, code: CodeRef) -> Result<Arc<FunctionVersion>> {
        let code = Arc::new(code);
        let created = self.functions.create(&self.account, spec, code.clone());
        let deployed = match created {
            Err(error) if error.kind() == ErrorKind::FunctionAlreadyExists => {
                self.functions.update(&self.account, spec, Some(code), None)
            }
            created => created,
        };
        Ok(self.drain(deployed?))
    }

    /// Retires what a change of a function has replaced, and gives what it has made. Whoever changes
    /// functions through [`Platform::functions`] passes the outcome here.
    pub fn drain(&self, change: Updated) -> Arc<FunctionVersion> {
        for old in &change.replaced {
            self.scheduler.retire(old);
        }
        change.version
    }

    /// Deletes a function. Requests that are running or waiting finish.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`.
    pub fn remove(&self, name: &str) -> Result<()> {
        for old in self.functions.delete(&self.account, name, None)? {
            self.scheduler.retire(&old);
        }
        Ok(())
    }

    /// Invokes LATEST of function `name` with an event, and waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`Invoke::invoke`].
    pub async fn invoke(&self, name: &str, event: impl Into<Body> + Send) -> Result<Reply> {
        let invocation = Invocation::event(self.account, FunctionName::new(name)?, event);
        let cx = Context::new(self.request_ids.next(self.clock.wall()));
        self.scheduler.invoke(cx, invocation).await
    }

    /// An HTTP gateway for this platform, with the defaults of [`GatewayConfig`].
    ///
    /// # Errors
    ///
    /// As [`Gateway::new`].
    pub fn gateway(&self) -> Result<Gateway> {
        let config = GatewayConfig::new(self.account);
        self.gateway_with(GatewayConfig { limits: self.limits.clone(), ..config })
    }

    /// An HTTP gateway for this platform.
    ///
    /// # Errors
    ///
    /// As [`Gateway::new`].
    pub fn gateway_with(&self, config: GatewayConfig) -> Result<Gateway> {
        let ports = GatewayPorts {
            catalog: self.functions.clone(),
            invoke: Arc::new(self.scheduler.clone()),
            enqueue: self.engine.clone().map(|engine| Arc::new(engine) as _),
            tasks: self.engine.clone().map(|engine| Arc::new(engine) as _),
            authorize: self.authorize.clone(),
            clock: self.clock.clone(),
            request_ids: self.request_ids.clone(),
        };
        Gateway::new(config, ports)
    }

    /// The functions.
    pub fn functions(&self) -> &Arc<Functions> {
        &self.functions
    }

    /// The scheduler, which is also an [`Invoke`].
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The platform's account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// What is enforced.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The platform's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Takes no new invocation and begins no queued one, lets those that run finish within `within`,
    /// then stops every instance. When it returns, none is left; what was queued and did not finish is
    /// in the queue.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = self.clock.now() + within;
        let queued = async {
            if let Some(engine) = &self.engine {
                engine.shutdown(deadline).await;
            }
        };
        join(queued, self.scheduler.shutdown(deadline)).await;
    }
}
