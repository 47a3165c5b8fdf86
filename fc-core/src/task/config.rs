//! How a function's asynchronous invocations are treated (`alibaba-fc.md` 3.3, wire names 1.2).

use serde::{Deserialize, Serialize};

/// What `PUT …/async-invoke-config` takes. A field that is left out keeps its value, or the default
/// where there was none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AsyncConfig {
    /// Whether each invocation is a task whose state is kept. Default: only where the caller names
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub async_task: Option<bool>,
    /// Seconds from acceptance after which an invocation is not begun any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_async_event_age_in_seconds: Option<u64>,
    /// How often the function is run again after it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_async_retry_attempts: Option<u32>,
    /// Where results go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_config: Option<DestinationConfig>,
}

/// Where results go.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationConfig {
    /// After a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<Destination>,
    /// After the last failure, an expiry or a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Destination>,
}

/// One destination.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// Its ARN or address (`alibaba-fc.md` 3.4).
    pub destination: String,
}

/// What `GET …/async-invoke-config` gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredAsyncConfig {
    /// Which function, as `acs:fc:{region}:{account}:functions/{name}`.
    pub function_arn: String,
    /// Of which of its versions or aliases.
    pub qualifier: String,
    /// RFC 3339, UTC.
    pub created_time: String,
    /// RFC 3339, UTC.
    pub last_modified_time: String,
    /// The settings.
    #[serde(flatten)]
    pub config: AsyncConfig,
}
