//! Asynchronous invocations as the management API sees them.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    AccountId, AsyncConfig, AsyncTask, Context, FunctionName, Qualifier, Result, StoredAsyncConfig,
    TaskQuery,
};

/// One page of something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: there is none.
    pub next_token: Option<String>,
}

/// The tasks of functions, and how their asynchronous invocations are treated: what a gateway needs
/// of whoever queues.
///
/// A caller has proved that the principal may do this, and that the function exists. Tasks outlive
/// their function (`Invalid` says so of one), so of a deleted one they are asked for all the same.
#[async_trait]
pub trait Tasks: Debug + Send + Sync + 'static {
    /// A task, with its payloads.
    ///
    /// # Errors
    ///
    /// `TaskNotFound`.
    async fn task(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        id: &str,
    ) -> Result<AsyncTask>;

    /// The tasks of a function, page by page.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a limit outside 1 to 100 or a token that no page gave.
    async fn tasks(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        query: TaskQuery,
    ) -> Result<Page<AsyncTask>>;

    /// Stops a task: a queued one is over on return, a running one is `Stopping` and soon over.
    /// One that is over stays as it is.
    ///
    /// # Errors
    ///
    /// `TaskNotFound`.
    async fn stop(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        id: &str,
    ) -> Result<()>;

    /// Sets how asynchronous invocations of a version or alias are treated.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names a field out of its range, or a destination that is unknown, cannot
    /// be reached, or closes a cycle (ASY-8): nothing is changed then.
    async fn configure(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
        config: AsyncConfig,
    ) -> Result<StoredAsyncConfig>;

    /// What [`Tasks::configure`] has set.
    ///
    /// # Errors
    ///
    /// `AsyncConfigNotExists`.
    async fn configuration(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<StoredAsyncConfig>;

    /// Back to the defaults; no error if they were never left.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from writing.
    async fn unconfigure(
        &self,
        cx: Context,
        account: AccountId,
        function: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<()>;

    /// All that is configured of an account's functions, or of one of them, page by page: at most
    /// `limit`, 1 to 100.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` as [`Tasks::tasks`].
    async fn configurations(
        &self,
        cx: Context,
        account: AccountId,
        function: Option<&FunctionName>,
        limit: u32,
        next_token: Option<String>,
    ) -> Result<Page<StoredAsyncConfig>>;
}
