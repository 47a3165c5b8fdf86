//! Dead letters, and what an operator removes.

use fc_core::ErrorKind;
use fc_core::port::queue::{Place, Verdict as End};

use super::Subject;
use super::trial::{HOLD, PAST, Trial, task};
use crate::conformance::{Verdict, equal, refused};

/// A redrive of one dead letter lets it wait again with another note, and changes no other task.
pub async fn redrive_of_one_leaves_the_others(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    for id in ["a", "b", "c"] {
        t.bury(id).await?;
    }
    equal("a redrive of an unknown id", t.redrive(Some("d"), PAST, "").await?, 0)?;
    equal("a redrive of one", t.redrive(Some("b"), PAST, "again").await?, 1)?;
    equal("what is there", t.counts().await?, (1, 0, 2))?;
    let views = t.views(Place::Waiting).await?;
    let reasons: Vec<_> = views.iter().map(|view| view.reason.clone()).collect();
    equal("the reason of what was redriven", reasons, vec![None])?;
    equal("a redrive of what waits", t.redrive(Some("b"), PAST, "").await?, 0)?;
    let leased = t.take_one(HOLD).await?;
    equal("the task", leased.token.task.as_str(), "b")?;
    equal("its payload", leased.payload, task("b").payload)?;
    equal("its note", &*leased.note, b"again")?;
    equal("a redrive of what is held", t.redrive(Some("b"), PAST, "").await?, 0)?;
    t.none("a lane whose other tasks are dead letters").await?;
    t.settled("done", &leased.token, End::Done).await
}

/// A redrive of all lets all dead letters of the lane wait again, and no other lane's.
pub async fn redrive_of_all_leaves_none(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let other = t.beside("-other")?;
    equal("a redrive of none", t.redrive(None, PAST, "").await?, 0)?;
    other.bury("x").await?;
    for id in ["a", "b", "c", "d"] {
        t.bury(id).await?;
    }
    equal("a redrive of all", t.redrive(None, PAST, "again").await?, 4)?;
    equal("what is there", t.counts().await?, (4, 0, 0))?;
    equal("the other lane", other.counts().await?, (0, 0, 1))?;
    for leased in t.take(4, HOLD).await? {
        equal("the note", &*leased.note, b"again")?;
    }
    equal("a redrive of none", t.redrive(None, PAST, "").await?, 0)
}

/// A purge of what waits removes it, visible or not, and nothing else.
pub async fn purge_removes_what_waits(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let other = t.beside("-other")?;
    other.add(task("other")).await?;
    t.bury("buried").await?;
    let held = t.hold("held", HOLD).await?;
    t.add_all(&["a", "b"]).await?;
    t.add(task("delayed").visible_at(t.at(600_000))).await?;
    equal("purged", t.purge(Place::Waiting).await?, 3)?;
    equal("what is there", t.counts().await?, (0, 1, 1))?;
    t.none("a lane that was purged").await?;
    equal("purged again", t.purge(Place::Waiting).await?, 0)?;
    equal("the other lane", other.counts().await?, (1, 0, 0))?;
    t.settled("the holder's settlement", &held.token, End::Done).await
}

/// A purge of the dead letters removes them, and nothing else.
pub async fn purge_removes_dead_letters(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.bury("a").await?;
    t.bury("b").await?;
    let held = t.hold("held", HOLD).await?;
    t.add(task("waiting")).await?;
    equal("purged", t.purge(Place::Buried).await?, 2)?;
    equal("what is there", t.counts().await?, (1, 1, 0))?;
    equal("redriven", t.redrive(None, PAST, "").await?, 0)?;
    t.settled("the holder's settlement", &held.token, End::Done).await
}

/// A purge of held tasks is refused, and changes nothing.
pub async fn purge_of_leased_tasks_is_refused(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("held", HOLD).await?;
    let purged = t.queue.purge(t.cx(), &t.lane, Place::Leased).await;
    refused("a purge of held tasks", purged, ErrorKind::InvalidArgument)?;
    equal("what is there", t.counts().await?, (0, 1, 0))?;
    t.settled("the holder's settlement", &held.token, End::Done).await
}
