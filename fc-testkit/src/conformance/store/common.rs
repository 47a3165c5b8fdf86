//! What the cases have in common.

use bytes::Bytes;
use fc_core::Error;
use fc_core::port::store::{Change, ChangeStream, Record, Revision, When};
use futures_util::StreamExt;

use super::Subject;
use crate::conformance::{Verdict, done, equal, soon};

/// The largest limit that a case tries out, bytes or changes: what is above is taken on trust.
pub(super) const TRIED_MAX: u64 = 64 * 1024 * 1024;
pub(super) const LAG_TRIED_MAX: u32 = 100_000;

pub(super) async fn put(
    store: &Subject,
    key: &str,
    value: &'static str,
) -> Result<Revision, String> {
    done("put", store.put(key, value.into(), When::Always).await)
}

pub(super) async fn get(store: &Subject, key: &str) -> Result<Option<Record>, String> {
    done("get", store.get(key).await)
}

pub(super) async fn value(store: &Subject, key: &str) -> Result<Option<Bytes>, String> {
    Ok(get(store, key).await?.map(|record| record.value))
}

/// Removes what an earlier run left.
pub(super) async fn clear(store: &Subject, prefix: &str) -> Verdict {
    loop {
        let left = done("list", store.list(prefix, None, 100).await)?;
        if left.is_empty() {
            return Ok(());
        }
        for record in left {
            done("delete", store.delete(&record.key, When::Always).await)?;
        }
    }
}

pub(super) async fn keys(
    store: &Subject,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<String>, String> {
    let listed = done("list", store.list(prefix, after, max).await)?;
    Ok(listed.into_iter().map(|record| record.key).collect())
}

pub(super) async fn watch(
    store: &Subject,
    prefix: &str,
    since: Option<Revision>,
) -> Result<ChangeStream, String> {
    done("watch", store.watch(prefix, since).await)
}

pub(super) async fn next(
    changes: &mut ChangeStream,
) -> Result<Option<Result<Change, Error>>, String> {
    soon("the next change", changes.next()).await
}

pub(super) fn written(key: &str, value: &'static str, revision: Revision) -> Change {
    Change::Put(Record { key: key.to_owned(), value: value.into(), revision })
}

pub(super) async fn expect(changes: &mut ChangeStream, must: Change) -> Verdict {
    match next(changes).await? {
        Some(Ok(change)) => equal("the next change", change, must),
        other => Err(format!("the next change: is {other:?}, must be {must:?}")),
    }
}

pub(super) fn names(what: &str, is: &[String], base: &str, must: &[&str]) -> Verdict {
    let is: Vec<&str> = is.iter().map(|key| key.trim_start_matches(base)).collect();
    equal(what, is.as_slice(), must)
}
