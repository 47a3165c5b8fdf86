//! What is pushed, and its name.

use bytes::Bytes;
use fc_core::ErrorKind;
use fc_core::port::queue::{
    Cancelled, LANE_BYTES_MAX, NewTask, Place, Pushed, TASK_ID_BYTES_MAX, Verdict as End,
};

use super::Subject;
use super::trial::{HOLD, Trial, by_id, named, noted, task};
use crate::conformance::{Verdict, ensure, equal, refused};

/// What a queue declares does not change.
pub async fn capabilities_are_constant(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let first = t.queue.capabilities();
    t.hold("a", HOLD).await?;
    equal("capabilities", t.queue.capabilities(), first)
}

/// A leased task has the id, the payload and the note that were pushed (none, too), and says when.
pub async fn what_was_pushed_is_leased(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let mut pushed = Vec::new();
    let before = t.at(0).as_unix_millis();
    for (id, payload, note) in [
        ("binary", &b"\0\r\n\xff"[..], &b"\xfe\0"[..]),
        ("empty", b"", b""),
        ("text", b"payload", b"note"),
    ] {
        let new = NewTask {
            note: Bytes::from_static(note),
            ..NewTask::new(id, Bytes::from_static(payload))
        };
        t.add(new.clone()).await?;
        pushed.push(new);
    }
    let after = t.at(0).as_unix_millis();
    for (leased, new) in by_id(t.take(3, HOLD).await?).iter().zip(&pushed) {
        equal("the lane", &leased.token.lane, &t.lane)?;
        equal("the id", &leased.token.task, &new.id)?;
        equal("the payload", &leased.payload, &new.payload)?;
        equal("the note", &leased.note, &new.note)?;
        equal("the leases before", leased.leases_before, 0)?;
        // Another machine's clock may be a second off.
        let at = leased.pushed_at.as_unix_millis();
        let is_right = (before.saturating_sub(1_000)..=after + 1_000).contains(&at);
        ensure(is_right, || format!("pushed at {at}, must be from {before} to {after}"))?;
        let visible = leased.visible_at.as_unix_millis();
        ensure(visible <= after + 1_000, || format!("visible at {visible}, must be by {after}"))?;
    }
    Ok(())
}

/// A second push of an id that waits is told so, and changes nothing.
pub async fn a_known_id_changes_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add(noted("a", "first")).await?;
    let other = NewTask { note: "second".into(), ..NewTask::new("a", "another payload") };
    let delayed = other.clone().visible_at(t.at(60_000));
    for again in [task("a"), other, delayed] {
        equal("the second push", t.push(again).await?, Pushed::Known)?;
    }
    equal("what waits", t.ids(Place::Waiting).await?, vec!["a".to_owned()])?;
    let leased = t.take_one(HOLD).await?;
    equal("the payload", &*leased.payload, b"payload of a")?;
    equal("the note", &*leased.note, b"first")
}

/// A push of an id that somebody holds is told so, and changes nothing.
pub async fn an_id_is_known_while_its_task_is_leased(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("a", HOLD).await?;
    equal("the second push", t.push(task("a")).await?, Pushed::Known)?;
    t.none("a task that was pushed again while it was held").await?;
    t.settled("the holder's settlement", &held.token, End::Done).await?;
    equal("what is there", t.counts().await?, (0, 0, 0))
}

/// A push of a dead letter's id is told so, and changes nothing.
pub async fn an_id_is_known_while_its_task_is_buried(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.bury("a").await?;
    equal("the second push", t.push(task("a")).await?, Pushed::Known)?;
    t.none("a dead letter that was pushed again").await?;
    equal("what is there", t.counts().await?, (0, 0, 1))
}

