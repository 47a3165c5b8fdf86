//! Who may do what.

use std::fmt::Debug;

use async_trait::async_trait;
use http::request::Parts;

use crate::{AccountId, Context, FunctionName, FunctionVersion, Qualifier, Result};

/// What a caller wants to do, by the name that a policy has for it (`alibaba-fc.md` 10.1).
///
/// Those on tasks and settings name what the caller asked for: nobody has looked whether it exists.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Invoke through the API.
    InvokeFunction(&'a FunctionVersion),
    /// Call an HTTP trigger.
    CallTrigger(&'a FunctionVersion),
    /// `fc:GetAsyncTask` on `functions/{function}/async-tasks/{task}`.
    GetAsyncTask {
        /// Whose function.
        account: &'a AccountId,
        /// Which function.
        function: &'a FunctionName,
        /// Which task.
        task: &'a str,
    },
    /// `fc:StopAsyncTask` on `functions/{function}/async-tasks/{task}`.
    StopAsyncTask {
        /// Whose function.
        account: &'a AccountId,
        /// Which function.
        function: &'a FunctionName,
        /// Which task.
        task: &'a str,
    },
    /// `fc:ListAsyncTasks` on `functions/{function}/async-tasks/*`.
    ListAsyncTasks {
        /// Whose function.
        account: &'a AccountId,
        /// Which function.
        function: &'a FunctionName,
    },
    /// `fc:PutFunctionAsyncInvokeConfig` on `functions/{function}[/{qualifier}]`.
    PutFunctionAsyncInvokeConfig {
        /// Whose function.
        account: &'a AccountId,
        /// Which function.
        function: &'a FunctionName,
        /// Of which of its versions or aliases.
        qualifier: &'a Qualifier,
    },
    /// `fc:GetFunctionAsyncInvokeConfig` on `functions/{function}[/{qualifier}]`.
    GetFunctionAsyncInvokeConfig {
        /// Whose function.
        account: &'a AccountId,
        /// Which function.
        function: &'a FunctionName,
        /// Of which of its versions or aliases.
        qualifier: &'a Qualifier,
    },
    /// `fc:DeleteFunctionAsyncInvokeConfig` on `functions/{function}[/{qualifier}]`.
    DeleteFunctionAsyncInvokeConfig {
        /// Whose function.
        account: &'a AccountId,
        /// Which function.
        function: &'a FunctionName,
        /// Of which of its versions or aliases.
        qualifier: &'a Qualifier,
    },
    /// `fc:ListFunctionAsyncInvokeConfigs` on `async-invoke-configs/*` or `functions/{function}`.
    ListFunctionAsyncInvokeConfigs {
        /// Whose functions.
        account: &'a AccountId,
        /// Which function, if not all.
        function: Option<&'a FunctionName>,
    },
}

/// Decides whether a request may do something, before it touches queue, quota, scheduler or instance
/// (I25).
///
/// # Contract
///
/// The decision depends on the request's head and the action alone; the body is not read.
#[async_trait]
pub trait Authorize: Debug + Send + Sync + 'static {
    /// Permits `action`, or says why not.
    ///
    /// # Errors
    ///
    /// `AccessDenied`, `SignatureNotMatch`, `InvalidAccessKeyID`, `MissingRequiredHeader`. An error
    /// of any other kind also refuses.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    async fn authorize(&self, cx: Context, head: &Parts, action: Action<'_>) -> Result<()>;
}
