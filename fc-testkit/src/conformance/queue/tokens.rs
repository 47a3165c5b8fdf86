//! Tokens: stale ones change nothing.

use fc_core::ErrorKind;
use fc_core::port::queue::{Leased, Place, Verdict as End};

use super::Subject;
use super::trial::{HOLD, PAST, SHORT, Trial, buried, retried, task};
use crate::conformance::{Verdict, done, equal, refused};

/// The one whose lease ended and whose task somebody else holds settles nothing.
pub async fn a_stale_token_settles_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let (old, new) = overtaken(&t, "a").await?;
    for verdict in [End::Done, retried(PAST, "old"), buried("old", "old")] {
        let settled = t.settle(&old.token, verdict).await;
        refused("a settlement with a stale token", settled, ErrorKind::Conflict)?;
        equal("what is held", t.ids(Place::Leased).await?, vec!["a".to_owned()])?;
    }
    t.none("a task that is held").await?;
    t.settled("the settlement of who holds the task", &new.token, End::Done).await?;
    equal("what is there", t.counts().await?, (0, 0, 0))
}

/// The one whose lease ended and whose task somebody else holds, or is over, extends nothing.
pub async fn a_stale_token_extends_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let (old, new) = overtaken(&t, "a").await?;
    let extended = t.extend(&old.token, SHORT).await;
    refused("an extension with a stale token", extended, ErrorKind::Conflict)?;
    t.sleep(2 * SHORT).await;
    t.none("a task that is held").await?;
    t.settled("retry", &new.token, retried(PAST, "")).await?;
    let extended = t.extend(&new.token, HOLD).await;
    refused("an extension after a retry", extended, ErrorKind::Conflict)?;
    let last = t.take_one(HOLD).await?;
    t.settled("done", &last.token, End::Done).await?;
    let extended = t.extend(&last.token, HOLD).await;
    refused("an extension of a task that is over", extended, ErrorKind::Conflict)
}

/// The one whose lease ended, and whose task nobody has leased since, may still settle or extend it.
pub async fn an_expired_token_settles_if_nobody_leased_since(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    for verdict in [End::Done, retried(t.at(600_000), ""), buried("why", "")] {
        let id = format!("settled-{}", t.at(0).as_unix_millis());
        let held = t.hold(&id, SHORT).await?;
        t.sleep(2 * SHORT).await;
        let what = format!("{verdict:?} after the end of the lease");
        t.settled(&what, &held.token, verdict).await?;
        t.none("a task that was settled after the end of its lease").await?;
    }
    equal("what is there", t.counts().await?, (1, 0, 1))?;
    let held = t.hold("extended", SHORT).await?;
    t.sleep(2 * SHORT).await;
    done("extend after the end of the lease", t.extend(&held.token, HOLD).await)?;
    t.none("a task that was extended after the end of its lease").await
}

/// A settled lease cannot be settled again, whatever the verdicts.
pub async fn a_lease_settles_once(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let verdicts = || [End::Done, retried(t.at(600_000), "n"), buried("why", "n")];
    for (number, first) in verdicts().into_iter().enumerate() {
        let held = t.hold(&format!("t{number}"), HOLD).await?;
        t.settled("the first settlement", &held.token, first.clone()).await?;
        let counts = t.counts().await?;
        for second in verdicts() {
            let what = format!("{second:?} after {first:?}");
            refused(&what, t.settle(&held.token, second).await, ErrorKind::Conflict)?;
        }
        equal("what is there", t.counts().await?, counts)?;
    }
    t.add(task("last")).await?;
    equal("the next task", t.take_one(HOLD).await?.token.task.as_str(), "last")
}

/// A lease that ended, and the next one of the same task, which is held.
pub(super) async fn overtaken(t: &Trial, id: &str) -> Result<(Leased, Leased), String> {
    let old = t.hold(id, SHORT).await?;
    let new = t.take_one(HOLD).await?;
    equal("the task that is leased again", &new.token.task, &old.token.task)?;
    Ok((old, new))
}
