//! Watches.

use fc_core::ErrorKind;
use fc_core::port::store::{Change, Revision, When};

use super::Subject;
use super::common::{LAG_TRIED_MAX, clear, expect, next, put, watch, written};
use crate::conformance::{Verdict, done, ensure, equal};

/// A watch gives writes, overwrites and deletions, in the order of their revisions.
pub async fn watch_gives_every_change_in_order(store: &Subject) -> Verdict {
    let prefix = "watch_gives_every_change_in_order/";
    clear(store, prefix).await?;
    let (one, other) = (format!("{prefix}1"), format!("{prefix}2"));
    let mut changes = watch(store, prefix, None).await?;
    let first = put(store, &one, "one").await?;
    let second = put(store, &other, "other").await?;
    let third = done("put", store.put(&one, "two".into(), When::Unchanged(first)).await)?;
    expect(&mut changes, written(&one, "one", first)).await?;
    expect(&mut changes, written(&other, "other", second)).await?;
    expect(&mut changes, written(&one, "two", third)).await?;
    done("delete", store.delete(&one, When::Always).await)?;
    let fourth = done("put", store.put(&other, "last".into(), When::Unchanged(second)).await)?;
    match next(&mut changes).await? {
        Some(Ok(Change::Deleted { key, revision })) => {
            equal("the deleted key", &key, &one)?;
            let between = third < revision && revision < fourth;
            ensure(between, || format!("the deletion is {revision:?}, after {third:?}"))?;
        }
        other => return Err(format!("the next change: is {other:?}, must be a deletion")),
    }
    expect(&mut changes, written(&other, "last", fourth)).await
}

/// A watch without `since` gives what is written after it returned, and nothing older.
pub async fn watch_begins_when_it_returns(store: &Subject) -> Verdict {
    let prefix = "watch_begins_when_it_returns/";
    clear(store, prefix).await?;
    put(store, &format!("{prefix}0"), "before").await?;
    let mut changes = watch(store, prefix, None).await?;
    let key = format!("{prefix}1");
    let revision = put(store, &key, "after").await?;
    expect(&mut changes, written(&key, "after", revision)).await
}

/// A watch with `since` gives what has a higher revision, and then what comes.
pub async fn watch_replays_what_came_since(store: &Subject) -> Verdict {
    let prefix = "watch_replays_what_came_since/";
    clear(store, prefix).await?;
    let key = |number: u32| format!("{prefix}{number}");
    let since = put(store, &key(1), "one").await?;
    let second = put(store, &key(2), "two").await?;
    let mut changes = watch(store, prefix, Some(since)).await?;
    let third = put(store, &key(3), "three").await?;
    expect(&mut changes, written(&key(2), "two", second)).await?;
    expect(&mut changes, written(&key(3), "three", third)).await
}

/// A watch gives the changes of its prefix alone.
pub async fn watch_keeps_to_its_prefix(store: &Subject) -> Verdict {
    let prefix = "watch_keeps_to_its_prefix/";
    clear(store, prefix).await?;
    let (mine, other) = (format!("{prefix}a/1"), format!("{prefix}b/1"));
    let mut changes = watch(store, &format!("{prefix}a/"), None).await?;
    put(store, &other, "other").await?;
    let revision = put(store, &mine, "mine").await?;
    expect(&mut changes, written(&mine, "mine", revision)).await
}

/// Writes more than a watcher may lag behind; their revisions.
async fn overrun(store: &Subject, key: &str) -> Result<Vec<Revision>, String> {
    let count = store.capabilities().watch_lag_max + 10;
    let mut revisions = Vec::new();
    for number in 0..count {
        // Each under a key of its own, so that nothing is overwritten.
        revisions.push(put(store, &format!("{key}{number}"), "v").await?);
    }
    Ok(revisions)
}

/// A watcher that does not read gets either every change, or `Conflict` where changes are missing.
pub async fn a_lagging_watcher_is_told(store: &Subject) -> Verdict {
    let prefix = "a_lagging_watcher_is_told/";
    if store.capabilities().watch_lag_max > LAG_TRIED_MAX {
        return Ok(());
    }
    clear(store, prefix).await?;
    let mut changes = watch(store, prefix, None).await?;
    for must in overrun(store, prefix).await? {
        match next(&mut changes).await? {
            Some(Ok(Change::Put(record))) => equal("the next revision", record.revision, must)?,
            Some(Err(error)) if error.kind() == ErrorKind::Conflict => {
                let end = next(&mut changes).await?;
                return ensure(end.is_none(), || format!("{end:?} follows the error"));
            }
            other => return Err(format!("the next change: is {other:?}, must be {must:?}")),
        }
    }
    Ok(())
}

/// A watch since a revision whose changes are forgotten fails with `Conflict`; else it gives them.
pub async fn a_watcher_that_comes_too_late_is_told(store: &Subject) -> Verdict {
    let prefix = "a_watcher_that_comes_too_late_is_told/";
    if store.capabilities().watch_lag_max > LAG_TRIED_MAX {
        return Ok(());
    }
    clear(store, prefix).await?;
    let since = put(store, prefix, "since").await?;
    let revisions = overrun(store, prefix).await?;
    let mut changes = match store.watch(prefix, Some(since)).await {
        Err(error) if error.kind() == ErrorKind::Conflict => return Ok(()),
        Err(error) => return Err(format!("watch: {error:?}, must be of kind Conflict")),
        Ok(changes) => changes,
    };
    put(store, &format!("{prefix}last"), "v").await?;
    match next(&mut changes).await? {
        Some(Ok(Change::Put(record))) => equal("the next revision", record.revision, revisions[0]),
        Some(Err(error)) if error.kind() == ErrorKind::Conflict => Ok(()),
        other => Err(format!("the next change: is {other:?}, must be {:?}", revisions[0])),
    }
}
