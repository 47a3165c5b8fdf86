//! Tasks of a function, page by page.

use fc_core::{
    AccountId, AsyncTask, Error, FunctionName, Page, Qualifier, Result, TaskQuery, Timestamp,
};

use super::keys::{Order, TaskKey};
use super::records::Records;
use super::text_of;
use crate::configs::check_limit;
use crate::core::stored_task::StoredTask;

/// Bytes of payloads on one page; a page that reaches them is short.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Entries of an index that one page looks at: with a filter that few pass, a page is short and names
/// where to go on.
const LOOKED_AT_MAX: usize = 1000;
const BATCH: usize = 100;

/// One page of what `query` asks for.
pub(super) async fn page(
    records: &Records,
    account: AccountId,
    function: &FunctionName,
    query: TaskQuery,
) -> Result<Page<AsyncTask>> {
    let limit = check_limit(query.limit)?;
    let order = if query.descending { Order::NewestFirst } else { Order::OldestFirst };
    let index = order.index(account, function.as_str());
    let mut after = start(order, &index, &query)?;
    let mut items = Vec::new();
    let (mut looked_at, mut bytes) = (0, 0);
    loop {
        let entries = records.store().list(&index, after.as_deref(), BATCH).await?;
        let is_last = entries.len() < BATCH;
        for entry in entries {
            let suffix = entry.key.strip_prefix(&index).unwrap_or_default().to_owned();
            let Some((accepted, id)) = order.read(&suffix) else {
                continue;
            };
            if is_behind(order, accepted, &query) {
                return Ok(Page { items, next_token: None });
            }
            if items.len() == limit || looked_at == LOOKED_AT_MAX || bytes >= PAGE_BYTES_MAX {
                let next_token = after.and_then(|key| key.strip_prefix(&index).map(str::to_owned));
                return Ok(Page { items, next_token });
            }
            looked_at += 1;
            let key = TaskKey { account, function: function.as_str(), id };
            if id.starts_with(&query.prefix)
                && let Some(task) = read(records, key, &query).await?
            {
                let payloads = [&task.task_payload, &task.return_payload];
                bytes += payloads.into_iter().flatten().map(String::len).sum::<usize>();
                items.push(task);
            }
            after = Some(entry.key);
        }
        if is_last {
            return Ok(Page { items, next_token: None });
        }
    }
}

/// The task, if it passes the filter. An entry whose record is gone is about to be swept.
async fn read(records: &Records, key: TaskKey<'_>, query: &TaskQuery) -> Result<Option<AsyncTask>> {
    let Some((stored, _)) = records.read(key).await? else {
        return Ok(None);
    };
    let mut task = stored.task.clone();
    let is_of = |qualifier: &Qualifier| task.qualifier == qualifier.to_string();
    if query.status.is_some_and(|status| status != task.status)
        || !query.qualifier.as_ref().is_none_or(is_of)
    {
        return Ok(None);
    }
    if query.include_payload {
        with_payloads(records, key, &stored, &mut task).await?;
    }
    Ok(Some(task))
}

/// Puts in what was sent and answered.
pub(super) async fn with_payloads(
    records: &Records,
    key: TaskKey<'_>,
    stored: &StoredTask,
    task: &mut AsyncTask,
) -> Result<()> {
    task.task_payload = Some(text_of(&records.payload(key).await?));
    task.return_payload = records.result(key, stored).await?.map(|result| text_of(&result));
    Ok(())
}

/// The key behind which the first page, or the next, begins.
fn start(order: Order, index: &str, query: &TaskQuery) -> Result<Option<String>> {
    if let Some(token) = &query.next_token {
        if order.read(token).is_none() {
            return Err(Error::invalid("nextToken", "was not given by a page of this list"));
        }
        return Ok(Some(format!("{index}{token}")));
    }
    let first = match order {
        Order::OldestFirst => query.started_from,
        Order::NewestFirst => query.started_to,
    };
    // A time without an id stands before all entries of that time.
    Ok(first.map(|at| format!("{index}{}", order.time(at.as_unix_millis()))))
}

fn is_behind(order: Order, accepted: Timestamp, query: &TaskQuery) -> bool {
    match order {
        Order::OldestFirst => query.started_to.is_some_and(|to| accepted > to),
        Order::NewestFirst => query.started_from.is_some_and(|from| accepted < from),
    }
}
