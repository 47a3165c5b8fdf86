//! Who may do what.

use std::fmt::Debug;

use async_trait::async_trait;
use http::request::Parts;

use crate::{Context, FunctionVersion, Result};

/// What a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Invoke through the API.
    InvokeFunction(&'a FunctionVersion),
    /// Call an HTTP trigger.
    CallTrigger(&'a FunctionVersion),
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
