//! What this platform can promise a function, beyond the cloud's own limits.

use std::sync::Arc;

use fc_core::{
    AccountId, AuthType, CodeRef, Error, ErrorKind, FunctionSpec, FunctionVersion, Limits, Result,
    RuntimeCapabilities, VersionId,
};

/// What this platform can promise a function.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) runtimes: Vec<RuntimeCapabilities>,
    pub(crate) auth_types: Vec<AuthType>,
}

impl Rules {
    /// Makes the version, if all that it asks for is there (RUN-1).
    pub(crate) fn prove(
        &self,
        uid: u64,
        account: AccountId,
        id: VersionId,
        spec: &FunctionSpec,
        code: Arc<CodeRef>,
    ) -> Result<FunctionVersion> {
        let version = FunctionVersion::new(uid, account, id, spec, code, &self.limits)?;
        self.check_runtime(&version)?;
        match version.http_trigger() {
            Some((_, asked)) if !self.auth_types.contains(&asked) => {
                let what = format!("{asked:?} is served by no authoriser of this platform");
                Err(Error::invalid("http_trigger.auth_type", what))
            }
            _ => Ok(version),
        }
    }

    fn check_runtime(&self, version: &FunctionVersion) -> Result<()> {
        let kind = version.runtime().kind();
        let offered = self.runtimes.iter().filter(|runtime| runtime.kind == kind);
        let Some(most) = offered.map(|runtime| runtime.concurrency_max).max() else {
            let kinds: Vec<_> = self.runtimes.iter().map(|runtime| runtime.kind).collect();
            let what =
                format!("'{}' needs {kind:?}, this platform has {kinds:?}", version.runtime());
            return Err(Error::invalid("runtime", what));
        };
        let pre_freeze = version.lifecycle().is_some_and(|hooks| hooks.pre_freeze.is_some());
        let suspends = |runtime: &RuntimeCapabilities| runtime.kind == kind && runtime.suspend;
        if pre_freeze && !self.runtimes.iter().any(suspends) {
            let what = format!("no runtime of kind {kind:?} on this platform freezes instances");
            return Err(Error::invalid("instance_lifecycle_config.pre_freeze", what));
        }
        let asked = version.instance_concurrency();
        if asked > most {
            let field = "instance_concurrency";
            return Err(Error::over_limit(field, "requests", most.into(), asked.into()));
        }
        Ok(())
    }

    /// A text of its owner's, within the limit for descriptions.
    pub(crate) fn check_text(&self, field: &str, text: &str) -> Result<()> {
        let (most, count) = (self.limits.description_chars_max, text.chars().count());
        if count > most as usize {
            return Err(Error::over_limit(field, "characters", most.into(), count as u64));
        }
        Ok(())
    }
}

/// `LimitExceeded`, if `value` is over `limit` (QUO-7).
pub(crate) fn within(field: &str, unit: &str, limit: u64, value: u64) -> Result<()> {
    if value <= limit {
        return Ok(());
    }
    let what = format!("{field}: {value} {unit} is over the limit of {limit}");
    Err(Error::new(ErrorKind::LimitExceeded, what))
}
