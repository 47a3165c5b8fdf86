//! What becomes of a task.

use fc_core::port::queue::{Place, Verdict as End};

use super::Subject;
use super::trial::{HOLD, PAST, SHORT, Trial, buried, noted, retried};
use crate::conformance::{Verdict, equal};

/// A task that is done is nowhere, and does not come back when its lease would have ended.
pub async fn a_done_task_is_gone(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    for id in ["a", "b", "c"] {
        t.add(noted(id, "note")).await?;
        let held = t.take_one(SHORT).await?;
        t.settled("done", &held.token, End::Done).await?;
        for place in [Place::Waiting, Place::Leased, Place::Buried] {
            equal("what is listed", t.ids(place).await?, vec![])?;
        }
        equal("what is there", t.counts().await?, (0, 0, 0))?;
    }
    t.sleep(2 * SHORT).await;
    t.none("a lane whose tasks are done").await
}

/// A retried task is leased again, with the settlement's note (none, too) and its own payload.
pub async fn a_retried_task_comes_back_with_its_note(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add(noted("a", "first")).await?;
    for (before, after) in [("first", "second"), ("second", ""), ("", "last")] {
        let held = t.take_one(HOLD).await?;
        equal("the task", held.token.task.as_str(), "a")?;
        equal("the payload", &*held.payload, b"payload of a")?;
        equal("the note", &*held.note, before.as_bytes())?;
        t.settled("retry", &held.token, retried(PAST, after)).await?;
    }
    let held = t.take_one(HOLD).await?;
    equal("the last note", &*held.note, b"last")
}

/// A buried task is not leased any more; it is listed with the reason and the settlement's note.
pub async fn a_buried_task_is_set_aside(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add(noted("a", "first")).await?;
    let held = t.take_one(SHORT).await?;
    t.settled("bury", &held.token, buried("it fails", "last")).await?;
    t.none("a dead letter").await?;
    t.sleep(2 * SHORT).await;
    t.none("a dead letter").await?;
    equal("what is there", t.counts().await?, (0, 0, 1))?;
    let views = t.views(Place::Buried).await?;
    let shown: Vec<_> =
        views.iter().map(|v| (&*v.id, &*v.payload, &*v.note, v.reason.as_deref())).collect();
    let must = ("a", &b"payload of a"[..], &b"last"[..], Some("it fails"));
    equal("the dead letters", shown, vec![must])
}
