//! What a queue tells of its lanes.

use std::time::Duration;

use fc_core::port::queue::{Lane, LaneDepth, Place, TaskView, Verdict as End};

use super::Subject;
use super::trial::{HOLD, PAST, SHORT, Trial, buried, noted, retried, task};
use crate::conformance::{Verdict, done, ensure, equal, soon};

/// The depth counts what waits (delayed, too), what is held and what is buried; a lane without tasks
/// has none.
pub async fn depth_counts_every_place(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    equal("a lane without tasks", t.depth().await?, LaneDepth::default())?;
    t.bury("buried").await?;
    t.bury("letter").await?;
    let held = t.hold("held", HOLD).await?;
    for number in 0..12 {
        t.add(task(&format!("visible{number}"))).await?;
    }
    for number in 0..3 {
        t.add(task(&format!("delayed{number}")).visible_at(t.at(600_000))).await?;
    }
    equal("what is there", t.counts().await?, (15, 1, 2))?;
    t.settled("retry", &held.token, retried(PAST, "")).await?;
    equal("what is there after a retry", t.counts().await?, (16, 0, 2))?;
    let taken = t.take(13, HOLD).await?;
    equal("what is there after leases", t.counts().await?, (3, 13, 2))?;
    for held in taken {
        t.settled("done", &held.token, End::Done).await?;
    }
    equal("what is left", t.counts().await?, (3, 0, 2))?;
    t.purge(Place::Waiting).await?;
    t.purge(Place::Buried).await?;
    equal("a lane without tasks", t.depth().await?, LaneDepth::default())
}

