//! What is pushed with a settlement.

use fc_core::ErrorKind;
use fc_core::port::queue::{FollowUp, NewTask, Place, Verdict as End};

use super::Subject;
use super::tokens::overtaken;
use super::trial::{HOLD, PAST, TRIED_MAX, Trial, buried, noted, retried, task, with};
use crate::conformance::{Verdict, equal, refused};

fn follow_up(t: &Trial, task: NewTask) -> FollowUp {
    FollowUp { lane: t.lane.clone(), task }
}

/// Follow-ups are pushed to their lanes, whatever the verdict, and wait for their time.
pub async fn follow_ups_are_pushed(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let far = t.at(600_000);
    for (number, verdict) in
        [End::Done, retried(far, ""), buried("why", "")].into_iter().enumerate()
    {
        let (one, other) = (t.beside(&format!("-1-{number}"))?, t.beside(&format!("-2-{number}"))?);
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|id| format!("{id}{number}"));
        let held = t.hold(&format!("held{number}"), HOLD).await?;
        let follow_ups = vec![
            follow_up(&one, noted(&a, "note")),
            follow_up(&other, task(&b).visible_at(far)),
            follow_up(&other, task(&c)),
            follow_up(&t, task(&d)),
        ];
        t.settled("a settlement", &held.token, with(verdict, follow_ups)).await?;
        let leased = one.take_one(HOLD).await?;
        equal("the first follow-up", &leased.token.task, &a)?;
        equal("its payload", leased.payload, task(&a).payload)?;
        equal("its note", &*leased.note, b"note")?;
        equal("the third", other.take_one(HOLD).await?.token.task, c)?;
        equal("the fourth", t.take_one(HOLD).await?.token.task, d)?;
        other.none("a follow-up whose time has not come").await?;
        equal("what waits", other.ids(Place::Waiting).await?, vec![b])?;
    }
    equal("what is there", t.counts().await?, (1, 3, 1))
}

/// A follow-up whose id is known changes nothing, and the settlement happens.
pub async fn a_known_follow_up_changes_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let other = t.beside("-other")?;
    other.add(noted("known", "first")).await?;
    let held = t.hold("a", HOLD).await?;
    let again = NewTask { note: "second".into(), ..NewTask::new("known", "another payload") };
    let follow_ups = vec![follow_up(&other, again), follow_up(&other, task("new"))];
    t.settled("a settlement", &held.token, with(End::Done, follow_ups)).await?;
    equal("what is left", t.counts().await?, (0, 0, 0))?;
    let views = other.views(Place::Waiting).await?;
    let shown: Vec<_> = views.iter().map(|view| (&*view.id, &*view.payload, &*view.note)).collect();
    let must = vec![
        ("known", &b"payload of known"[..], &b"first"[..]),
        ("new", &b"payload of new"[..], &b""[..]),
    ];
    equal("what waits", shown, must)
}

/// A settlement with one follow-up that a push would refuse is refused: none is pushed, and the task
/// is held as before.
pub async fn an_invalid_follow_up_changes_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let other = t.beside("-other")?;
    let held = t.hold("a", HOLD).await?;
    let declared = t.queue.capabilities();
    let mut bad = vec![task("not an id")];
    // What is tried is at most TRIED_MAX, which is a usize.
    if declared.payload_bytes_max <= TRIED_MAX {
        bad.push(NewTask::new("large", vec![0; declared.payload_bytes_max as usize + 1]));
    }
    if declared.note_bytes_max <= TRIED_MAX {
        let note = vec![b'n'; declared.note_bytes_max as usize + 1];
        bad.push(NewTask { note: note.into(), ..task("noted") });
    }
    for bad in bad {
        let id = bad.id.clone();
        let follow_ups = vec![follow_up(&other, task("good")), follow_up(&other, bad)];
        let settled = t.settle(&held.token, with(End::Done, follow_ups)).await;
        refused(&format!("follow-up '{id}'"), settled, ErrorKind::InvalidArgument)?;
        equal("what was pushed", other.counts().await?, (0, 0, 0))?;
        t.none("a task whose settlement was refused").await?;
    }
    t.settled("the settlement without follow-ups", &held.token, End::Done).await?;
    equal("what is there", t.counts().await?, (0, 0, 0))
}

/// A settlement with a stale token pushes nothing.
pub async fn a_stale_settlement_pushes_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let other = t.beside("-other")?;
    let (old, new) = overtaken(&t, "a").await?;
    for verdict in [End::Done, retried(PAST, ""), buried("why", "")] {
        let follow_ups = vec![follow_up(&other, task("b")), follow_up(&t, task("c"))];
        let settled = t.settle(&old.token, with(verdict, follow_ups)).await;
        refused("a settlement with a stale token", settled, ErrorKind::Conflict)?;
        equal("what was pushed", other.counts().await?, (0, 0, 0))?;
        t.none("the lane of a task that is held").await?;
    }
    t.settled("retry", &new.token, retried(PAST, "")).await
}
