//! An engine on simulated time, over functions that answer as they are told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc::control::Functions;
use fc::core::port::queue::Lane;
use fc::core::{
    AsyncTask, Asynchronous, Clock, ErrorKind, FailureType, Instant, Invocation, Invoke, Queue,
    RequestId, Store, Target, TaskStatus, Tasks, Timestamp,
};
use fc::queue::driver::MemoryQueue;
use fc::queue::{Engine, EngineConfig, EnginePorts, TaskNews, TaskSink};
use fc::store::MemoryStore;
use fc::{
    AccountId, Body, CodeRef, Context, Error, FunctionName, FunctionSpec, Limits, Qualifier, Reply,
    Response, Result,
};
use fc_testkit::SimClock;
use parking_lot::Mutex;

pub const HOUR: Duration = Duration::from_secs(3600);
/// What a millisecond that was rounded may add.
pub const MS: Duration = Duration::from_millis(1);

pub fn account() -> AccountId {
    AccountId::new("1234").unwrap()
}

pub fn name(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

/// What a function does when it is invoked.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers with its payload.
    Echo,
    /// Answers with so many bytes.
    Answer(usize),
    /// Fails itself.
    Fail(FailureType),
    /// The platform refuses or fails.
    Error(ErrorKind),
    /// Takes so long, and then echoes.
    Take(Duration),
    /// Takes so long and then echoes, or with `true` fails; refused at once beyond so many that run.
    Within(u32, Duration, bool),
    /// Never answers.
    Never,
    /// Never answers this payload, and echoes any other.
    NeverTo(&'static str),
}

/// One attempt as the function saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub function: String,
    pub at: Instant,
    pub attempt: u32,
    pub payload: String,
    pub request_id: RequestId,
}

/// Functions that do what they are told, one act after the other, the last one for ever.
#[derive(Debug)]
pub struct Functioning {
    clock: SimClock,
    acts: Mutex<HashMap<String, Vec<Act>>>,
    pub seen: Mutex<Vec<Seen>>,
    pub running: Mutex<u32>,
    pub peak: Mutex<u32>,
}

#[async_trait]
impl Invoke for Functioning {
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let Target::Named { function, .. } = &invocation.target else {
            panic!("by name");
        };
        let function = function.to_string();
        let payload = invocation.request.into_body().read(1 << 20).await?;
        let act = {
            let mut acts = self.acts.lock();
            let acts = acts.entry(function.clone()).or_default();
            if acts.len() > 1 { acts.remove(0) } else { acts.first().cloned().unwrap_or(Act::Echo) }
        };
        let refused = match act {
            Act::Error(kind) => {
                matches!(kind, ErrorKind::ResourceExhausted | ErrorKind::ResourceThrottled)
            }
            Act::Within(capacity, ..) => *self.running.lock() >= capacity,
            _ => false,
        };
        self.seen.lock().push(Seen {
            function: if refused { format!("({function})") } else { function },
            at: self.clock.now(),
            attempt: cx.attempt,
            payload: String::from_utf8_lossy(&payload).into_owned(),
            request_id: cx.request_id,
        });
        if refused && matches!(act, Act::Within(..)) {
            return Err(Error::new(ErrorKind::ResourceExhausted, "no instance is free"));
        }
        let _running = Running::begin(self);
        let answer = |body: Body, failure| Ok(Reply { failure, ..Reply::new(Response::new(body)) });
        match act {
            Act::Echo => answer(payload.into(), None),
            Act::Answer(bytes) => answer(vec![b'x'; bytes].into(), None),
            Act::Fail(failure) => {
                let body = r#"{"errorMessage":"as told","errorType":"Error"}"#;
                answer(body.into(), Some(failure))
            }
            Act::Error(kind) => Err(Error::new(kind, "as told")),
            Act::Take(time) => {
                self.clock.sleep_until(self.clock.now() + time).await;
                answer(payload.into(), None)
            }
            Act::Within(_, time, fails) => {
                self.clock.sleep_until(self.clock.now() + time).await;
                let failure = fails.then_some(FailureType::Unhandled);
                let body = if fails { r#"{"errorMessage":"as told"}"#.into() } else { payload };
                answer(body.into(), failure)
            }
            Act::NeverTo(poison) if payload != poison => answer(payload.into(), None),
            Act::Never | Act::NeverTo(_) => std::future::pending().await,
        }
    }
}

struct Running<'f>(&'f Functioning);

impl<'f> Running<'f> {
    fn begin(functions: &'f Functioning) -> Self {
        let mut running = functions.running.lock();
        *running += 1;
        let mut peak = functions.peak.lock();
        *peak = (*peak).max(*running);
        Self(functions)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
    }
}

/// All news, in order.
#[derive(Debug, Default)]
pub struct Told(pub Mutex<Vec<TaskNews>>);

impl TaskSink for Told {
    fn told(&self, news: &TaskNews) {
        self.0.lock().push(news.clone());
    }
}

