//! A version of a function: proved once, immutable, small.

use std::sync::Arc;
use std::time::Duration;

use super::spec::{CustomRuntimeConfig, FunctionSpec, InstanceLifecycleConfig};
use super::{AuthType, CodeRef, MethodSet, RuntimeName};
use crate::{AccountId, FunctionName, Limits, Resources, Result, VersionId};

/// A version of a function: every limit was checked when it was made, and nothing of it changes.
///
/// Its `uid` tells two versions apart even if both are LATEST: each change of a function is a new
/// version with a new uid.
#[derive(Debug)]
pub struct FunctionVersion {
    uid: u64,
    account: AccountId,
    name: FunctionName,
    id: VersionId,
    runtime: RuntimeName,
    resources: Resources,
    timeout_s: u32,
    idle_timeout_s: u32,
    instance_concurrency: u32,
    instance_max: u32,
    http_trigger: Option<(MethodSet, AuthType)>,
    handler: Box<str>,
    environment: Box<[(Box<str>, Box<str>)]>,
    custom_runtime: Option<Box<CustomRuntimeConfig>>,
    lifecycle: Option<Box<InstanceLifecycleConfig>>,
    code: Arc<CodeRef>,
}

impl FunctionVersion {
    /// Proves `spec` and its code against `limits`.
    ///
    /// `uid` must differ from that of every other version of the same catalog.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` or `EntityTooLarge`, naming the field, the limit and the value.
    pub fn new(
        uid: u64,
        account: AccountId,
        id: VersionId,
        spec: &FunctionSpec,
        code: Arc<CodeRef>,
        limits: &Limits,
    ) -> Result<Self> {
        spec.validate(limits)?;
        code.validate(limits)?;
        let environment = spec.environment_variables.iter();
        Ok(Self {
            uid,
            account,
            name: FunctionName::new(&spec.function_name)?,
            id,
            runtime: spec.runtime.parse()?,
            resources: spec.resources(limits)?,
            timeout_s: spec.timeout,
            idle_timeout_s: spec.idle_timeout.unwrap_or(limits.idle_timeout_s_default),
            instance_concurrency: spec.instance_concurrency,
            instance_max: spec.instance_max.unwrap_or(limits.instances_per_function_max),
            http_trigger: spec.http_methods()?,
            handler: spec.handler.as_str().into(),
            environment: environment.map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
            custom_runtime: spec.custom_runtime_config.clone().map(Box::new),
            lifecycle: spec.instance_lifecycle_config.clone().map(Box::new),
            code,
        })
    }

    /// Unique within its catalog, also between two states of LATEST.
    pub fn uid(&self) -> u64 {
        self.uid
    }

    /// Whose it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The function's name.
    pub fn name(&self) -> &FunctionName {
        &self.name
    }

    /// LATEST or a number.
    pub fn id(&self) -> VersionId {
        self.id
    }

    /// The runtime that it names.
    pub fn runtime(&self) -> RuntimeName {
        self.runtime
    }

    /// The size of one instance.
    pub fn resources(&self) -> Resources {
        self.resources
    }

    /// How long one request may run.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }

    /// How long an on-demand instance may idle.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s.into())
    }

    /// Requests at once in one instance.
    pub fn instance_concurrency(&self) -> u32 {
        self.instance_concurrency
    }

    /// On-demand instances at most.
    pub fn instance_max(&self) -> u32 {
        self.instance_max
    }

    /// The HTTP trigger's methods and authentication, if there is one.
    pub fn http_trigger(&self) -> Option<(MethodSet, AuthType)> {
        self.http_trigger
    }

    /// What the runtime calls.
    pub fn handler(&self) -> &str {
        &self.handler
    }

    /// The owner's environment variables.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How a custom runtime is started.
    pub fn custom_runtime(&self) -> Option<&CustomRuntimeConfig> {
        self.custom_runtime.as_deref()
    }

    /// Hooks.
    pub fn lifecycle(&self) -> Option<&InstanceLifecycleConfig> {
        self.lifecycle.as_deref()
    }

    /// Where the code lies.
    pub fn code(&self) -> &Arc<CodeRef> {
        &self.code
    }

    /// Whether the function has probes that find a stuck instance (INV-8).
    pub fn has_health_check(&self) -> bool {
        self.custom_runtime.as_ref().is_some_and(|config| config.health_check_config.is_some())
    }
}
