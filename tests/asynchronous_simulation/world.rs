//! One run: processes that come and go over one queue and one store, under simulated time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fc::control::Functions;
use fc::core::port::queue::{Lane, Place};
use fc::core::{
    Asynchronous, Clock, ErrorKind, Instant, Invocation, Invoke, Queue, Store, Tasks, Timestamp,
};
use fc::queue::core::retry::RetryPolicy;
use fc::queue::core::sideline::SidelineLimits;
use fc::queue::{Engine, EngineConfig, EnginePorts};
use fc::store::MemoryStore;
use fc::{AccountId, CodeRef, Context, FunctionName, FunctionSpec, Limits, Qualifier};
use fc_testkit::SimClock;
use fc_testkit::faulty::{FaultPlan, FaultyQueue, FaultyStore};
use fc_testkit::history::{
    Event, Invariant, Judge, JudgeConfig, Schedule, Submission, Violation, What,
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::counts::{self, Counted};
use crate::gate::{Gated, Life};
use crate::log::{Draws, Log};
use crate::truth::{Bug, NAMES, Shared, TrueQueue, TrueStore, facts};
use crate::witness::Witness;
use crate::workload::{
    AGE, FUNCTIONS, Happening, Op, Plan, config_of, destinations_of, plan, ttl_ms_of,
};

pub(crate) fn account() -> AccountId {
    AccountId::new("1234").unwrap()
}

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

/// What came of a run.
pub(crate) struct Run {
    pub(crate) events: Vec<Event>,
    /// What is wrong, in words; none: nothing.
    pub(crate) wrong: Vec<String>,
    pub(crate) crashes: u64,
    pub(crate) acks: usize,
    pub(crate) attempts: usize,
    /// What each life has counted.
    pub(crate) lives: Vec<Counted>,
    /// Nothing failed, died or was told to finish.
    pub(crate) is_calm: bool,
}

struct World {
    seed: u64,
    plan: Plan,
    clock: SimClock,
    log: Log,
    facts: Shared,
    queue: Arc<FaultyQueue>,
    store: Arc<FaultyStore>,
    truth: Arc<TrueQueue>,
    records: Arc<TrueStore>,
    catalog: Arc<Functions>,
    attempts: Arc<Mutex<HashMap<String, u32>>>,
    processes: Vec<Process>,
    draws: Draws,
    hosts: u64,
    crashes: u64,
    drains: u64,
    happenings: BTreeMap<(Instant, u64), Happening>,
    happened: u64,
    next_request: u64,
    /// Names that were acknowledged, or that were said to be taken.
    promised: Arc<Mutex<BTreeSet<(&'static str, String)>>>,
    /// Client calls under way.
    calls: Arc<AtomicU64>,
    /// Of lives that are over.
    counted: Vec<Counted>,
}

/// A process: all that it does dies with its runtime.
struct Process {
    life: Arc<Life>,
    engine: Arc<OnceLock<Engine>>,
    /// Submissions without an answer.
    open: Arc<Mutex<BTreeSet<String>>>,
    drained: Option<Arc<OnceLock<()>>>,
    runtime: Runtime,
}

impl Process {
    /// What it has counted, and what was seen of it; `None`: its engine has not started.
    fn counted(&self) -> Option<Counted> {
        let counters = self.engine.get()?.counters();
        Some(Counted {
            host: self.life.host.clone(),
            has_died: self.life.is_dead(),
            has_drained: self.drained.is_some(),
            seen: self.life.seen.lock().numbers(),
            counters,
        })
    }
}

thread_local! {
    /// Functions do not change: one catalog serves all runs.
    static CATALOG: Arc<Functions> = catalog();
}

fn catalog() -> Arc<Functions> {
    let runtime = fc::runtime::in_process::InProcessRuntime::new();
    let capabilities = vec![fc::core::Runtime::capabilities(&runtime)];
    let catalog = Arc::new(Functions::new(Limits::function_compute(), capabilities));
    for function in FUNCTIONS {
        let spec = FunctionSpec {
            function_name: function.into(),
            runtime: "in-process".into(),
            ..FunctionSpec::default()
        };
        catalog.create(&account(), &spec, Arc::new(CodeRef::Registered)).unwrap();
    }
    catalog
}

/// Lives through what `seed` says, and judges it.
pub(crate) fn run(seed: u64, bug: Bug) -> Run {
    NAMES.with_borrow_mut(HashMap::clear);
    let mut world = World::new(seed, bug);
    let mut wrong = world.live();
    let events = world.history();
    let promises = JudgeConfig {
        function: Schedule::doubling(Duration::from_secs(1), Duration::from_secs(60)),
        throttled: Schedule::doubling(Duration::from_millis(500), AGE),
        system: Schedule::doubling(Duration::from_millis(500), AGE),
        ttl: AGE,
        // The platform counts milliseconds, from wherever each process began to.
        slack: Duration::from_millis(2),
        acked_percent_min: 0,
        ..JudgeConfig::default()
    };
    let found = Judge::new(promises).judge(&events);
    let unknown = of_unknown_outcome(&events);
    let is_promised = |violation: &&Violation| {
        violation.invariant != Invariant::I8
            || !violation
                .events
                .iter()
                .any(|event| event.what.task().is_some_and(|t| unknown.contains(t)))
    };
    // What the network asked a second time has no client whom a drain could cut off.
    let has_client = |violation: &&Violation| {
        let is_again =
            |event: &Event| matches!(&event.what, What::Unknown { id } if id.starts_with("again/"));
        violation.invariant != Invariant::I28 || !violation.events.iter().any(is_again)
    };
    let found = found.iter().filter(is_promised).filter(has_client);
    wrong.extend(found.map(ToString::to_string));
    let is_calm = !world.plan.has_faults && world.crashes == 0 && world.drains == 0;
    let lives = world.counted();
    if bug == Bug::Nothing {
        wrong.append(&mut world.facts.lock().anomalies);
        wrong.append(&mut counts::judge(&lives, &events, is_calm));
    }
    let count = |of: fn(&What) -> bool| events.iter().filter(|event| of(&event.what)).count();
    let acks = count(|what| matches!(what, What::Ack { .. }));
    let attempts = count(|what| matches!(what, What::AttemptBegin { .. }));
    Run { crashes: world.crashes, acks, attempts, wrong, events, lives, is_calm }
}

/// Tasks of which a submission had no answer: perhaps nobody has queued them, and stopped they tell
/// nobody; or they are queued again when they are over, and without a record end twice.
fn of_unknown_outcome(events: &[Event]) -> BTreeSet<String> {
    let unknown = events.iter().filter_map(|event| match &event.what {
        What::Unknown { id } => Some(id),
        _ => None,
    });
    let unknown: BTreeSet<_> = unknown.collect();
    let tasks = events.iter().filter_map(|event| match &event.what {
        What::Submit(submission) if unknown.contains(&submission.id) => {
            Some(submission.task.clone())
        }
        _ => None,
    });
    tasks.collect()
}

impl World {
    fn new(seed: u64, bug: Bug) -> Self {
        let plan = plan(seed);
        let clock = SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000));
        let log = Log::new(clock.clone());
        let facts = facts(bug, seed, log.clone(), clock.clone());
        let truth = Arc::new(TrueQueue::new(clock.clone(), facts.clone()));
        let good = MemoryStore::new().value_bytes_max(2 << 20);
        let records = Arc::new(TrueStore { good, facts: facts.clone() });
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let faults = |of: u64| match plan.has_faults {
            true => FaultPlan::rough(seed ^ of, Duration::from_millis(200)),
            false => FaultPlan::none(seed),
        };
        let queue = Arc::new(FaultyQueue::new(truth.clone(), time.clone(), faults(1)));
        let store = Arc::new(FaultyStore::new(records.clone(), time, faults(2)));
        let (mut happenings, mut happened) = (BTreeMap::new(), 0);
        for (at, happening) in &plan.happenings {
            happenings.insert((Instant::ORIGIN + *at, happened), happening.clone());
            happened += 1;
        }
        Self {
            seed,
            clock,
            log,
            facts,
            queue,
            store,
            truth,
            records,
            catalog: CATALOG.with(Clone::clone),
            attempts: Arc::default(),
            processes: Vec::new(),
            draws: Draws(seed ^ 0x11fe),
            hosts: 0,
            crashes: 0,
            drains: 0,
            happenings,
            happened,
            next_request: 0,
            promised: Arc::default(),
            calls: Arc::default(),
            counted: Vec::new(),
            plan,
        }
    }

    /// Everything from the beginning to quiescence; what is wrong then.
    fn live(&mut self) -> Vec<String> {
        const LONGEST: Duration = Duration::from_secs(2400);
        self.configure();
        if self.plan.has_faults {
            self.log.record("network", What::FaultBegin { kind: "network".into() });
        }
        let rough_until = Instant::ORIGIN + self.plan.rough_until;
        // What was delayed before is over by then.
        let calm = rough_until + Duration::from_secs(1);
        let mut is_rough = true;
        loop {
            self.settle();
            if is_rough && self.clock.now() >= rough_until {
                is_rough = false;
                self.calm();
            }
            self.bury();
            let due = self.happenings.first_key_value().map(|((at, _), _)| *at);
            if due.is_some_and(|due| due <= self.clock.now()) {
                let (_, happening) = self.happenings.pop_first().unwrap();
                self.happen(happening);
                continue;
            }
            if self.clock.now() >= calm && due.is_none() && self.is_quiet() {
                break;
            }
            let rough_until = if is_rough { rough_until } else { calm };
            let rough_until = Some(rough_until).filter(|at| *at > self.clock.now());
            let next = [self.clock.next_timer(), due, rough_until].into_iter().flatten().min();
            match next {
                Some(next) if next <= Instant::ORIGIN + LONGEST => self.clock.advance_to(next),
                _ => return vec![format!("no quiescence: {}", self.left())],
            }
        }
        self.judge_end()
    }

    /// Functions' settings, before anything can fail.
    fn configure(&self) {
        for function in FUNCTIONS {
            let Some(config) = config_of(function) else { continue };
            let key = format!("async-config/{}/{function}/{}", account(), Qualifier::default());
            let stored = serde_json::json!({
                "functionArn": format!("acs:fc::{}:functions/{function}", account()),
                "qualifier": Qualifier::default().to_string(),
                "createdTime": "2023-11-14T22:13:20Z",
                "lastModifiedTime": "2023-11-14T22:13:20Z",
            });
            let mut stored = stored.as_object().unwrap().clone();
            stored.extend(config.as_object().unwrap().clone());
            let json = serde_json::to_vec(&stored).unwrap();
            let when = fc::core::port::store::When::Always;
            self.records.good.put(&key, json.into(), when).now_or_never().unwrap().unwrap();
        }
    }

    /// No fault and no crash from now on.
    fn calm(&mut self) {
        self.queue.turn(false);
        self.store.turn(false);
        self.plan.crashes = 0;
        self.processes.iter().for_each(|process| process.life.spare());
        if self.plan.has_faults {
            self.log.record("network", What::FaultEnd { kind: "network".into() });
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Start => self.start(),
            Happening::Op(op) => self.op(op),
            Happening::CrashEnd(host) => self.log.record(&host, What::CrashEnd),
            Happening::Drain(deadline) => {
                let ready = |process: &&mut Process| {
                    process.drained.is_none() && process.engine.get().is_some()
                };
                let Some(process) = self.processes.iter_mut().find(ready) else { return };
                let host = process.life.host.clone();
                let deadline_ms = deadline.as_millis() as u64;
                self.log.record(&host, What::DrainBegin { deadline_ms });
                self.drains += 1;
                let drained = Arc::new(OnceLock::new());
                process.drained = Some(drained.clone());
                let engine = process.engine.get().unwrap().clone();
                let deadline = self.clock.now() + deadline;
                process.runtime.spawn(async move {
                    engine.shutdown(deadline).await;
                    _ = drained.set(());
                });
            }
        }
    }

    fn start(&mut self) {
        self.hosts += 1;
        if self.processes.is_empty() {
            self.log.record("machine", What::FaultEnd { kind: "down".into() });
        }
        let dies_at = (self.plan.crashes > 0).then(|| {
            let most = self.draws.of(&[10, 60, 300]);
            self.draws.below(most)
        });
        let (facts, records) = (self.facts.clone(), self.records.clone());
        let life = Life::new(format!("p{}", self.hosts), dies_at, facts, records);
        let config = EngineConfig {
            retry: RetryPolicy { age: AGE, ..RetryPolicy::function_compute() },
            visibility: self.plan.visibility,
            rescan: Duration::from_secs(2),
            lane_idle: self.plan.lane_idle,
            sweep: Duration::from_secs(24 * 3600),
            sideline: SidelineLimits { enter: self.plan.sideline_enter, leave: 1 },
            ..EngineConfig::default()
        };
        let ports = EnginePorts {
            queue: Arc::new(Gated { life: life.clone(), good: self.queue.clone() }),
            store: Arc::new(Gated { life: life.clone(), good: self.store.clone() }),
            catalog: self.catalog.clone(),
            invoke: Arc::new(Witness {
                seed: self.seed,
                life: life.clone(),
                log: self.log.clone(),
                clock: self.clock.clone(),
                facts: self.facts.clone(),
                attempts: self.attempts.clone(),
            }),
            clock: Arc::new(self.clock.clone()),
            destinations: Arc::default(),
            sink: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let engine = Arc::new(OnceLock::new());
        let (slot, clock) = (engine.clone(), self.clock.clone());
        runtime.spawn(async move {
            loop {
                if let Ok(engine) = Engine::start(config.clone(), ports.clone()).await {
                    return assert!(slot.set(engine).is_ok());
                }
                clock.sleep_until(clock.now() + Duration::from_millis(50)).await;
            }
        });
        let open = Arc::default();
        self.processes.push(Process { life, engine, open, drained: None, runtime });
    }

    /// A client asks one of the processes.
    fn op(&mut self, op: Op) {
        self.next_request += 1;
        let request_id = format!("1-00000000-00000000-{:012x}", self.next_request);
        let ready: Vec<_> = self.processes.iter().filter(|p| p.drained.is_none()).collect();
        if ready.is_empty() {
            // All are down: it comes again.
            let at = self.clock.now() + Duration::from_millis(500);
            self.plan_at(at, Happening::Op(op));
            return;
        }
        let process = ready[self.draws.below(ready.len() as u64) as usize];
        let (slot, open) = (process.engine.clone(), process.open.clone());
        let (clock, log, calls) = (self.clock.clone(), self.log.clone(), self.calls.clone());
        let (promised, life) = (self.promised.clone(), process.life.clone());
        let cx = Context::new(request_id.parse().unwrap());
        calls.fetch_add(1, Ordering::SeqCst);
        open.lock().insert(request_id.clone());
        process.runtime.spawn(async move {
            let engine = loop {
                match slot.get() {
                    Some(engine) => break engine,
                    None => clock.sleep_until(clock.now() + Duration::from_millis(10)).await,
                }
            };
            match op {
                Op::Submit { function, name: id, delay } => {
                    let task = id.clone().unwrap_or_else(|| request_id.clone());
                    let payload = format!("{task} {request_id}");
                    let submission = Submission {
                        function: function.into(),
                        delay_ms: delay.map_or(0, |delay| delay.as_millis() as u64),
                        ttl_ms: ttl_ms_of(function),
                        destinations: destinations_of(function),
                        ..Submission::new(
                            request_id.clone(),
                            format!("{function}/{task}"),
                            payload.clone(),
                        )
                    };
                    NAMES.with_borrow_mut(|names| {
                        names.insert(request_id.clone(), submission.task.clone())
                    });
                    log.record("client", What::Submit(submission));
                    let mut invocation = Invocation::event(account(), name(function), payload);
                    let is_named = id.is_some();
                    invocation.asynchronous = Some(Box::new(Asynchronous { task_id: id, delay }));
                    let answer = engine.invoke(cx, invocation).await;
                    life.seen.lock().answered(&answer);
                    let is_taken = |kind| kind == ErrorKind::TaskAlreadyExists;
                    if is_named && answer.as_ref().map_or_else(|e| is_taken(e.kind()), |_| true) {
                        promised.lock().insert((function, task));
                    }
                    let id = request_id.clone();
                    log.record(
                        "client",
                        match answer {
                            Ok(_) => What::Ack { handle: Some(id.clone()), id },
                            Err(error) if error.kind() == ErrorKind::Unknown => {
                                What::Unknown { id }
                            }
                            Err(error) => What::Nack { id, code: error.status().as_u16() },
                        },
                    );
                }
                Op::Stop { function, name: id } => {
                    let task = format!("{function}/{id}");
                    log.record("client", What::StopRequested { task });
                    _ = engine.stop(cx, account(), &name(function), &id).await;
                }
            }
            if !life.is_dead() && open.lock().remove(&request_id) {
                calls.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }

    fn plan_at(&mut self, at: Instant, happening: Happening) {
        self.happened += 1;
        self.happenings.insert((at, self.happened), happening);
    }

    /// What all lives have counted.
    fn counted(&mut self) -> Vec<Counted> {
        let mut counted = std::mem::take(&mut self.counted);
        counted.extend(self.processes.iter().filter_map(Process::counted));
        counted
    }

    /// Lets all processes do what they can do now.
    fn settle(&self) {
        loop {
            let before: u64 = self.processes.iter().map(|process| process.life.steps()).sum();
            for process in &self.processes {
                process.runtime.block_on(async {
                    let mut quiet = 0;
                    while quiet < 6 && !process.life.is_dead() {
                        let before = process.life.steps();
                        tokio::task::yield_now().await;
                        quiet = if process.life.steps() == before { quiet + 1 } else { 0 };
                    }
                });
            }
            let after: u64 = self.processes.iter().map(|process| process.life.steps()).sum();
            if before == after {
                return;
            }
        }
    }

    /// Takes away processes that have died or gone.
    fn bury(&mut self) {
        let is_over = |process: &Process| {
            let has_gone = process.drained.as_ref().is_some_and(|drained| drained.get().is_some());
            process.life.is_dead() || has_gone && process.open.lock().is_empty()
        };
        while let Some(index) = self.processes.iter().position(is_over) {
            let process = self.processes.remove(index);
            let host = process.life.host.clone();
            // Before it is dropped with all that it does.
            self.counted.extend(process.counted());
            if process.life.is_dead() {
                self.crashes += 1;
                self.plan.crashes = self.plan.crashes.saturating_sub(1);
                self.log.record(&host, What::CrashBegin);
                for id in std::mem::take(&mut *process.open.lock()) {
                    self.calls.fetch_sub(1, Ordering::SeqCst);
                    self.log.record("client", What::Unknown { id });
                }
                drop(process);
                // Not at once: what was acknowledged at this very instant is touched, too.
                let over = self.clock.now() + Duration::from_millis(1);
                self.plan_at(over, Happening::CrashEnd(host));
            } else {
                self.log.record(&host, What::DrainEnd);
            }
            if self.plan.crashes == 0 {
                self.processes.iter().for_each(|process| process.life.spare());
            }
            if self.processes.is_empty() {
                let down = Duration::from_millis(self.draws.of(&[0, 5, 3_000]));
                self.log.record("machine", What::FaultBegin { kind: "down".into() });
                self.plan_at(self.clock.now() + down, Happening::Start);
            }
        }
    }

    fn lanes(&self) -> Vec<(Lane, fc::core::port::queue::LaneDepth)> {
        let lanes = self.truth.lanes(None, 100).now_or_never().unwrap().unwrap();
        let depth = |lane: &Lane| self.truth.depth(lane).now_or_never().unwrap().unwrap();
        lanes.into_iter().map(|lane| (lane.clone(), depth(&lane))).collect()
    }

    fn is_quiet(&self) -> bool {
        self.calls.load(Ordering::SeqCst) == 0
            && self.processes.iter().any(|process| process.engine.get().is_some())
            && self.processes.iter().all(|process| process.drained.is_none())
            && self.lanes().iter().all(|(_, depth)| depth.waiting + depth.leased == 0)
    }

    fn left(&self) -> String {
        let mut left = format!("{} calls", self.calls.load(Ordering::SeqCst));
        for (lane, depth) in self.lanes() {
            left += &format!(", lane '{lane}' {depth:?}");
            for place in [Place::Waiting, Place::Leased] {
                let tasks = self.truth.list(&lane, place, None, 10).now_or_never().unwrap();
                tasks.unwrap().iter().for_each(|task| left += &format!(" {}", task.id));
            }
        }
        left
    }

    /// What must hold when all is quiet.
    fn judge_end(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let promised = self.promised.lock().clone();
        for (function, id) in promised {
            let process =
                self.processes.iter().find(|process| process.engine.get().is_some()).unwrap();
            let engine = process.engine.get().unwrap();
            let cx = Context::new("1-00000000-00000000-ffffffffffff".parse().unwrap());
            let name = name(function);
            let task = process.runtime.block_on(engine.task(cx, account(), &name, &id));
            match task {
                Ok(task) if task.status.is_final() => {}
                Ok(task) => {
                    let status = task.status.as_str();
                    wrong.push(format!("'{function}/{id}' is {status} for ever"));
                }
                Err(error) => wrong.push(format!("'{function}/{id}' is not found: {error}")),
            }
        }
        // Nothing is left that keeps a new task from running at once.
        let before = self.log.events().len();
        self.op(Op::Submit { function: "plain", name: None, delay: None });
        self.settle();
        let events = self.log.events();
        let ran =
            events[before..].iter().any(|event| matches!(event.what, What::AttemptBegin { .. }));
        if !ran {
            wrong.push("a fresh task is not run at once".into());
        }
        let end = self.clock.now() + AGE * 2;
        while !self.is_quiet()
            && let Some(next) = self.clock.next_timer()
            && next < end
        {
            self.clock.advance_to(next);
            self.settle();
        }
        wrong
    }

    /// The history, with the ends of tasks that nobody records but the queue.
    fn history(&self) -> Vec<Event> {
        let mut events = self.log.events();
        for (task, at, kind) in self.facts.lock().ends() {
            let what = What::Terminal { task, kind, result: None };
            events.push(Event { at, wall: 0, host: "queue".into(), what });
        }
        // At one instant an end stands behind what was there.
        events.sort_by_key(|event| event.at);
        events
    }
}
