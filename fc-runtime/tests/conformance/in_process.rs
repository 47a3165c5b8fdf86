//! The in-process runtime. A Rust handler cannot fail to come up and prints nowhere; the rest it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fc_core::{
    Body, Clock, Context, FunctionVersion, Instant, Request, Response, Runtime, SystemClock,
};
use fc_runtime::in_process::{Handler, HandlerFailure, InProcessRuntime, Work};
use fc_testkit::conformance::runtime::{Behaviour, RuntimeFixture};
use tokio::sync::Notify;

struct Fixture;

const BEHAVIOURS: [Behaviour; 8] = [
    Behaviour::Echo,
    Behaviour::Stream,
    Behaviour::Sleep,
    Behaviour::Meet,
    Behaviour::Count,
    Behaviour::Crash,
    Behaviour::Initializer,
    Behaviour::FailInitializer,
];

#[async_trait]
impl RuntimeFixture for Fixture {
    async fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(InProcessRuntime::new())
    }

    fn version(&self, behaviour: Behaviour) -> Option<Arc<FunctionVersion>> {
        let code = || InProcessRuntime::code_of_each(move || Sample::new(behaviour));
        BEHAVIOURS.contains(&behaviour).then(|| super::version(behaviour, "in-process", code()))?
    }
}

/// One instance's handler.
struct Sample {
    behaviour: Behaviour,
    clock: SystemClock,
    requests: AtomicUsize,
    present: AtomicUsize,
    came: Notify,
    initialized: AtomicBool,
}

impl Sample {
    fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            clock: SystemClock::new(),
            requests: AtomicUsize::new(0),
            present: AtomicUsize::new(0),
            came: Notify::new(),
            initialized: AtomicBool::new(false),
        }
    }

    async fn answer(&self, request: Request) -> Result<Response, HandlerFailure> {
        let count = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let (head, body) = request.into_parts();
        let body = match self.behaviour {
            Behaviour::Echo | Behaviour::Stream => body,
            Behaviour::Sleep => {
                let bytes = body.read(100).await?;
                let millis = std::str::from_utf8(&bytes)?.parse()?;
                let until: Instant = self.clock.now() + Duration::from_millis(millis);
                self.clock.sleep_until(until).await;
                bytes.into()
            }
            Behaviour::Meet => {
                let bytes = body.read(100).await?;
                let expected: usize = std::str::from_utf8(&bytes)?.parse()?;
                self.present.fetch_add(1, Ordering::SeqCst);
                self.came.notify_waiters();
                loop {
                    let came = self.came.notified();
                    if self.present.load(Ordering::SeqCst) >= expected {
                        break;
                    }
                    came.await;
                }
                bytes.into()
            }
            Behaviour::Count => Body::from(count.to_string()),
            Behaviour::Crash => panic!("as asked"),
            _ => Body::from(if self.initialized.load(Ordering::SeqCst) { "yes" } else { "no" }),
        };
        let mut response = Response::new(body);
        response.headers_mut().insert("x-method", head.method.as_str().parse()?);
        response.headers_mut().insert("x-path", head.uri.to_string().parse()?);
        Ok(response)
    }
}

impl Handler for Sample {
    fn initialize(&self, _: Context) -> Work<'_, ()> {
        Box::pin(async {
            if self.behaviour == Behaviour::FailInitializer {
                return Err("no initialization today".into());
            }
            self.initialized.store(true, Ordering::SeqCst);
            Ok(())
        })
    }

    fn call(&self, _: Context, request: Request) -> Work<'_, Response> {
        Box::pin(self.answer(request))
    }
}

async fn fixture() -> Fixture {
    Fixture
}

fc_testkit::runtime_conformance!(fixture);
