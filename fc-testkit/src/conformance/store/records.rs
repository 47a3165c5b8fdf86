//! Single records.

use bytes::Bytes;
use fc_core::ErrorKind;
use fc_core::port::store::{Record, Revision, When};

use super::Subject;
use super::common::{TRIED_MAX, clear, get, keys, put, value};
use crate::conformance::{Verdict, done, ensure, equal, refused, soon};

/// What a store declares does not change.
pub async fn capabilities_are_constant(store: &Subject) -> Verdict {
    let first = store.capabilities();
    put(store, "capabilities_are_constant", "v").await?;
    equal("capabilities", store.capabilities(), first)
}

/// A record is its key, its bytes (none, too) and the revision that the write gave.
pub async fn what_was_put_is_read_back(store: &Subject) -> Verdict {
    let prefix = "what_was_put_is_read_back/";
    clear(store, prefix).await?;
    for (name, value) in [("empty", ""), ("text", "v"), ("binary", "\0\r\n\u{ff}"), ("ключ ", " ")]
    {
        let key = format!("{prefix}{name}");
        equal("a key that was never put", get(store, &key).await?, None)?;
        let revision = put(store, &key, value).await?;
        let must = Record { key: key.clone(), value: value.into(), revision };
        equal("what was put", get(store, &key).await?, Some(must))?;
    }
    Ok(())
}

/// `When::Absent` writes where there is nothing, and changes nothing elsewhere.
pub async fn absent_takes_only_a_free_key(store: &Subject) -> Verdict {
    let key = "absent_takes_only_a_free_key";
    clear(store, key).await?;
    done("put", store.put(key, "one".into(), When::Absent).await)?;
    let again = store.put(key, "two".into(), When::Absent).await;
    refused("put of a key that is taken", again, ErrorKind::Conflict)?;
    equal("the value", value(store, key).await?, Some("one".into()))
}

/// `When::Unchanged` writes where the record is at that revision, and changes nothing elsewhere.
pub async fn unchanged_takes_only_the_revision_that_was_read(store: &Subject) -> Verdict {
    let key = "unchanged_takes_only_the_revision_that_was_read";
    clear(store, key).await?;
    let free = store.put(key, "none".into(), When::Unchanged(Revision(1))).await;
    refused("put of a key that is free", free, ErrorKind::Conflict)?;
    equal("the value", value(store, key).await?, None)?;
    let first = done("put", store.put(key, "one".into(), When::Absent).await)?;
    let second = done("put", store.put(key, "two".into(), When::Unchanged(first)).await)?;
    let stale = store.put(key, "three".into(), When::Unchanged(first)).await;
    refused("put at a stale revision", stale, ErrorKind::Conflict)?;
    let must = Record { key: key.into(), value: "two".into(), revision: second };
    equal("the record", get(store, key).await?, Some(must))
}

/// `When::Always` writes in any case.
pub async fn always_overwrites(store: &Subject) -> Verdict {
    let key = "always_overwrites";
    clear(store, key).await?;
    for text in ["one", "two"] {
        put(store, key, text).await?;
        equal("the value", value(store, key).await?, Some(text.into()))?;
    }
    Ok(())
}

/// Each write of the store has a higher revision than all before, a deleted record's included.
pub async fn revisions_grow_and_are_never_used_again(store: &Subject) -> Verdict {
    let prefix = "revisions_grow_and_are_never_used_again/";
    clear(store, prefix).await?;
    let (one, other) = (format!("{prefix}1"), format!("{prefix}2"));
    let mut last = put(store, &one, "a").await?;
    for round in 0..3 {
        for key in [&other, &one] {
            let revision = put(store, key, "b").await?;
            ensure(revision > last, || format!("{revision:?} follows {last:?} (round {round})"))?;
            last = revision;
        }
        done("delete", store.delete(&one, When::Always).await)?;
    }
    Ok(())
}

/// `delete` removes a record, and tells the first call from the others.
pub async fn delete_says_whether_there_was_a_record(store: &Subject) -> Verdict {
    let key = "delete_says_whether_there_was_a_record";
    clear(store, key).await?;
    put(store, key, "v").await?;
    equal("the first delete", done("delete", store.delete(key, When::Always).await)?, true)?;
    equal("the record", get(store, key).await?, None)?;
    equal("the second delete", done("delete", store.delete(key, When::Always).await)?, false)?;
    equal("the third", done("delete", store.delete(key, When::Absent).await)?, false)
}

