//! Limits, on both sides.

use bytes::Bytes;
use fc_core::port::queue::{NewTask, Place, Verdict as End};
use fc_core::{ErrorKind, Timestamp};

use super::Subject;
use super::trial::{HOLD, PAST, TRIED_MAX, Trial, task};
use crate::conformance::{Verdict, done, ensure, equal, refused};

/// A payload of the declared size is taken, one byte more is refused.
pub async fn a_payload_over_the_limit_is_refused(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let limit = t.queue.capabilities().payload_bytes_max;
    if limit > TRIED_MAX {
        return Ok(());
    }
    // At most TRIED_MAX, which is a usize.
    let largest = Bytes::from(vec![b'p'; limit as usize]);
    let larger = NewTask::new("larger", vec![b'p'; limit as usize + 1]);
    let pushed = t.queue.push(t.cx(), &t.lane, larger).await;
    refused("push of a payload that is too large", pushed, ErrorKind::InvalidArgument)?;
    t.none("a lane to which nothing was pushed").await?;
    t.add(NewTask::new("largest", largest.clone())).await?;
    let leased = t.take_one(HOLD).await?;
    equal("the task", leased.token.task.as_str(), "largest")?;
    let is_whole = leased.payload == largest;
    ensure(is_whole, || format!("{} bytes of {limit} came back", leased.payload.len()))?;
    t.settled("done", &leased.token, End::Done).await
}

/// A note of the declared size is pushed, one byte more is refused.
pub async fn a_note_over_the_limit_is_refused(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let Some((largest, larger)) = notes(&t) else {
        return Ok(());
    };
    let new = |id: &str, note: &Bytes| NewTask { note: note.clone(), ..task(id) };
    let pushed = t.queue.push(t.cx(), &t.lane, new("larger", &larger)).await;
    refused("push of a note that is too large", pushed, ErrorKind::InvalidArgument)?;
    t.none("a lane to which nothing was pushed").await?;
    t.add(new("largest", &largest)).await?;
    let leased = t.take_one(HOLD).await?;
    ensure(leased.note == largest, || format!("{} bytes of the note", leased.note.len()))
}

/// A delay of almost the declared length is taken, a longer one is refused.
pub async fn a_delay_over_the_limit_is_refused(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    // What the queue's clock may be off.
    const SLACK_MS: u64 = 60_000;
    let limit = u64::try_from(t.queue.capabilities().delay_max.as_millis()).unwrap_or(u64::MAX);
    ensure(limit >= 2 * SLACK_MS, || format!("a delay of {limit} ms is too short for retries"))?;
    let now = t.at(0).as_unix_millis();
    let at = |delay: u64| Timestamp::from_unix_millis(now.saturating_add(delay));
    t.add(task("longest").visible_at(at(limit.saturating_sub(SLACK_MS)))).await?;
    if limit <= u64::MAX - now - SLACK_MS {
        let longer = task("longer").visible_at(at(limit + SLACK_MS));
        let pushed = t.queue.push(t.cx(), &t.lane, longer).await;
        refused("push of a delay that is too long", pushed, ErrorKind::InvalidArgument)?;
    }
    equal("what waits", t.ids(Place::Waiting).await?, vec!["longest".to_owned()])?;
    t.none("a lane with a delayed task").await?;
    t.cancel("longest").await.map(drop)
}

/// A settlement with a note or a reason over the limit is refused, and the task is held as before;
/// one of the declared size is taken.
pub async fn a_settlement_over_a_limit_changes_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let Some((largest, larger)) = notes(&t) else {
        return Ok(());
    };
    let text = |note: &Bytes| String::from_utf8_lossy(note).into_owned();
    let held = t.hold("a", HOLD).await?;
    for (what, verdict) in [
        ("a retry's note", End::Retry { at: PAST, note: larger.clone() }),
        ("a dead letter's note", End::Bury { reason: "why".into(), note: larger.clone() }),
        ("a reason", End::Bury { reason: text(&larger), note: Bytes::new() }),
    ] {
        let settled = t.settle(&held.token, verdict).await;
        refused(&format!("{what} that is too large"), settled, ErrorKind::InvalidArgument)?;
        t.none("a task whose settlement was refused").await?;
    }
    let retry = End::Retry { at: PAST, note: largest.clone() };
    t.settled("a retry with the largest note", &held.token, retry).await?;
    let held = t.take_one(HOLD).await?;
    let bury = End::Bury { reason: text(&largest), note: largest };
    t.settled("a burial with the largest reason and note", &held.token, bury).await
}

/// A redrive with a note over the limit is refused and changes nothing; one of the declared size is
/// taken.
pub async fn a_redrive_over_the_limit_changes_nothing(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let Some((largest, larger)) = notes(&t) else {
        return Ok(());
    };
    t.bury("a").await?;
    let redriven = t.queue.redrive(t.cx(), &t.lane, Some("a"), PAST, larger).await;
    refused("a redrive's note that is too large", redriven, ErrorKind::InvalidArgument)?;
    t.none("a dead letter whose redrive was refused").await?;
    let redriven = t.queue.redrive(t.cx(), &t.lane, Some("a"), PAST, largest.clone()).await;
    equal("redriven", done("redrive", redriven)?, 1)?;
    let leased = t.take_one(HOLD).await?;
    ensure(leased.note == largest, || format!("{} bytes of the note", leased.note.len()))
}

/// A note of the declared size, and one that is a byte too long, if they are not too large to try.
fn notes(t: &Trial) -> Option<(Bytes, Bytes)> {
    let limit = t.queue.capabilities().note_bytes_max;
    // At most TRIED_MAX, which is a usize.
    let note = |bytes: u64| Bytes::from(vec![b'n'; bytes as usize]);
    (limit <= TRIED_MAX).then(|| (note(limit), note(limit + 1)))
}
