//! What survives a restart.

use fc_core::ErrorKind;
use fc_core::port::queue::{Cancelled, Place, Pushed, Verdict as End};

use super::Subject;
use super::trial::{HOLD, PAST, SHORT, Trial, buried, noted, retried, task};
use crate::conformance::{Verdict, equal, refused};

/// If the subject can be opened again: what was pushed, settled, cancelled, redriven or
/// purged is so after a restart; what was held comes back.
pub async fn what_was_acknowledged_survives_reopening(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    if !subject.can_reopen() {
        return Ok(());
    }
    let (letters, purged, retries) = (t.beside("-letters")?, t.beside("-purged")?, t.beside("-r")?);
    let done = t.hold("done", HOLD).await?;
    t.settled("done", &done.token, End::Done).await?;
    t.add(task("cancelled")).await?;
    equal("cancel", t.cancel("cancelled").await?, Cancelled::Removed)?;
    letters.bury("redriven").await?;
    equal("redriven", letters.redrive(Some("redriven"), PAST, "again").await?, 1)?;
    let held = letters.take_one(SHORT).await?;
    letters.add(task("letter")).await?;
    let letter = letters.take_one(HOLD).await?;
    letters.settled("bury", &letter.token, buried("why", "noted")).await?;
    purged.bury("buried").await?;
    purged.purge(Place::Buried).await?;
    purged.add(task("waiting")).await?;
    equal("purged", purged.purge(Place::Waiting).await?, 1)?;
    let first = retries.hold("r", HOLD).await?;
    retries.settled("retry", &first.token, retried(PAST, "noted")).await?;
    let far = t.at(600_000);
    t.add(noted("delayed", "note").visible_at(far)).await?;
    t.add(noted("last", "note")).await?;

    // Whoever holds the queue keeps it open.
    drop((letters, purged, retries));
    let t = t.reopen(subject).await;
    let (letters, purged, retries) = (t.beside("-letters")?, t.beside("-purged")?, t.beside("-r")?);

    equal(
        "what waits",
        t.ids(Place::Waiting).await?,
        ["delayed", "last"].map(String::from).into(),
    )?;
    let last = t.take_one(HOLD).await?;
    equal("the task", last.token.task.as_str(), "last")?;
    equal("its payload", last.payload, task("last").payload)?;
    equal("its note", &*last.note, b"note")?;
    t.none("a lane with a delayed task").await?;
    equal("a push of what is there", t.push(task("delayed")).await?, Pushed::Known)?;
    let delayed = t.views(Place::Waiting).await?;
    let times: Vec<_> = delayed.iter().map(|view| view.visible_at).collect();
    equal("the delayed task's time", times, vec![far])?;
    equal("what was purged", purged.counts().await?, (0, 0, 0))?;
    let again = letters.take_one(HOLD).await?;
    equal("what was held", again.token.task, held.token.task)?;
    equal("its note", &*again.note, b"again")?;
    let shown = letters.views(Place::Buried).await?;
    let shown: Vec<_> = shown.iter().map(|v| (&*v.id, &*v.note, v.reason.as_deref())).collect();
    equal("the dead letters", shown, vec![("letter", &b"noted"[..], Some("why"))])?;
    equal("what was retried", &*retries.take_one(HOLD).await?.note, b"noted")
}

/// If the subject can be opened again: a token from before the restart is not
/// mistaken for that of a lease thereafter.
pub async fn an_old_token_is_stale_after_reopening(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    if !subject.can_reopen() {
        return Ok(());
    }
    t.add(task("a")).await?;
    let old = t.take_one(SHORT).await?;
    let t = t.reopen(subject).await;
    let new = t.take_one(HOLD).await?;
    equal("the task", &new.token.task, &old.token.task)?;
    for verdict in [retried(PAST, ""), End::Done] {
        let settled = t.settle(&old.token, verdict).await;
        refused("a settlement with a token from before", settled, ErrorKind::Conflict)?;
    }
    let extended = t.extend(&old.token, SHORT).await;
    refused("an extension with a token from before", extended, ErrorKind::Conflict)?;
    t.settled("done", &new.token, End::Done).await
}
