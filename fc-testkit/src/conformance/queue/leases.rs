//! Leases: how many, for how long, and what comes after.

use std::collections::HashSet;
use std::time::Duration;

use fc_core::port::queue::Verdict as End;

use super::Subject;
use super::trial::{HOLD, PAST, SHORT, Trial, noted, retried};
use crate::conformance::{Verdict, ensure, equal};

/// A lease gives at most as many tasks as asked for (none if none), and none of them twice.
pub async fn a_lease_gives_no_more_than_asked(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add_all(&["a", "b", "c", "d", "e"]).await?;
    equal("a lease of at most 0", t.lease(0, HOLD).await?, vec![])?;
    let mut seen = HashSet::new();
    for max in [1, 2, usize::MAX] {
        let leased = t.lease(max, HOLD).await?;
        ensure(!leased.is_empty(), || format!("a lease of at most {max} gives nothing"))?;
        ensure(leased.len() <= max, || format!("a lease of at most {max}: {leased:?}"))?;
        for held in leased {
            ensure(seen.insert(held.token.task), || format!("one task twice: {seen:?}"))?;
        }
    }
    let rest = t.take(5 - seen.len(), HOLD).await?;
    seen.extend(rest.into_iter().map(|held| held.token.task));
    equal("tasks", seen.len(), 5)?;
    t.none("a lane whose tasks are held").await
}

/// Nobody else gets a task while it is held, for an hour if so asked.
pub async fn a_leased_task_is_nobody_elses(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("a", Duration::from_secs(3600)).await?;
    for _ in 0..5 {
        t.none("a task that is held").await?;
        t.sleep(Duration::from_millis(50)).await;
    }
    t.settled("done", &held.token, End::Done).await
}

/// When its lease ends a task is leased again, as it was, and says how often it was leased before.
pub async fn a_task_whose_lease_ends_is_leased_again(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add(noted("a", "note")).await?;
    let first = t.take_one(SHORT).await?;
    for leases_before in 1..=2 {
        let again = t.take_one(SHORT).await?;
        equal("the task", &again.token.task, &first.token.task)?;
        equal("the payload", &again.payload, &first.payload)?;
        equal("the note", &again.note, &first.note)?;
        equal("the time of its push", again.pushed_at, first.pushed_at)?;
        equal("the leases before", again.leases_before, leases_before)?;
    }
    Ok(())
}

/// Each lease of a task has a greater fence than all before, whether the one before ended by itself
/// or was settled.
pub async fn a_later_lease_has_a_greater_fence(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let mut last = t.hold("a", SHORT).await?;
    for round in 0..4 {
        let is_settled = round % 2 == 0;
        let next = t.take_one(if is_settled { HOLD } else { SHORT }).await?;
        let grows = last.token.fence < next.token.fence;
        ensure(grows, || format!("{:?} is followed by {:?}", last.token, next.token))?;
        if is_settled {
            t.settled("retry", &next.token, retried(PAST, "")).await?;
            // Settled and visible: the next round leases it for a short time.
        }
        last = next;
    }
    Ok(())
}

/// `extend` holds a task from now on: longer than it was held, or shorter.
pub async fn extend_holds_a_task_from_now(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("a", SHORT).await?;
    extended(&t, &held.token, HOLD).await?;
    t.sleep(2 * SHORT).await;
    t.none("a task whose lease was extended").await?;
    extended(&t, &held.token, SHORT).await?;
    let again = t.take_one(HOLD).await?;
    equal("the task", again.token.task, held.token.task)
}

async fn extended(t: &Trial, token: &fc_core::port::queue::LeaseToken, span: Duration) -> Verdict {
    t.extend(token, span).await.map_err(|error| format!("extend: {error:?}"))
}