/// An engine and all around it.
pub struct World {
    pub clock: SimClock,
    pub functions: Arc<Functioning>,
    pub catalog: Arc<Functions>,
    pub queue: Arc<dyn Queue>,
    pub store: Arc<dyn Store>,
    pub told: Arc<Told>,
    pub config: EngineConfig,
    pub engine: Engine,
    next_request: Mutex<u32>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let clock = SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000));
        let queue = Arc::new(MemoryQueue::new(Arc::new(clock.clone())));
        let store = Arc::new(MemoryStore::new().value_bytes_max(2 << 20));
        // Few timers, so that hours pass quickly.
        let rare = Duration::from_secs(1800);
        let mut config =
            EngineConfig { rescan: rare, lane_idle: rare, sweep: rare, ..EngineConfig::default() };
        change(&mut config);
        Self::over(clock, queue, store, config).await
    }

    pub async fn over(
        clock: SimClock,
        queue: Arc<dyn Queue>,
        store: Arc<dyn Store>,
        config: EngineConfig,
    ) -> Self {
        let functions = Arc::new(Functioning {
            clock: clock.clone(),
            acts: Mutex::default(),
            seen: Mutex::default(),
            running: Mutex::default(),
            peak: Mutex::default(),
        });
        let runtime = fc::runtime::in_process::InProcessRuntime::new();
        let capabilities = vec![fc::core::Runtime::capabilities(&runtime)];
        let catalog = Arc::new(Functions::new(Limits::function_compute(), capabilities));
        for function in ["f", "g", "h", "ok", "failed"] {
            deploy(&catalog, function);
        }
        let told = Arc::new(Told::default());
        let ports = ports(&clock, &functions, &catalog, &queue, &store, &told);
        let engine = Engine::start(config.clone(), ports).await.unwrap();
        let next_request = Mutex::new(0);
        Self { clock, functions, catalog, queue, store, told, config, engine, next_request }
    }

    /// Another engine over the same queue and store, as a process that comes after this one.
    pub async fn restart(&mut self) {
        self.engine = Engine::start(self.config.clone(), self.ports()).await.unwrap();
    }

    /// What its engines are started over.
    pub fn ports(&self) -> EnginePorts {
        let Self { clock, functions, catalog, queue, store, told, .. } = self;
        ports(clock, functions, catalog, queue, store, told)
    }

    pub fn act(&self, function: &str, acts: impl Into<Vec<Act>>) {
        self.functions.acts.lock().insert(function.into(), acts.into());
    }

    pub fn cx(&self) -> Context {
        let mut next = self.next_request.lock();
        *next += 1;
        Context::new(format!("1-00000000-00000000-{:012x}", *next).parse().unwrap())
    }

    pub async fn submit(&self, function: &str, payload: &str) -> Result<String> {
        self.submit_as(function, payload, Asynchronous::default()).await
    }

    pub async fn submit_named(&self, function: &str, payload: &str, id: &str) -> Result<String> {
        let options = Asynchronous { task_id: Some(id.into()), delay: None };
        self.submit_as(function, payload, options).await
    }

    pub async fn submit_as(
        &self,
        function: &str,
        payload: &str,
        options: Asynchronous,
    ) -> Result<String> {
        let mut invocation = Invocation::event(account(), name(function), payload.to_owned());
        invocation.asynchronous = Some(Box::new(options));
        let reply = self.engine.invoke(self.cx(), invocation).await?;
        assert_eq!(reply.response.status(), 202);
        Ok(reply.response.headers()["x-fc-async-task-id"].to_str().unwrap().to_owned())
    }

    pub async fn configure(&self, function: &str, json: serde_json::Value) -> Result<()> {
        let config = serde_json::from_value(json).unwrap();
        let qualifier = Qualifier::default();
        self.engine.configure(self.cx(), account(), &name(function), &qualifier, config).await?;
        Ok(())
    }

    pub async fn task(&self, function: &str, id: &str) -> Result<AsyncTask> {
        self.engine.task(self.cx(), account(), &name(function), id).await
    }

    pub fn lane(&self) -> Lane {
        Lane::account(account())
    }

    /// Lets all run that can run now.
    pub async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets `by` pass, timer by timer.
    pub async fn pass(&self, by: Duration) {
        let end = self.clock.now() + by;
        self.settle().await;
        while let Some(next) = self.clock.next_timer()
            && next <= end
        {
            self.clock.advance_to(next);
            self.settle().await;
        }
        self.clock.advance_to(end);
        self.settle().await;
    }

    /// What the functions have seen, as `function attempt payload`.
    pub fn seen(&self) -> Vec<String> {
        let seen = self.functions.seen.lock();
        seen.iter().map(|s| format!("{} {} {}", s.function, s.attempt, s.payload)).collect()
    }

    /// Seconds, from the first attempt, at which the attempts were.
    pub fn times(&self) -> Vec<f64> {
        let seen = self.functions.seen.lock();
        let first = seen.first().map(|seen| seen.at).unwrap_or_default();
        seen.iter().map(|seen| (seen.at - first).as_secs_f64()).collect()
    }

    pub fn statuses(&self) -> Vec<TaskStatus> {
        self.told.0.lock().iter().map(|news| news.status).collect()
    }
}

pub fn deploy(catalog: &Functions, function: &str) {
    let spec = FunctionSpec {
        function_name: function.into(),
        runtime: "in-process".into(),
        ..FunctionSpec::default()
    };
    let code = Arc::new(CodeRef::Registered);
    catalog.create(&account(), &spec, code).unwrap();
}

fn ports(
    clock: &SimClock,
    functions: &Arc<Functioning>,
    catalog: &Arc<Functions>,
    queue: &Arc<dyn Queue>,
    store: &Arc<dyn Store>,
    told: &Arc<Told>,
) -> EnginePorts {
    EnginePorts {
        queue: queue.clone(),
        store: store.clone(),
        catalog: catalog.clone(),
        invoke: functions.clone(),
        clock: Arc::new(clock.clone()),
        destinations: Arc::default(),
        sink: Some(told.clone()),
    }
}
