//! Which functions there are.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{AccountId, FunctionVersion, Qualifier, Result};

/// The functions that can be invoked now.
///
/// It is asked once per request, so it answers from memory: a catalog over a slow store keeps a copy
/// and follows its changes.
///
/// # Contract
///
/// `resolve` gives the newest version that was current when it was called. Once a version is no
/// longer given to anybody, `is_current` says so, at the latest when the change has returned to the
/// one who made it.
pub trait Catalog: Debug + Send + Sync + 'static {
    /// The version that `qualifier` means now.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`, `VersionNotFound`, `AliasNotFound`; `AccessDenied` if invocation of the
    /// function is disabled.
    fn resolve(
        &self,
        account: &AccountId,
        function: &str,
        qualifier: &Qualifier,
    ) -> Result<Arc<FunctionVersion>>;

    /// Whether `version` can still be resolved.
    fn is_current(&self, version: &FunctionVersion) -> bool;
}
