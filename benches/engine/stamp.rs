//! A function that says when it has started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fc::core::{Asynchronous, Invocation, Invoke, RequestIds};
use fc::runtime::in_process::InProcessRuntime;
use fc::{AccountId, Body, Context, FunctionName, FunctionSpec, Platform, Response, handler_fn};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};

use super::{Subject, payload, quantile};

const NAME: &str = "stamp";

/// The function, and what it says.
#[derive(Clone)]
pub(crate) struct Stamp {
    account: AccountId,
    ids: Arc<RequestIds>,
    started: Arc<Mutex<mpsc::Receiver<Instant>>>,
}

impl Stamp {
    /// Deploys it to `account`.
    pub(crate) fn deploy(platform: &Platform, account: AccountId) -> Self {
        let (stamps, started) = mpsc::channel(16);
        let stamp = handler_fn(move |_cx, _request| {
            let _ = stamps.try_send(Instant::now());
            async { Ok(Response::new(Body::EMPTY)) }
        });
        let spec = FunctionSpec {
            function_name: NAME.into(),
            runtime: "in-process".into(),
            instance_concurrency: platform.limits().instance_concurrency_max,
            ..FunctionSpec::default()
        };
        let code = Arc::new(InProcessRuntime::code(stamp));
        platform.functions().create(&account, &spec, code).expect("deployed");
        let ids = Arc::new(RequestIds::from_machine());
        Self { account, ids, started: Arc::new(Mutex::new(started)) }
    }

    /// Enqueues it so often, each time when the last has run: from the call to the function's first
    /// line, milliseconds, the median and the 99th of 100.
    pub(crate) fn measure(&self, runtime: &Runtime, subject: &Subject, count: u32) -> [f64; 2] {
        let (this, platform) = (self.clone(), subject.platform.clone());
        // On a worker, as the connections of a server are.
        let times = runtime.spawn(async move {
            let engine = platform.engine().expect("it queues");
            let (name, payload) = (FunctionName::new(NAME).expect("a name"), payload());
            let mut started = this.started.lock().await;
            let mut times = Vec::new();
            for _ in 0..count {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let before = Instant::now();
                let mut invocation = Invocation::event(this.account, name.clone(), payload.clone());
                invocation.asynchronous = Some(Box::new(Asynchronous::default()));
                let cx = Context::new(this.ids.next(platform.clock().wall()));
                engine.invoke(cx, invocation).await.expect("queued");
                let at = started.recv().await.expect("it starts");
                times.push((at - before).as_secs_f64() * 1e3);
            }
            times
        });
        halves(runtime.block_on(times).expect("no panic"))
    }
}

/// Median and 99th of 100.
pub(crate) fn halves(times: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let mut times: Vec<f64> = times.into_iter().collect();
    [quantile(&mut times, 0.5), quantile(&mut times, 0.99)]
}
