//! How functions' asynchronous invocations are treated: kept in a store, read from memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::store::{Change, Record, When};
use fc_core::{
    AccountId, AsyncConfig, Clock, Error, ErrorKind, FunctionName, Page, Qualifier, Result, Store,
    StoredAsyncConfig,
};
use futures_util::StreamExt;
use parking_lot::RwLock;

const ROOT: &str = "async-config/";
/// Records that are read at once.
const PAGE: usize = 200;
/// How often a change is tried again that another writer came before, or whose answer was lost.
const TRIES_MAX: u32 = 8;
/// Pause before the store is read again after it has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// All settings of all accounts, in memory; the store has them too.
#[derive(Clone, Debug)]
pub(crate) struct Configs {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    known: Arc<RwLock<BTreeMap<String, Arc<StoredAsyncConfig>>>>,
}

/// Which settings.
pub(crate) fn key(account: AccountId, function: &FunctionName, qualifier: &Qualifier) -> String {
    format!("{ROOT}{account}/{function}/{qualifier}")
}

impl Configs {
    /// What the store has now.
    pub(crate) async fn load(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self> {
        let configs = Self { store, clock, known: Arc::default() };
        configs.reload().await?;
        Ok(configs)
    }

    /// Keeps up with other processes' changes; never ends.
    pub(crate) async fn follow(self) {
        loop {
            // From now on; and what was changed before is read.
            if let Ok(mut changes) = self.store.watch(ROOT, None).await
                && self.reload().await.is_ok()
            {
                while let Some(Ok(change)) = changes.next().await {
                    self.apply(change);
                }
            }
            self.clock.sleep_until(self.clock.now() + PAUSE).await;
        }
    }

    /// The settings of a version or alias, if there are any.
    pub(crate) fn of(
        &self,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Option<Arc<StoredAsyncConfig>> {
        let known = self.known.read();
        if known.is_empty() {
            return None;
        }
        known.get(&key(account, function, qualifier)).cloned()
    }

    /// All settings of an account.
    pub(crate) fn of_account(&self, account: AccountId) -> Vec<(String, Arc<StoredAsyncConfig>)> {
        let prefix = format!("{ROOT}{account}/");
        let known = self.known.read();
        let behind = known.range(prefix.clone()..);
        let of_account = behind.take_while(|(key, _)| key.starts_with(&prefix));
        of_account.map(|(key, config)| (key.clone(), config.clone())).collect()
    }

    /// Puts what `config` says over what there is, if `check` permits what comes of it.
    pub(crate) async fn put(
        &self,
        key: &str,
        fresh: impl Fn() -> StoredAsyncConfig + Send + Sync,
        config: &AsyncConfig,
        check: impl Fn(&AsyncConfig) -> Result<()> + Send + Sync,
    ) -> Result<StoredAsyncConfig> {
        let mut tries = 0;
        loop {
            let is = self.store.get(key).await?;
            let mut stored = match &is {
                Some(record) => decode(record)?,
                None => fresh(),
            };
            merge(&mut stored.config, config);
            check(&stored.config)?;
            stored.last_modified_time = fresh().last_modified_time;
            let json = serde_json::to_vec(&stored).map_err(|error| {
                Error::internal("settings cannot be written").with_source(error)
            })?;
            let when = is.map_or(When::Absent, |record| When::Unchanged(record.revision));
            match self.store.put(key, json.into(), when).await {
                Ok(_) => {
                    self.known.write().insert(key.to_owned(), Arc::new(stored.clone()));
                    return Ok(stored);
                }
                Err(error) => {
                    tries += 1;
                    let may_retry =
                        matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unknown);
                    if !may_retry || tries >= TRIES_MAX {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Back to the defaults.
    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key, When::Always).await?;
        self.known.write().remove(key);
        Ok(())
    }

    /// One page of an account's settings, or of one function's.
    pub(crate) fn page(
        &self,
        account: AccountId,
        function: Option<&FunctionName>,
        limit: u32,
        next_token: Option<&str>,
    ) -> Result<Page<StoredAsyncConfig>> {
        let limit = check_limit(limit)?;
        let root = format!("{ROOT}{account}/");
        let prefix = function.map_or(root.clone(), |name| format!("{root}{name}/"));
        let known = self.known.read();
        let start = match next_token {
            None => prefix.clone(),
            Some(token) => {
                let last = format!("{root}{token}");
                if !last.starts_with(&prefix) {
                    return Err(Error::invalid(
                        "nextToken",
                        "was not given by a page of this list",
                    ));
                }
                // Behind that key, whether it is there still or not.
                format!("{last}\0")
            }
        };
        let mut found = known.range(start..).take_while(|(key, _)| key.starts_with(&prefix));
        let items: Vec<_> = found.by_ref().take(limit).collect();
        let next_token = match (found.next(), items.last()) {
            (Some(_), Some((last, _))) => Some(last[root.len()..].to_owned()),
            _ => None,
        };
        let items = items.into_iter().map(|(_, config)| (**config).clone()).collect();
        Ok(Page { items, next_token })
    }

    async fn reload(&self) -> Result<()> {
        let mut known = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(ROOT, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for record in page {
                known.insert(record.key.clone(), Arc::new(decode(&record)?));
                after = Some(record.key);
            }
            if is_last {
                break;
            }
        }
        *self.known.write() = known;
        Ok(())
    }

    fn apply(&self, change: Change) {
        match change {
            Change::Put(record) => match decode(&record) {
                Ok(config) => _ = self.known.write().insert(record.key, Arc::new(config)),
                Err(error) => tracing::error!(key = record.key, %error, "unreadable settings"),
            },
            Change::Deleted { key, .. } => _ = self.known.write().remove(&key),
        }
    }
}

/// 1 to 100, as every list of the API has it (`alibaba-fc.md` 1.1).
pub(crate) fn check_limit(limit: u32) -> Result<usize> {
    const LIMIT_MAX: u32 = 100;
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit as usize);
    }
    Err(Error::invalid("limit", format_args!("{limit} is not between 1 and {LIMIT_MAX}")))
}

/// A field that is left out keeps its value; of the destinations, each.
fn merge(is: &mut AsyncConfig, change: &AsyncConfig) {
    is.async_task = change.async_task.or(is.async_task);
    is.max_async_event_age_in_seconds =
        change.max_async_event_age_in_seconds.or(is.max_async_event_age_in_seconds);
    is.max_async_retry_attempts = change.max_async_retry_attempts.or(is.max_async_retry_attempts);
    if let Some(change) = &change.destination_config {
        let is = is.destination_config.get_or_insert_default();
        // An empty address takes a destination away: nothing else could.
        for (is, change) in
            [(&mut is.on_success, &change.on_success), (&mut is.on_failure, &change.on_failure)]
        {
            if let Some(change) = change {
                *is = (!change.destination.is_empty()).then(|| change.clone());
            }
        }
    }
}

fn decode(record: &Record) -> Result<StoredAsyncConfig> {
    serde_json::from_slice(&record.value).map_err(|error| {
        let what = format!("the settings under '{}' cannot be read", record.key);
        Error::internal(what).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use fc_core::{Destination, DestinationConfig};

    use super::*;

    #[test]
    fn what_is_left_out_stays() {
        let to = |text: &str| Some(Destination { destination: text.into() });
        let mut is = AsyncConfig {
            async_task: Some(true),
            max_async_retry_attempts: Some(2),
            destination_config: Some(DestinationConfig {
                on_success: to("a"),
                on_failure: to("b"),
            }),
            ..AsyncConfig::default()
        };
        let change = AsyncConfig {
            max_async_retry_attempts: Some(0),
            destination_config: Some(DestinationConfig { on_success: to(""), on_failure: None }),
            ..AsyncConfig::default()
        };
        merge(&mut is, &change);
        assert_eq!(is.async_task, Some(true));
        assert_eq!(is.max_async_retry_attempts, Some(0));
        let destinations = DestinationConfig { on_success: None, on_failure: to("b") };
        assert_eq!(is.destination_config, Some(destinations));
    }
}
