//! Cancellation.

use fc_core::ErrorKind;
use fc_core::port::queue::{Cancelled, Place, Verdict as End};

use super::Subject;
use super::trial::{HOLD, SHORT, Trial, task};
use crate::conformance::{Verdict, equal, refused};

/// A task that nobody holds is removed, whether it is visible, delayed, a dead letter, or its lease
/// has ended; its last holder cannot settle it.
pub async fn cancel_removes_what_nobody_holds(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let expired = t.hold("expired", SHORT).await?;
    t.sleep(2 * SHORT).await;
    equal("cancel", t.cancel("expired").await?, Cancelled::Removed)?;
    let settled = t.settle(&expired.token, End::Done).await;
    refused("a settlement of what was cancelled", settled, ErrorKind::Conflict)?;
    t.bury("buried").await?;
    t.add(task("visible")).await?;
    t.add(task("delayed").visible_at(t.at(600_000))).await?;
    for id in ["buried", "visible", "delayed"] {
        equal(&format!("cancel of '{id}'"), t.cancel(id).await?, Cancelled::Removed)?;
        for place in [Place::Waiting, Place::Leased, Place::Buried] {
            let is_listed = t.ids(place).await?.iter().any(|listed| listed == id);
            equal(&format!("'{id}' is listed"), is_listed, false)?;
        }
    }
    equal("what is there", t.counts().await?, (0, 0, 0))?;
    t.none("a lane whose tasks were cancelled").await
}

/// A task that somebody holds is left alone: its holder settles it.
pub async fn cancel_leaves_what_is_held(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("a", HOLD).await?;
    equal("cancel", t.cancel("a").await?, Cancelled::Held)?;
    equal("what is there", t.counts().await?, (0, 1, 0))?;
    t.settled("the holder's settlement", &held.token, End::Done).await
}

/// There is nothing to cancel where no task of this id is, or is any more.
pub async fn cancel_of_nothing_is_absent(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    equal("cancel in a lane without tasks", t.cancel("a").await?, Cancelled::Absent)?;
    t.beside("-other")?.add(task("a")).await?;
    let held = t.hold("b", HOLD).await?;
    equal("cancel of another lane's task", t.cancel("a").await?, Cancelled::Absent)?;
    t.settled("done", &held.token, End::Done).await?;
    equal("cancel of a task that is done", t.cancel("b").await?, Cancelled::Absent)?;
    t.add(task("c")).await?;
    equal("cancel", t.cancel("c").await?, Cancelled::Removed)?;
    equal("cancel of a task that was cancelled", t.cancel("c").await?, Cancelled::Absent)
}
