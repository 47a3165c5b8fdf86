//! A function as its owner asks for it: FC 3.0's fields in snake case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A function as its owner asks for it. Nothing is proved yet; [`FunctionSpec::validate`] and
/// [`FunctionVersion::new`](crate::FunctionVersion::new) do that.
///
/// The fields, ranges and defaults are those of `alibaba-fc.md` 1.3. A field that is not known is
/// refused, not ignored. Sizes are in MB, times in seconds.
///
/// ```
/// use fc_core::FunctionSpec;
/// let spec: FunctionSpec = toml::from_str(r#"
///     function_name = "resize"
///     memory_size = 1024
///     cpu = 0.5
///     [http_trigger]
///     methods = ["POST"]
/// "#).unwrap();
/// assert_eq!((spec.timeout, spec.memory_size), (3, 1024));
/// assert!(toml::from_str::<FunctionSpec>("memory = 5").is_err());
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionSpec {
    /// Letters, digits, `_`, `-`.
    pub function_name: String,
    /// One of `alibaba-fc.md` 5.1, `in-process` or `wasm`.
    pub runtime: String,
    /// What the runtime calls; free text for a custom runtime.
    pub handler: String,
    /// Free text.
    pub description: String,
    /// vCPU, 0.05 to 16 in steps of 0.05; where the cloud derives it from memory (FG), leave it.
    pub cpu: f64,
    /// MB of memory.
    pub memory_size: u32,
    /// MB of private disk: 512 or 10240.
    pub disk_size: u32,
    /// Seconds that one request may run.
    pub timeout: u32,
    /// Requests at once in one instance.
    pub instance_concurrency: u32,
    /// Seconds after which an idle instance is released; by default the platform's.
    pub idle_timeout: Option<u32>,
    /// On-demand instances at most; by default the platform's. 0 stops invocation.
    pub instance_max: Option<u32>,
    /// What the program finds in its environment.
    pub environment_variables: BTreeMap<String, String>,
    /// How a custom runtime is started.
    pub custom_runtime_config: Option<CustomRuntimeConfig>,
    /// Hooks.
    pub instance_lifecycle_config: Option<InstanceLifecycleConfig>,
    /// The HTTP trigger of this version; without one, the API alone invokes it.
    pub http_trigger: Option<HttpTriggerSpec>,
    /// Labels, at most 20.
    pub tags: BTreeMap<String, String>,
}

impl Default for FunctionSpec {
    fn default() -> Self {
        Self {
            function_name: String::new(),
            runtime: "custom".into(),
            handler: "index.handler".into(),
            description: String::new(),
            cpu: 0.35,
            memory_size: 512,
            disk_size: 512,
            timeout: 3,
            instance_concurrency: 1,
            idle_timeout: None,
            instance_max: None,
            environment_variables: BTreeMap::new(),
            custom_runtime_config: None,
            instance_lifecycle_config: None,
            http_trigger: None,
            tags: BTreeMap::new(),
        }
    }
}

/// How a custom runtime is started (`alibaba-fc.md` 5.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomRuntimeConfig {
    /// The command; without one, `bootstrap` in the code directory.
    pub command: Vec<String>,
    /// Added behind the command.
    pub args: Vec<String>,
    /// The port that the program listens on where it has a network of its own. Without network
    /// isolation the platform chooses a free one. Either way it stands in `FC_CUSTOM_LISTEN_PORT`.
    pub port: u16,
    /// Probes of a running instance.
    pub health_check_config: Option<HealthCheckConfig>,
}

impl Default for CustomRuntimeConfig {
    fn default() -> Self {
        Self { command: Vec::new(), args: Vec::new(), port: 9000, health_check_config: None }
    }
}

/// Probes of a running instance (`alibaba-fc.md` 4.10). A function that has them keeps its instance
/// when a client goes away (INV-8).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// Path of the probe, at most 2048 characters.
    pub http_get_url: String,
    /// Seconds before the first probe, 0 to 120.
    pub initial_delay_seconds: u32,
    /// Seconds between probes, 1 to 120.
    pub period_seconds: u32,
    /// Seconds a probe may take, 1 to 3.
    pub timeout_seconds: u32,
    /// Failures in a row after which the instance is replaced, 1 to 120.
    pub failure_threshold: u32,
    /// Successes in a row that make up for failures, 1 to 120.
    pub success_threshold: u32,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            http_get_url: "/".into(),
            initial_delay_seconds: 0,
            period_seconds: 3,
            timeout_seconds: 1,
            failure_threshold: 3,
            success_threshold: 1,
        }
    }
}

/// Hooks of an instance (`alibaba-fc.md` 4.2).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceLifecycleConfig {
    /// Runs once, before the first request.
    pub initializer: Option<HookConfig>,
    /// Runs before each freeze, where the runtime can freeze (FC 2's `preFreeze`).
    pub pre_freeze: Option<HookConfig>,
    /// Runs before the instance is stopped.
    pub pre_stop: Option<HookConfig>,
}

/// One hook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HookConfig {
    /// What the runtime calls; free text for a custom runtime.
    pub handler: String,
    /// Seconds that the hook may take.
    pub timeout: u32,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self { handler: String::new(), timeout: 3 }
    }
}

/// How an HTTP trigger authenticates its callers (HTT-8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthType {
    /// Anybody may call.
    #[default]
    Anonymous,
    /// A signed request.
    Function,
    /// A JSON web token.
    Jwt,
    /// User and password.
    Basic,
}

/// An HTTP trigger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpTriggerSpec {
    /// Methods it answers.
    pub methods: Vec<String>,
    /// How it authenticates.
    pub auth_type: AuthType,
}

impl Default for HttpTriggerSpec {
    fn default() -> Self {
        let methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"];
        Self { methods: methods.map(String::from).into(), auth_type: AuthType::Anonymous }
    }
}
