//! How instances come up, or do not.

use fc_core::{ErrorKind, Hook};

use super::running::{Running, context, pause, released, spec, start, started};
use super::{Behaviour, Subject};
use crate::conformance::{Verdict, done, ensure, equal, refused, soon};

/// What the initializer has done is there for the first request.
pub async fn an_initializer_runs_before_requests(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Initializer);
    let hook = running.instance.run_hook(context(), Hook::Initialize);
    done("the initializer", soon("the initializer", hook).await?)?;
    equal("the answer", running.ask("").await?, "yes".into())?;
    running.stop().await
}

/// An initializer that fails is an `InitializationError`.
pub async fn a_failing_initializer_is_reported(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, FailInitializer);
    let hook = running.instance.run_hook(context(), Hook::Initialize);
    let failed = soon("the initializer", hook).await?;
    refused("the initializer", failed, ErrorKind::InitializationError)?;
    running.stop().await
}

/// A program that does not come up is `FunctionNotStarted`.
pub async fn what_does_not_start_is_reported(fixture: &Subject) -> Verdict {
    let Some(version) = fixture.version(Behaviour::NeverStarts) else {
        return Ok(());
    };
    let runtime = fixture.runtime().await;
    let started = start(fixture, &runtime, &version).await?;
    refused("start", started, ErrorKind::FunctionNotStarted)
}

/// A start that failed leaves nothing.
pub async fn a_failed_start_leaves_nothing(fixture: &Subject) -> Verdict {
    let Some(version) = fixture.version(Behaviour::NeverStarts) else {
        return Ok(());
    };
    let runtime = fixture.runtime().await;
    let before = fixture.held();
    let started = start(fixture, &runtime, &version).await?;
    ensure(started.is_err(), || "it has started".into())?;
    equal("what is held", fixture.held(), before)
}

/// A start that is dropped half-way leaves nothing, soon.
pub async fn a_dropped_start_leaves_nothing(fixture: &Subject) -> Verdict {
    let Some(version) = fixture.version(Behaviour::Echo) else {
        return Ok(());
    };
    let runtime = fixture.runtime().await;
    let before = fixture.held();
    done("prepare", runtime.prepare(context(), &version).await)?;
    for millis in [0, 1, 3, 10] {
        let spec = spec(fixture, &version);
        let early = {
            let mut start = runtime.start(context(), &spec);
            tokio::select! {
                biased;
                started = &mut start => Some(started),
                () = pause(millis) => None,
            }
        };
        if let Some(started) = early {
            let instance = done("start", started)?;
            done("stop", instance.stop(context()).await)?;
        }
    }
    // What goes on in the background has the time to do its harm.
    pause(200).await;
    released(fixture, before).await
}