/// A task whose lease has ended waits, by the depth and by the list.
pub async fn depth_follows_the_end_of_a_lease(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.hold("a", SHORT).await?;
    let waiting = async {
        while t.counts().await? != (1, 0, 0) {
            t.sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, String>(())
    };
    soon("a task that waits after its lease", waiting).await??;
    equal("what waits", t.ids(Place::Waiting).await?, vec!["a".to_owned()])?;
    equal("what is held", t.ids(Place::Leased).await?, vec![])
}

/// The oldest of the waiting tasks is the one that was pushed first, visible or not.
pub async fn the_oldest_is_the_first_push_that_waits(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let held = t.hold("held", HOLD).await?;
    equal("the oldest of none", t.depth().await?.oldest, None)?;
    let mut times = Vec::new();
    for (id, ms) in [("a", 600_000), ("b", 0), ("c", 300_000)] {
        // A clock that counts milliseconds tells them apart.
        t.sleep(Duration::from_millis(20)).await;
        t.add(task(id).visible_at(t.at(ms))).await?;
        let views = t.views(Place::Waiting).await?;
        let view = views.iter().find(|view| view.id == id).ok_or("a push is not listed")?;
        times.push(view.pushed_at);
    }
    ensure(times.is_sorted(), || format!("pushed at {times:?}"))?;
    for (id, at) in ["a", "b", "c"].into_iter().zip(times) {
        equal("the oldest", t.depth().await?.oldest, Some(at))?;
        t.cancel(id).await?;
    }
    equal("the oldest of none", t.depth().await?.oldest, None)?;
    t.settled("retry", &held.token, retried(PAST, "")).await?;
    equal("the oldest", t.depth().await?.oldest, Some(held.pushed_at))
}

/// Lanes are listed in byte order, behind a lane (which need not exist), at most as many as asked for.
pub async fn lanes_are_listed_in_byte_order_and_in_pages(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let mut suffixes = ["/b", "-z", "_a", "0", "a/b", "Z", ":a", "a", "a-b", "B"];
    for suffix in suffixes {
        t.beside(suffix)?.add(task(&format!("of{suffix}"))).await?;
    }
    suffixes.sort_unstable();
    let must: Vec<Lane> =
        suffixes.iter().map(|s| Ok(t.beside(s)?.lane)).collect::<Result<_, String>>()?;
    equal("at most 0", lanes(&t, &t.lane, 0).await?, vec![])?;
    for max in [1, 3, 10] {
        let mut listed: Vec<Lane> = Vec::new();
        while listed.len() < must.len() {
            let left = must.len() - listed.len();
            let after = listed.last().unwrap_or(&t.lane).clone();
            let page = lanes(&t, &after, max.min(left)).await?;
            ensure(!page.is_empty(), || format!("no lane behind '{after}'"))?;
            ensure(page.len() <= max, || format!("at most {max}: {page:?}"))?;
            listed.extend(page);
        }
        equal("the lanes", &listed, &must)?;
    }
    let all = done("lanes", t.queue.lanes(None, usize::MAX).await)?;
    let ours: Vec<_> =
        all.into_iter().filter(|l| l.as_str().starts_with(t.lane.as_str())).collect();
    equal("the lanes among all", ours, must)
}

async fn lanes(t: &Trial, after: &Lane, max: usize) -> Result<Vec<Lane>, String> {
    done("lanes", t.queue.lanes(Some(after), max).await)
}

/// A lane is listed while it has a task, wherever that stands, and no longer.
pub async fn a_lane_without_tasks_is_not_listed(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let lane = t.beside("-lane")?;
    let is_listed = || async {
        let listed = lanes(&t, &t.lane, 1).await?;
        Ok::<_, String>(listed.contains(&lane.lane))
    };
    equal("a lane that never had a task is listed", is_listed().await?, false)?;
    lane.add(task("a")).await?;
    equal("a lane with a waiting task is listed", is_listed().await?, true)?;
    let held = lane.take_one(HOLD).await?;
    equal("a lane with a held task is listed", is_listed().await?, true)?;
    lane.settled("bury", &held.token, buried("why", "")).await?;
    equal("a lane with a dead letter is listed", is_listed().await?, true)?;
    lane.purge(Place::Buried).await?;
    equal("a lane that was purged is listed", is_listed().await?, false)?;
    let held = lane.hold("b", HOLD).await?;
    lane.settled("done", &held.token, End::Done).await?;
    equal("a lane whose tasks are done is listed", is_listed().await?, false)
}

/// A list shows the tasks that wait, are held, or are buried, with all that is known of them.
pub async fn a_list_shows_each_place(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.bury("buried").await?;
    t.add(noted("held", "note of held")).await?;
    let held = t.take_one(HOLD).await?;
    let at = t.at(600_000);
    t.add(noted("waiting", "note of waiting").visible_at(at)).await?;
    for (place, id, note, leases) in [
        (Place::Waiting, "waiting", "note of waiting", 0),
        (Place::Leased, "held", "note of held", 1),
        (Place::Buried, "buried", "buried", 1),
    ] {
        let views = t.views(place).await?;
        let shown: Vec<_> =
            views.iter().map(|v| (&*v.id, &*v.payload, &*v.note, v.leases)).collect();
        let payload = task(id).payload;
        let what = format!("what stands at {place:?}");
        equal(&what, shown, vec![(id, &*payload, note.as_bytes(), leases)])?;
        let at_place = views.first().map(|view| (view.reason.is_some(), view.pushed_at));
        let is_sane = at_place.is_some_and(|(has_reason, pushed_at)| {
            (place == Place::Buried || !has_reason) && pushed_at <= t.at(1_000) && pushed_at > PAST
        });
        ensure(is_sane, || format!("{what}: {views:?}"))?;
    }
    let only = |mut views: Vec<TaskView>| views.pop().ok_or("a task is not listed");
    equal("the delayed task's time", only(t.views(Place::Waiting).await?)?.visible_at, at)?;
    let view = only(t.views(Place::Leased).await?)?;
    equal("the time of the push", view.pushed_at, held.pushed_at)
}

/// Lists are in the order of pushes, which is not that of times; positions grow.
pub async fn a_list_is_in_the_order_of_pushes(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let ids = ["d", "b", "c", "a"];
    for (id, ms) in ids.into_iter().zip([900_000, 300_000, 600_000, 0]) {
        t.add(task(id).visible_at(t.at(ms))).await?;
    }
    let views = t.views(Place::Waiting).await?;
    let shown: Vec<_> = views.iter().map(|view| view.id.as_str()).collect();
    equal("what waits", shown, ids.to_vec())?;
    let positions: Vec<_> = views.iter().map(|view| view.position).collect();
    ensure(positions.is_sorted_by(|one, next| one < next), || format!("positions {positions:?}"))?;
    let letters = t.beside("-letters")?;
    letters.add_all(&["e", "f", "g"]).await?;
    let mut taken = letters.take(3, HOLD).await?;
    let held = letters.ids(Place::Leased).await?;
    equal("what is held", held, ["e", "f", "g"].map(String::from).to_vec())?;
    // The last one first.
    taken.sort_by(|one, other| other.token.task.cmp(&one.token.task));
    for held in taken {
        letters.settled("bury", &held.token, buried("why", "")).await?;
    }
    let shown = letters.ids(Place::Buried).await?;
    equal("the dead letters", shown, ["e", "f", "g"].map(String::from).to_vec())
}

/// A list goes on behind a position, at most as many as asked for, also if that task is gone.
pub async fn a_list_goes_on_behind_a_position(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    t.add_all(&["a", "b", "c", "d", "e"]).await?;
    equal("at most 0", page(&t, None, 0).await?, (String::new(), None))?;
    let (first, after) = page(&t, None, 2).await?;
    equal("the first page", first.as_str(), "ab")?;
    t.cancel("b").await?;
    let (second, after) = page(&t, after, 2).await?;
    equal("the second page", second.as_str(), "cd")?;
    let (third, after) = page(&t, after, 2).await?;
    equal("the third page", third.as_str(), "e")?;
    equal("the fourth", page(&t, after, 2).await?, (String::new(), None))
}

/// A page of what waits, and where to go on.
async fn page(t: &Trial, after: Option<u64>, max: usize) -> Result<(String, Option<u64>), String> {
    let listed = done("list", t.queue.list(&t.lane, Place::Waiting, after, max).await)?;
    let ids = listed.iter().map(|view| view.id.as_str()).collect();
    Ok((ids, listed.last().map(|view| view.position)))
}