/// A delete whose condition does not hold deletes nothing.
pub async fn delete_heeds_its_condition(store: &Subject) -> Verdict {
    let key = "delete_heeds_its_condition";
    clear(store, key).await?;
    let first = put(store, key, "one").await?;
    let second = done("put", store.put(key, "two".into(), When::Unchanged(first)).await)?;
    for when in [When::Unchanged(first), When::Absent] {
        let kept = store.delete(key, when).await;
        refused("delete whose condition does not hold", kept, ErrorKind::Conflict)?;
        equal("the value", value(store, key).await?, Some("two".into()))?;
    }
    let deleted = done("delete", store.delete(key, When::Unchanged(second)).await)?;
    equal("delete at the record's revision", deleted, true)
}

/// Tasks that count up by `When::Unchanged` lose no step: writes are linearizable.
pub async fn racing_writers_lose_no_update(store: &Subject) -> Verdict {
    const TASKS: u32 = 8;
    const STEPS: u32 = 25;
    const KEY: &str = "racing_writers_lose_no_update";
    clear(store, KEY).await?;
    put(store, KEY, "0").await?;
    let step = |store: Subject| async move {
        loop {
            let record = get(&store, KEY).await?.ok_or("the counter is gone")?;
            let text = String::from_utf8_lossy(&record.value).into_owned();
            let count: u32 = text.parse().map_err(|_| format!("the counter is {text:?}"))?;
            let next = Bytes::from((count + 1).to_string());
            match store.put(KEY, next, When::Unchanged(record.revision)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => tokio::task::yield_now().await,
                Err(error) => return Err(format!("put: {error:?}")),
            }
        }
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..STEPS {
                    step(store.clone()).await?;
                }
                Ok::<(), String>(())
            })
        })
        .collect();
    for task in tasks {
        soon("a task that counts", task).await?.map_err(|error| error.to_string())??;
    }
    let must = Bytes::from((TASKS * STEPS).to_string());
    equal("the counter", value(store, KEY).await?, Some(must))
}

/// A key of the declared length is taken, one byte more is refused.
pub async fn a_key_over_the_limit_is_refused(store: &Subject) -> Verdict {
    let limit = store.capabilities().key_bytes_max;
    if limit > TRIED_MAX {
        return Ok(());
    }
    ensure(limit >= 64, || format!("keys of {limit} bytes are too short for this suite"))?;
    let prefix = "a_key_over_the_limit_is_refused/";
    clear(store, prefix).await?;
    let mut longest = prefix.to_owned();
    while (longest.len() as u64) < limit {
        longest.push('x');
    }
    let longest = longest.as_str();
    put(store, longest, "v").await?;
    let longer = store.put(&format!("{longest}x"), "w".into(), When::Always).await;
    refused("put of a key that is too long", longer, ErrorKind::InvalidArgument)?;
    equal("the keys", keys(store, prefix, None, 9).await?, vec![longest.to_owned()])?;
    equal("the value", value(store, longest).await?, Some("v".into()))
}

/// A value of the declared length is taken, one byte more is refused and changes nothing.
pub async fn a_value_over_the_limit_is_refused(store: &Subject) -> Verdict {
    let limit = store.capabilities().value_bytes_max;
    if limit > TRIED_MAX {
        return Ok(());
    }
    let key = "a_value_over_the_limit_is_refused";
    clear(store, key).await?;
    // At most TRIED_MAX, which is a usize.
    let largest = Bytes::from(vec![7; limit as usize]);
    let first = done("put", store.put(key, largest.clone(), When::Absent).await)?;
    let kept = value(store, key).await? == Some(largest.clone());
    ensure(kept, || "the largest value is not read back".into())?;
    let larger = Bytes::from(vec![8; limit as usize + 1]);
    let put = store.put(key, larger, When::Unchanged(first)).await;
    refused("put of a value that is too large", put, ErrorKind::InvalidArgument)?;
    let kept = value(store, key).await? == Some(largest);
    ensure(kept, || "a refused write has changed the value".into())
}
