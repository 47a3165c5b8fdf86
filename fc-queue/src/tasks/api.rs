//! What the management API asks of an engine.

use std::time::Duration;

use async_trait::async_trait;
use fc_core::port::queue::{Cancelled, Lane};
use fc_core::{
    AccountId, AsyncConfig, AsyncTask, Context, Error, ErrorKind, FunctionName, Page, Qualifier,
    Result, StoredAsyncConfig, TaskQuery, TaskStatus, Tasks,
};

use super::keys::TaskKey;
use super::list;
use crate::configs;
use crate::core::destination::rfc3339;
use crate::core::envelope::invoke_id;
use crate::core::stored_task::not_found;
use crate::dispatch;
use crate::engine::{Engine, Shared};

#[async_trait]
impl Tasks for Engine {
    async fn task(
        &self,
        _cx: Context,
        account: AccountId,
        function: &FunctionName,
        id: &str,
    ) -> Result<AsyncTask> {
        let key = TaskKey { account, function: function.as_str(), id };
        let records = &self.shared.records;
        let (stored, _) = records.read(key).await?.ok_or_else(|| not_found(id))?;
        let mut task = stored.task;
        list::with_payloads(records, key, &mut task).await?;
        Ok(task)
    }

    async fn tasks(
        &self,
        _cx: Context,
        account: AccountId,
        function: &FunctionName,
        query: TaskQuery,
    ) -> Result<Page<AsyncTask>> {
        list::page(&self.shared.records, account, function, query).await
    }

    async fn stop(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        id: &str,
    ) -> Result<()> {
        stop(&self.shared, cx, TaskKey { account, function: function.as_str(), id }, function).await
    }

    async fn configure(
        &self,
        _cx: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
        config: AsyncConfig,
    ) -> Result<StoredAsyncConfig> {
        let shared = &self.shared;
        let now = rfc3339(shared.wall.now());
        let fresh = || StoredAsyncConfig {
            function_arn: shared.arn(account, function),
            qualifier: qualifier.to_string(),
            created_time: now.clone(),
            last_modified_time: now.clone(),
            config: AsyncConfig::default(),
        };
        let key = configs::key(account, function, qualifier);
        let check = |config: &AsyncConfig| {
            shared.config.retry.configured(config)?;
            dispatch::check_destinations(shared, account, function, &key, config)
        };
        shared.configs.put(&key, fresh, &config, check).await
    }

    async fn configuration(
        &self,
        _cx: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<StoredAsyncConfig> {
        let found = self.shared.configs.of(account, function, qualifier);
        found.map(|config| (*config).clone()).ok_or_else(|| {
            let what = format!(
                "nothing is configured for asynchronous invocations of '{function}.{qualifier}'"
            );
            Error::new(ErrorKind::AsyncConfigNotExists, what)
        })
    }

    async fn unconfigure(
        &self,
        _cx: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<()> {
        self.shared.configs.delete(&configs::key(account, function, qualifier)).await
    }

    async fn configurations(
        &self,
        _cx: Context,
        account: AccountId,
        function: Option<&FunctionName>,
        limit: u32,
        next_token: Option<String>,
    ) -> Result<Page<StoredAsyncConfig>> {
        self.shared.configs.page(account, function, limit, next_token.as_deref())
    }
}

/// How often a stop looks for a task that is on its way from the queue to its runner.
const LOOKS_MAX: u32 = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// First the record says that a stop was asked for, so that nothing is begun from then on; then the
/// task is taken out of the queue, or its runner is told.
async fn stop(
    shared: &std::sync::Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    function: &FunctionName,
) -> Result<()> {
    let now = shared.wall.now();
    let asked =
        shared.records.update(key, |task| task.step(TaskStatus::Stopping, now, String::new()));
    if asked.await?.task.status.is_final() {
        return Ok(());
    }
    let id = invoke_id(key.function, key.id);
    for look in 0..LOOKS_MAX {
        for lane in [Lane::account(key.account), Lane::function(key.account, function)] {
            match shared.ports.queue.cancel(cx, &lane, &id).await? {
                Cancelled::Removed => {
                    return dispatch::stopped_in_queue(shared, key, function).await;
                }
                Cancelled::Held => {
                    let running = (key.account, function.clone(), key.id.to_owned());
                    let here = shared.running.lock().get(&running).cloned();
                    // Elsewhere, or not begun: whoever has it reads the record.
                    here.iter().for_each(tokio_util::sync::CancellationToken::cancel);
                    return Ok(());
                }
                Cancelled::Absent => {}
            }
        }
        // Moving between lanes, or just over.
        let read = shared.records.read(key).await?;
        if read.is_none_or(|(task, _)| task.task.status.is_final()) {
            return Ok(());
        }
        let clock = &shared.ports.clock;
        clock.sleep_until(clock.now() + LOOK_PAUSE * (look + 1)).await;
    }
    // Its submission was cut off before its push: it will never run.
    dispatch::stopped_in_queue(shared, key, function).await
}
