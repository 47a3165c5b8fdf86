//! Waiting for a task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fc_core::port::queue::{FollowUp, Verdict as End};
use futures_util::future::join;

use super::Subject;
use super::trial::{HOLD, PAST, Trial, WAIT, retried, task, with};
use crate::conformance::{Verdict, done, ensure, equal, soon};

/// How long a case lets somebody wait before it does what ends the wait.
const BEFORE: Duration = Duration::from_millis(150);

async fn wait(t: &Trial, span: Duration) -> Result<bool, String> {
    done("wait", soon("the end of a wait", t.queue.wait(t.within(span), &t.lane)).await?)
}

/// Waits, does `act` meanwhile, and checks that the wait ended thereafter and with `true`.
async fn wait_until(t: &Trial, what: &str, act: impl Future<Output = Verdict>) -> Verdict {
    let acted = AtomicBool::new(false);
    let waiting = async {
        let found = wait(t, WAIT).await?;
        equal("a wait that began before a task was visible", found, true)?;
        ensure(acted.load(Ordering::SeqCst), || format!("a wait ended before {what}"))
    };
    let acting = async {
        t.sleep(BEFORE).await;
        acted.store(true, Ordering::SeqCst);
        act.await
    };
    let (waited, done) = join(waiting, acting).await;
    done.and(waited).map_err(|error| format!("{what}: {error}"))
}

/// There is no waiting for a task that can be leased already.
pub async fn wait_is_over_at_once_for_a_visible_task(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add(task("a")).await?;
    equal("a task was there", wait(&t, WAIT).await?, true)?;
    // It is as it was.
    equal("a task was there", wait(&t, WAIT).await?, true)?;
    t.take_one(HOLD).await.map(drop)
}

/// A push to the lane ends a wait.
pub async fn wait_ends_upon_a_push(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    for id in ["a", "b"] {
        // The second time, everything else of the lane is held.
        wait_until(&t, "a push", t.add(task(id))).await?;
        equal("the task", t.take_one(HOLD).await?.token.task.as_str(), id)?;
    }
    Ok(())
}

/// The end of a delay ends a wait, whichever began first.
pub async fn wait_ends_when_a_delay_ends(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add(task("a").visible_at(t.at(700))).await?;
    equal("a task came", wait(&t, WAIT).await?, true)?;
    equal("the task", t.take_one(HOLD).await?.token.task.as_str(), "a")?;
    let delayed = async { t.add(task("b").visible_at(t.at(300))).await };
    wait_until(&t, "a push with a delay", delayed).await?;
    equal("the task", t.take_one(HOLD).await?.token.task.as_str(), "b")
}

/// The end of a lease ends a wait.
pub async fn wait_ends_when_a_lease_ends(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.hold("a", Duration::from_millis(700)).await?;
    equal("a task came", wait(&t, WAIT).await?, true)?;
    let held = t.take_one(HOLD).await?;
    // A lease that is cut short.
    let ended = async { done("extend", t.extend(&held.token, BEFORE).await) };
    wait_until(&t, "an extension to less", ended).await?;
    t.take_one(HOLD).await.map(drop)
}

/// A retry, a follow-up and a redrive end a wait, as a push does.
pub async fn wait_ends_upon_a_settlement(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("a", HOLD).await?;
    wait_until(&t, "a retry", t.settled("retry", &held.token, retried(PAST, ""))).await?;
    let held = t.take_one(HOLD).await?;
    t.settled("done", &held.token, End::Done).await?;
    let other = t.beside("-other")?;
    let held = other.hold("b", HOLD).await?;
    let follow_up = FollowUp { lane: t.lane.clone(), task: task("c") };
    let settlement = with(End::Done, vec![follow_up]);
    wait_until(&t, "a follow-up", other.settled("done", &held.token, settlement)).await?;
    t.take_one(HOLD).await?;
    t.bury("d").await?;
    let redriven = async { equal("redriven", t.redrive(Some("d"), PAST, "").await?, 1) };
    wait_until(&t, "a redrive", redriven).await?;
    t.take_one(HOLD).await.map(drop)
}

/// A wait ends with `false` at the context's soft deadline, not earlier, if nothing is visible, or only
/// in another lane.
pub async fn wait_ends_at_its_deadline(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.beside("-other")?.add(task("other")).await?;
    for round in 0..3 {
        let span = Duration::from_millis(200);
        let end = t.clock.now() + span;
        equal("a task came", wait(&t, span).await?, false)?;
        let early = end - t.clock.now();
        ensure(early.is_zero(), || format!("a wait ended {early:?} before its deadline"))?;
        match round {
            0 => t.add(task("delayed").visible_at(t.at(600_000))).await?,
            _ => t.hold(&format!("held{round}"), HOLD).await.map(drop)?,
        }
    }
    equal("a wait whose deadline has passed", wait(&t, Duration::ZERO).await?, false)
}
