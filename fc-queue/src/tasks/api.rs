//! What the management API asks of an engine.

use async_trait::async_trait;
use fc_core::{
    AccountId, AsyncConfig, AsyncTask, Context, Error, ErrorKind, FunctionName, Page, Qualifier,
    Result, StoredAsyncConfig, TaskQuery, Tasks,
};

use super::keys::TaskKey;
use super::list;
use crate::configs;
use crate::core::destination::rfc3339;
use crate::core::stored_task::not_found;
use crate::dispatch;
use crate::engine::Engine;

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
        let key = TaskKey { account, function: function.as_str(), id };
        dispatch::stop(&self.shared, cx, key, function).await
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
