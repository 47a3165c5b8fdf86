//! Requests, and what passes with them.

use bytes::Bytes;
use fc_core::{Body, ErrorKind, InvocationKind, LogType};
use futures_util::future;
use tokio::sync::mpsc;

use super::running::{CONCURRENCY_TRIED_MAX, Running, context, started, text};
use super::{Behaviour, Subject};
use crate::conformance::{Verdict, done, ensure, equal, pieces::Pieces, refused, soon};

/// What a runtime declares does not change.
pub async fn capabilities_are_constant(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let first = runtime.capabilities();
    let running = started!(fixture, &runtime, Echo);
    equal("capabilities", runtime.capabilities(), first)?;
    running.stop().await
}

/// `prepare` may be called again, before and after a start.
pub async fn prepare_is_idempotent(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    for _ in 0..2 {
        let again = soon("prepare", runtime.prepare(context(), &running.version)).await?;
        done("prepare", again)?;
    }
    running.stop().await
}

/// An HTTP request reaches the function with its method, path and query.
pub async fn a_request_arrives_with_method_and_path(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    let mut invocation = running.invocation("body");
    invocation.kind = InvocationKind::Http;
    *invocation.request.method_mut() = http::Method::PUT;
    *invocation.request.uri_mut() = http::Uri::from_static("/a/b%20c?d=e&d");
    let answer = running.instance.invoke(context(), invocation);
    let reply = done("invoke", soon("an answer", answer).await?)?;
    equal("the status", reply.response.status().as_u16(), 200)?;
    for (name, must) in [("x-method", "PUT"), ("x-path", "/a/b%20c?d=e&d")] {
        let value = reply.response.headers().get(name);
        equal(name, value.map(|value| value.as_bytes()), Some(must.as_bytes()))?;
    }
    running.stop().await
}

/// Bodies of no byte, a few, all values of a byte, and 1 MB come back as they were.
pub async fn a_body_comes_back_whole(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Echo);
    for bytes in [0, 1, 256, 1024 * 1024] {
        let body: Bytes = (0..bytes).map(|at: usize| (at % 251) as u8).collect();
        let answer = running.ask(body.clone()).await?;
        ensure(answer == body, || format!("{bytes} bytes came back as other {}", answer.len()))?;
    }
    running.stop().await
}

/// What one instance of a version knows, another does not.
pub async fn instances_have_a_state_of_their_own(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let one = started!(fixture, &runtime, Count);
    let other = started!(fixture, &runtime, Count);
    for (running, must) in [(&one, "1"), (&one, "2"), (&other, "1"), (&one, "3")] {
        equal("the count", running.ask("").await?, must.into())?;
    }
    one.stop().await?;
    other.stop().await
}

/// With `streaming`, the first piece of the answer is there before the last of the request.
pub async fn bodies_pass_while_they_arise(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    if !runtime.capabilities().streaming {
        return Ok(());
    }
    let running = started!(fixture, &runtime, Stream);
    let (pieces, sent) = mpsc::channel(4);
    let send = async |piece: &'static str| {
        let sent = soon("a reader of the request", pieces.send(Bytes::from(piece))).await?;
        sent.map_err(|_| "nobody reads the request".to_owned())
    };
    send("one").await?;
    let mut reply = done("invoke", running.invoke(Body::stream(Pieces(sent))).await?)?;
    for (piece, following) in [("one", Some("two")), ("two", Some("three")), ("three", None)] {
        let mut came = Vec::new();
        while came.len() < piece.len() {
            let frame = soon("a piece of the answer", reply.response.body_mut().frame()).await?;
            let frame = frame.ok_or("the answer ends before the request")?;
            came.extend(done("a piece", frame)?.into_data().unwrap_or_default());
        }
        equal("a piece", came.as_slice(), piece.as_bytes())?;
        if let Some(following) = following {
            send(following).await?;
        }
    }
    drop(pieces);
    equal("the rest", text(reply).await?, Bytes::new())?;
    running.stop().await
}

/// As many requests as declared are in one instance at once.
pub async fn the_declared_concurrency_is_there(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Meet);
    let declared = runtime.capabilities().concurrency_max;
    let most = declared.min(running.version.instance_concurrency()).min(CONCURRENCY_TRIED_MAX);
    let all = (0..most).map(|_| running.ask(most.to_string()));
    for answer in future::join_all(all).await {
        equal("an answer", answer?, most.to_string().into())?;
    }
    running.stop().await
}

/// A runtime that does not declare `suspend` refuses it with `Unsupported`.
pub async fn suspend_is_refused_unless_declared(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    if runtime.capabilities().suspend {
        return Ok(());
    }
    let running = started!(fixture, &runtime, Echo);
    let suspended = soon("suspend", running.instance.suspend(context())).await?;
    refused("suspend", suspended, ErrorKind::Unsupported)?;
    let resumed = soon("resume", running.instance.resume(context())).await?;
    refused("resume", resumed, ErrorKind::Unsupported)?;
    running.stop().await
}

/// With `suspend`, an instance that was suspended and resumed answers as before.
pub async fn a_resumed_instance_answers(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    if !runtime.capabilities().suspend {
        return Ok(());
    }
    let running = started!(fixture, &runtime, Echo);
    for body in ["one", "two"] {
        let suspended = soon("suspend", running.instance.suspend(context())).await?;
        done("suspend", suspended)?;
        done("resume", soon("resume", running.instance.resume(context())).await?)?;
        equal("the answer", running.ask(body).await?, body.into())?;
    }
    running.stop().await
}

/// If there is a log, its tail holds what the request printed, and is no longer than asked.
pub async fn log_tail_is_the_end_of_what_was_printed(fixture: &Subject) -> Verdict {
    let runtime = fixture.runtime().await;
    let running = started!(fixture, &runtime, Print);
    let requests = [(context(), "line-of-the-first"), (context(), "line-of-the-second")];
    for (cx, line) in requests {
        let mut invocation = running.invocation(line);
        invocation.log = LogType::Tail;
        let answer = running.instance.invoke(cx, invocation);
        let reply = done("invoke", soon("an answer", answer).await?)?;
        equal("the answer", text(reply).await?, line.into())?;
    }
    for (cx, line) in requests {
        let tail = soon("log_tail", running.instance.log_tail(cx.request_id, 4096)).await?;
        let Some(tail) = tail else { continue };
        let tail = String::from_utf8_lossy(&tail).into_owned();
        ensure(tail.contains(line), || format!("'{line}' is not in {tail:?}"))?;
        let short = soon("log_tail", running.instance.log_tail(cx.request_id, 4)).await?;
        let bytes = short.map_or(0, |short| short.len());
        ensure(bytes <= 4, || format!("a tail of 4 bytes has {bytes}"))?;
    }
    running.stop().await
}
