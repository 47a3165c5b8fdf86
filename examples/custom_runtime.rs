//! A runtime of one's own: `cargo run --example custom_runtime`.
//!
//! Here an instance is an actor, a task that owns its state and takes one request at a time. It is
//! proved with the conformance suite of `fc-testkit`, and then serves an invocation.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fc::core::{
    Clock, Enforcement, ErrorKind, Exit, FunctionVersion, Hook, Instance, InstanceSpec, Invocation,
    Isolation, RequestId, Runtime, RuntimeCapabilities, RuntimeKind, SystemClock, VersionId,
};
use fc::{AccountId, Body, CodeRef, Context, Error, FunctionSpec, Limits, Platform};
use fc::{Reply, Request, Response, Result};
use fc_testkit::conformance::runtime::{Behaviour, RuntimeFixture, cases};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{mpsc, oneshot, watch};

/// What an actor does with a request; the number is the actor's own.
type Behave = for<'s> fn(&'s mut u32, Request) -> BoxFuture<'s, Result<Response>>;

/// Starts actors: what a function does, its handler names.
#[derive(Clone, Debug, Default)]
struct Actors {
    /// Shared by every actor there is.
    alive: Arc<()>,
}

#[derive(Debug)]
struct Actor {
    mailbox: mpsc::Sender<(Request, oneshot::Sender<Result<Response>>)>,
    task: tokio::task::AbortHandle,
    exit: watch::Receiver<Option<Exit>>,
}

#[async_trait]
impl Runtime for Actors {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            // A platform has one runtime of each kind. This one serves the functions whose runtime
            // is `custom`.
            kind: RuntimeKind::Process,
            isolation: Isolation::None,
            concurrency_max: 1,
            streaming: true,
            suspend: false,
            enforces: Enforcement::default(),
        }
    }

    async fn prepare(&self, _: Context, version: &Arc<FunctionVersion>) -> Result<()> {
        if version.lifecycle().is_some() {
            return Err(Error::invalid("instance_lifecycle_config", "an actor has no hooks"));
        }
        behaviour(version.handler()).map(|_| ())
    }

    async fn start(&self, _: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        let behave = behaviour(spec.version.handler())?;
        let (mailbox, mut letters) = mpsc::channel(1);
        let alive = self.alive.clone();
        let actor = tokio::spawn(async move {
            let (_alive, mut state) = (alive, 0);
            while let Some((request, answer)) = letters.recv().await {
                let mut answer: oneshot::Sender<Result<Response>> = answer;
                tokio::select! {
                    response = behave(&mut state, request) => { let _ = answer.send(response); }
                    () = answer.closed() => {} // the caller is gone
                }
            }
        });
        let task = actor.abort_handle();
        let (ended, exit) = watch::channel(None);
        tokio::spawn(async move {
            let panicked = actor.await.is_err_and(|error| error.is_panic());
            ended.send_replace(Some(if panicked { Exit::Code(101) } else { Exit::Stopped }))
        });
        Ok(Arc::new(Actor { mailbox, task, exit }))
    }
}

#[async_trait]
impl Instance for Actor {
    async fn run_hook(&self, _: Context, _: Hook) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "an actor has no hooks"))
    }

    async fn invoke(&self, _: Context, invocation: Invocation) -> Result<Reply> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::new(ErrorKind::FunctionCrashed, "the actor has ended");
        self.mailbox.send((invocation.request, answer)).await.map_err(|_| ended())?;
        Ok(Reply::new(answered.await.map_err(|_| ended())??))
    }

    async fn log_tail(&self, _: RequestId, _: usize) -> Option<bytes::Bytes> {
        None
    }

    async fn suspend(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "an actor is never suspended"))
    }

    async fn resume(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "an actor is never suspended"))
    }

    async fn end_boost(&self, _: Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "an actor has whatever CPU there is"))
    }

    async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let told = exit.wait_for(Option::is_some).await;
        told.ok().and_then(|exit| *exit).unwrap_or(Exit::Stopped)
    }

    async fn stop(&self, _: Context) -> Result<()> {
        self.task.abort();
        self.exited().await;
        Ok(())
    }
}

fn behaviour(handler: &str) -> Result<Behave> {
    Ok(match handler {
        "echo" => |_, request| async { Ok(echo(request)) }.boxed(),
        "count" => |state, _| {
            *state += 1;
            let count = state.to_string();
            async { Ok(Response::new(Body::from(count))) }.boxed()
        },
        "sleep" => |_, request| {
            async {
                let (clock, text) = (SystemClock::new(), request.into_body().read(64).await?);
                let millis = String::from_utf8_lossy(&text).parse().unwrap_or(0);
                clock.sleep_until(clock.now() + Duration::from_millis(millis)).await;
                Ok(Response::new(Body::from(text)))
            }
            .boxed()
        },
        // A panic without the report that the program's hook would print.
        "crash" => |_, _| async { std::panic::resume_unwind(Box::new("as asked")) }.boxed(),
        other => {
            return Err(Error::invalid("handler", format_args!("no actor behaves as '{other}'")));
        }
    })
}

/// The request's body, with its method and target as the suite wants to see them.
fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let response = http::Response::builder()
        .header("x-method", head.method.as_str())
        .header("x-path", head.uri.path_and_query().map_or("", |path| path.as_str()));
    response.body(body).expect("a method and a path are header values")
}

/// What the suite runs: for each behaviour that an actor can have, a function.
#[async_trait]
impl RuntimeFixture for Actors {
    async fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(self.clone())
    }

    fn version(&self, behaviour: Behaviour) -> Option<Arc<FunctionVersion>> {
        let handler = match behaviour {
            Behaviour::Echo | Behaviour::Stream => "echo",
            Behaviour::Count => "count",
            Behaviour::Sleep => "sleep",
            Behaviour::Crash => "crash",
            _ => return None,
        };
        let account = AccountId::new("1000000000000000").ok()?;
        let code = Arc::new(CodeRef::Registered);
        let limits = Limits::default();
        FunctionVersion::new(1, account, VersionId::LATEST, &function(handler), code, &limits)
            .ok()
            .map(Arc::new)
    }

    fn held(&self) -> Option<usize> {
        Some(Arc::strong_count(&self.alive))
    }
}

fn function(handler: &str) -> FunctionSpec {
    FunctionSpec { function_name: "actor".into(), handler: handler.into(), ..Default::default() }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let actors = Actors::default();
    let mut broken = 0;
    for case in cases() {
        match case.run(&actors).await {
            Ok(()) => println!("kept    {}", case.name),
            Err(how) => {
                broken += 1;
                println!("BROKEN  {}: {how}", case.name);
            }
        }
    }
    if broken > 0 {
        return Err(format!("{broken} rules are broken").into());
    }

    let platform = Platform::builder().runtime(Arc::new(actors)).build()?;
    platform.deploy(&function("echo"), CodeRef::Registered)?;
    let reply = platform.invoke("actor", "an event").await?;
    let answer = reply.response.into_body().read(1024).await?;
    println!("an actor answers: {}", String::from_utf8_lossy(&answer));
    platform.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
