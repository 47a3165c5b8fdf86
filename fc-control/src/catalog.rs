//! What an invocation asks.

use std::sync::Arc;

use fc_core::{
    AccountId, Catalog, Error, ErrorKind, FunctionVersion, Qualifier, Result, VersionId,
};

use crate::Functions;

impl Catalog for Functions {
    fn resolve(
        &self,
        account: &AccountId,
        function: &str,
        qualifier: &Qualifier,
    ) -> Result<Arc<FunctionVersion>> {
        self.look_at(account, function, |record| {
            if let Some(reason) = record.disabled() {
                let what = format!("function '{function}': invocation is disabled: {reason}");
                return Err(Error::new(ErrorKind::AccessDenied, what));
            }
            record.find(qualifier).map(|stored| stored.version.clone())
        })
    }

    /// A version of a function whose invocation is disabled is not current: it cannot be resolved.
    fn is_current(&self, version: &FunctionVersion) -> bool {
        let current = self.look_at(&version.account(), version.name().as_str(), |record| {
            let same = |each: &FunctionVersion| each.uid() == version.uid();
            Ok(record.disabled().is_none()
                && match version.id() {
                    VersionId::LATEST => same(&record.latest.version),
                    _ => record.all().any(|each| same(each)),
                })
        });
        current.unwrap_or(false)
    }
}
