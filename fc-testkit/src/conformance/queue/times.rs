//! When a task is leased, and in which order.

use std::time::Duration;

use fc_core::Timestamp;
use fc_core::port::queue::Leased;

use super::Subject;
use super::trial::{HOLD, PAST, Trial, retried, task};
use crate::conformance::{PATIENCE, Verdict, ensure, equal};

/// A task is not leased before the time that was pushed with it, and says that time.
pub async fn a_task_is_not_leased_before_its_time(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let times = [("a", t.at(300)), ("b", t.at(600)), ("c", t.at(450))];
    for (id, at) in times {
        t.add(task(id).visible_at(at)).await?;
    }
    let mut left = times.to_vec();
    while !left.is_empty() {
        let latest = left.iter().map(|(_, at)| *at).max().unwrap_or_default();
        for leased in soonest(&t, latest).await? {
            let named = |(id, _): &(&str, Timestamp)| *id == leased.token.task;
            let found = left.iter().position(named).ok_or("a task was leased twice")?;
            let (id, at) = left.swap_remove(found);
            not_early(&t, id, at)?;
            equal("the time from which on it could be leased", leased.visible_at, at)?;
        }
    }
    Ok(())
}

/// A retried task is not leased before the time that its settlement says.
pub async fn a_retried_task_is_not_leased_before_its_time(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("a", HOLD).await?;
    let at = t.at(300);
    t.settled("retry", &held.token, retried(at, "")).await?;
    soonest(&t, at).await?;
    not_early(&t, "a", at)
}

/// A dead letter that was redriven is not leased before the time that the redrive says.
pub async fn a_redriven_letter_is_not_leased_before_its_time(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.bury("a").await?;
    let at = t.at(300);
    equal("redriven", t.redrive(Some("a"), at, "").await?, 1)?;
    soonest(&t, at).await?;
    not_early(&t, "a", at)
}

/// What can be leased next, asked for again and again until well after `latest`.
async fn soonest(t: &Trial, latest: Timestamp) -> Result<Vec<Leased>, String> {
    let patience = PATIENCE.as_millis() as u64;
    while t.at(0).as_unix_millis() < latest.as_unix_millis() + patience {
        let leased = t.lease(10, HOLD).await?;
        if !leased.is_empty() {
            return Ok(leased);
        }
        t.sleep(Duration::from_millis(2)).await;
    }
    Err(format!("nothing was leased within {PATIENCE:?} after its time"))
}

/// `id` was leased just now, and must not have been before `at`.
fn not_early(t: &Trial, id: &str, at: Timestamp) -> Verdict {
    let now = t.at(0).as_unix_millis();
    let early = at.as_unix_millis().saturating_sub(now);
    ensure(early == 0, || format!("'{id}' was leased {early} ms early, or more"))
}

/// If the queue declares an order: whoever leases alone gets tasks in the order in which they became
/// visible, whether that was at their push or after a delay, and those that became visible together in
/// the order of their pushes.
pub async fn tasks_are_leased_in_the_order_in_which_they_became_visible(
    subject: &Subject,
) -> Verdict {
    let t = Trial::new(subject)?;
    if !t.queue.capabilities().ordered {
        return Ok(());
    }
    t.add(task("6").visible_at(t.at(600))).await?;
    t.add_all(&["1", "2", "3"]).await?;
    // Both at the same time, after what is visible at once.
    let together = t.at(300);
    t.add(task("4").visible_at(together)).await?;
    t.add(task("5").visible_at(together)).await?;
    t.sleep(Duration::from_millis(700)).await;
    // After the delays have ended.
    t.add_all(&["7"]).await?;
    t.add(task("8").visible_at(PAST)).await?;
    let mut order = Vec::new();
    while order.len() < 8 {
        order.extend(t.take(2, HOLD).await?.into_iter().map(|leased| leased.token.task));
    }
    equal("the order", order, (1..=8).map(|number| number.to_string()).collect())
}