/// An id may be used again when its task is done, cancelled or purged.
pub async fn an_id_is_free_once_its_task_is_over(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let first = t.hold("a", HOLD).await?;
    t.settled("done", &first.token, End::Done).await?;
    t.add(task("a")).await?;
    equal("cancel", t.cancel("a").await?, Cancelled::Removed)?;
    t.add(task("a")).await?;
    t.purge(Place::Waiting).await?;
    t.bury("a").await?;
    t.purge(Place::Buried).await?;
    t.add(NewTask::new("a", "the last")).await?;
    let last = t.take_one(HOLD).await?;
    equal("the payload", &*last.payload, b"the last")?;
    equal("the leases before", last.leases_before, 0)?;
    // The first holder's token is not the last one's.
    let stale = t.settle(&first.token, End::Done).await;
    refused("a settlement of the task that had the id before", stale, ErrorKind::Conflict)
}

/// One id in two lanes is two tasks.
pub async fn an_id_belongs_to_its_lane(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let other = t.beside("-other")?;
    t.add(NewTask::new("a", "one")).await?;
    other.add(NewTask::new("a", "other")).await?;
    let leased = t.take_one(HOLD).await?;
    equal("the payload", &*leased.payload, b"one")?;
    t.settled("done", &leased.token, End::Done).await?;
    let leased = other.take_one(HOLD).await?;
    equal("the other lane's payload", &*leased.payload, b"other")
}

/// A lane gives no other lane's tasks, however alike their names, and counts none.
pub async fn a_lane_gives_its_own_tasks_alone(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let suffixes = ["", "/f", "/f/f", "-f", "-F", "_f", ":f", "/"];
    for suffix in suffixes {
        t.beside(suffix)?.add(task(&format!("of{suffix}"))).await?;
    }
    for suffix in suffixes {
        let lane = t.beside(suffix)?;
        equal("what the lane holds", lane.counts().await?, (1, 0, 0))?;
        let leased = lane.take_one(HOLD).await?;
        equal("the task", leased.token.task, format!("of{suffix}"))?;
        lane.none("a lane whose one task is held").await?;
    }
    Ok(())
}

/// Ids of 300 bytes and lanes of 200, of all letters that are allowed, are not cut or folded.
pub async fn the_longest_names_are_told_apart(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let letters = "Aa0-_:/";
    let filled = |start: &str, len: usize, last: char| {
        let mut name = start.to_owned();
        name.extend(letters.chars().cycle().take(len - 1 - start.len()));
        name.push(last);
        name
    };
    let base = t.lane.to_string();
    for (number, last) in ['x', 'X', 'y', '-', '/'].into_iter().enumerate() {
        let lane = named(&filled(&base, LANE_BYTES_MAX, last))?;
        let long = Trial { lane, ..t.clone() };
        let ids = ['x', 'X', 'y'].map(|last| filled(&number.to_string(), TASK_ID_BYTES_MAX, last));
        for id in &ids {
            long.add(task(id)).await?;
        }
        let mut must = ids.to_vec();
        must.sort();
        let leased = by_id(long.take(3, HOLD).await?);
        let is: Vec<_> = leased.iter().map(|leased| leased.token.task.clone()).collect();
        equal("the ids", is, must)?;
        long.none("a lane whose tasks are held").await?;
        for held in leased {
            long.settled("done", &held.token, End::Done).await?;
        }
    }
    Ok(())
}

/// An id that is empty, too long or of other letters is refused, and nothing is pushed.
pub async fn a_bad_id_is_refused(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let long = "x".repeat(TASK_ID_BYTES_MAX + 1);
    for id in ["", " ", "a b", "a.b", "a*", "a>", "a\0", "a\n", "\u{e9}", "a%", "'", &long] {
        let pushed = t.queue.push(t.cx(), &t.lane, NewTask::new(id, "")).await;
        refused(&format!("push of id {id:?}"), pushed, ErrorKind::InvalidArgument)?;
    }
    t.none("a lane to which nothing was pushed").await?;
    equal("what is there", t.counts().await?, (0, 0, 0))
}
