//! What the management API asks of an engine.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fc_core::{
    AccountId, AsyncConfig, AsyncTask, Context, Error, ErrorKind, FunctionName, Page, Qualifier,
    Result, StoredAsyncConfig, TaskQuery, TaskStatus, Tasks,
};

use super::keys::TaskKey;
use super::list;
use crate::configs;
use crate::core::destination::rfc3339;
use crate::core::stored_task::{Ending, not_found};
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
        let mut task = stored.task.clone();
        list::with_payloads(records, key, &stored, &mut task).await?;
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
        let key = TaskKey { account, function: function.as_str(), id };
        stop(&self.shared, cx, key, function).await
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

/// A task that nobody runs is over with its record: so a crash behind that leaves nothing half done, as
/// whoever leases it from the queue finds its end. One that runs is asked to end, and whoever holds it,
/// or leases it next, ends it.
async fn stop(
    shared: &std::sync::Arc<Shared>,
    cx: Context,
    key: TaskKey<'_>,
    function: &FunctionName,
) -> Result<()> {
    let now = shared.wall.now();
    let condition = shared.config.retry.conditions.stopped();
    let ends_here = AtomicBool::new(false);
    let asked = shared.records.update(key, |task| {
        let is_run = !matches!(task.task.status, TaskStatus::Enqueued | TaskStatus::Retrying);
        let stepped = task.step(TaskStatus::Stopping, now, String::new());
        let ends = stepped && !is_run && task.step(TaskStatus::Stopped, now, String::new());
        if ends {
            let attempts = task.task.already_retried_times;
            let condition = condition.to_owned();
            task.ending = Some(Ending { condition, attempts, answer: None });
        }
        ends_here.store(ends || ends_here.load(Ordering::Relaxed), Ordering::Relaxed);
        stepped
    });
    let task = asked.await?;
    if ends_here.into_inner() && task.task.status == TaskStatus::Stopped {
        dispatch::stopped_in_queue(shared, cx, key, function, task).await;
    } else if !task.task.status.is_final() {
        let running = (key.account, function.clone(), key.id.to_owned());
        let here = shared.running.lock().get(&running).cloned();
        // Elsewhere, or not begun: whoever has it reads the record.
        here.iter().for_each(tokio_util::sync::CancellationToken::cancel);
    }
    Ok(())
}
