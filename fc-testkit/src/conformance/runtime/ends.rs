//! How requests and instances end.

use std::pin::pin;

use fc_core::{ErrorKind, Exit};
use futures_util::{FutureExt, future};

use super::running::{FOR_EVER_MS, Running, context, pause, started};
use super::{Behaviour, Subject};
use crate::conformance::{Verdict, ensure, equal, refused};

/// A request that is dropped half-way harms no other instance, and does not keep its own from
/// stopping.
pub async fn a_cancelled_request_disturbs_no_other_instance(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Sleep);
    {
        let invocation = running.invocation(FOR_EVER_MS);
        let mut request = pin!(running.instance.invoke(context(), invocation).fuse());
        tokio::select! {
            early = &mut request => return Err(format!("it does not sleep: {early:?}")),
            () = pause(100) => {}
        }
    }
    let other = started!(fixture, &runtime, Sleep);
    equal("the answer", other.ask("1").await?, "1".into())?;
    running.stop().await?;
    other.stop().await
}

/// The request under which an instance dies fails with `FunctionCrashed`.
pub async fn a_crash_is_reported_to_its_request(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Crash);
    refused("the request", running.invoke("").await?, ErrorKind::FunctionCrashed)?;
    running.stop().await
}

/// An instance that dies by itself has exited, and not because it was stopped.
pub async fn a_crash_ends_the_instance(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Crash);
    let crashed = running.invoke("").await?;
    ensure(crashed.is_err(), || format!("the request is {crashed:?}"))?;
    let exit = running.exited().await?;
    ensure(exit != Exit::Stopped, || "nobody has stopped it".into())?;
    running.stop().await
}

/// All who wait for an instance's end, and who ask later, get the same answer.
pub async fn exited_tells_everybody_the_same(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    let (one, other, stopped) =
        future::join3(running.exited(), running.exited(), running.stop()).await;
    stopped?;
    let one = one?;
    equal("the second waiter's answer", other?, one)?;
    equal("a later answer", running.exited().await?, one)
}

/// A second `stop` succeeds, also beside the first.
pub async fn stop_is_idempotent(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    let (one, other) = future::join(running.stop(), running.stop()).await;
    one.and(other)?;
    running.stop().await
}

/// An instance that was stopped has exited, because it was stopped.
pub async fn a_stopped_instance_has_exited(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    let early = running.instance.exited().now_or_never();
    ensure(early.is_none(), || format!("it has exited before its end: {early:?}"))?;
    running.stop().await?;
    equal("exited", running.exited().await?, Exit::Stopped)
}

/// A request to an instance that was stopped fails, and does not wait.
pub async fn a_stopped_instance_refuses_requests(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    running.stop().await?;
    let late = running.invoke("late").await?;
    ensure(late.is_err(), || format!("a stopped instance answers {late:?}"))
}

/// `stop` ends the requests that run: they fail.
pub async fn stop_ends_what_runs(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Sleep);
    let stop = async {
        pause(100).await;
        running.stop().await
    };
    let (request, stopped) = future::join(running.invoke(FOR_EVER_MS), stop).await;
    stopped?;
    let request = request?;
    ensure(request.is_err(), || format!("the request is {request:?}"))
}

/// When `stop` returns, nothing of the instance is left.
pub async fn stop_leaves_nothing(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let before = fixture.held();
    let running = started!(fixture, &runtime, Echo);
    running.ask("once").await?;
    running.stop().await?;
    equal("what is held", fixture.held(), before)
}
