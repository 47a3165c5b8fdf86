//! What an owner configures: `PutProvisionConfig`'s fields in snake case.

use serde::{Deserialize, Serialize};

/// Provisioned instances of a function as its owner asks for them (`alibaba-fc.md` 4.7). Nothing is
/// proved yet; [`ProvisionConfig::compile`] does that. A field that is not known is refused.
///
/// ```
/// use fc_sched::core::policy::ProvisionConfig;
///
/// let config: ProvisionConfig = serde_json::from_str(r#"{
///     "default_target": 5,
///     "scheduled_actions": [{
///         "name": "evening",
///         "target": 50,
///         "schedule_expression": "cron(0 0 20 * * *)",
///         "time_zone": "Asia/Shanghai"
///     }],
///     "target_tracking_policies": [{
///         "name": "busy",
///         "metric_type": "ProvisionedConcurrencyUtilization",
///         "metric_target": 0.6,
///         "min_capacity": 1,
///         "max_capacity": 100
///     }]
/// }"#)?;
/// let scaling = config.compile()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProvisionConfig {
    /// Instances at any time, 0 to 10 000.
    pub default_target: u32,
    /// Targets by the clock, at most 100.
    pub scheduled_actions: Vec<ScheduledAction>,
    /// Targets by utilisation, at most 100.
    pub target_tracking_policies: Vec<TargetTrackingPolicy>,
    /// Whether requests that provisioned instances cannot take are refused (`disableOndemand`). The
    /// engine's to enforce.
    pub on_demand_disabled: bool,
    /// Whether idle provisioned instances keep their CPU (`alwaysAllocateCPU`, by default yes). If
    /// not, they are frozen like others, where their runtime can. The engine's to enforce.
    pub always_allocate_cpu: bool,
}

impl Default for ProvisionConfig {
    fn default() -> Self {
        Self {
            default_target: 0,
            scheduled_actions: Vec::new(),
            target_tracking_policies: Vec::new(),
            on_demand_disabled: false,
            always_allocate_cpu: true,
        }
    }
}

/// A target that is set by the clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledAction {
    /// Its name, 1 to 128 characters, of its own among the actions.
    pub name: String,
    /// In force from then on: `2024-08-01T10:00:00`, followed by `Z` if there is no time zone; by
    /// default always.
    #[serde(default)]
    pub start_time: Option<String>,
    /// In force until then; by default for ever.
    #[serde(default)]
    pub end_time: Option<String>,
    /// Instances, 0 to 10 000.
    pub target: u32,
    /// `cron(0 0 20 * * *)`, six fields with seconds first, or `at(2024-08-01T20:00:00)`.
    pub schedule_expression: String,
    /// By which clocks: a name of the IANA database; by default UTC.
    #[serde(default)]
    pub time_zone: String,
}

/// A target that follows utilisation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetTrackingPolicy {
    /// Its name, 1 to 128 characters, of its own among the policies.
    pub name: String,
    /// In force from then on, as in a [`ScheduledAction`].
    #[serde(default)]
    pub start_time: Option<String>,
    /// In force until then; by default for ever.
    #[serde(default)]
    pub end_time: Option<String>,
    /// `ProvisionedConcurrencyUtilization`. The cloud's other two, `CPUUtilization` and
    /// `GPUMemUtilization`, are refused: nothing measures them.
    pub metric_type: String,
    /// Which part of the slots is to be in use: above 0, at most 1.
    pub metric_target: f64,
    /// Instances at least.
    pub min_capacity: u32,
    /// Instances at most, 1 to 10 000.
    pub max_capacity: u32,
    /// By which clocks: a name of the IANA database; by default UTC.
    #[serde(default)]
    pub time_zone: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sch_4_a_field_that_is_not_known_or_missing_is_refused() {
        let parse = serde_json::from_str::<ProvisionConfig>;
        for text in [
            r#"{"target": 5}"#,
            r#"{"scheduled_actions": [{"name": "a", "schedule_expression": "at(x)"}]}"#,
            r#"{"scheduled_actions": [{"name": "a", "target": 1, "schedule_expression": "x", "x": 1}]}"#,
            r#"{"target_tracking_policies": [{"name": "a", "metric_target": 0.5}]}"#,
            r#"{"default_target": -1}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("{}").unwrap(), ProvisionConfig::default());
        let config = ProvisionConfig {
            default_target: 3,
            scheduled_actions: vec![ScheduledAction {
                name: "a".into(),
                start_time: Some("2024-08-01T20:00:00".into()),
                end_time: None,
                target: 5,
                schedule_expression: "at(2024-08-01T20:00:00)".into(),
                time_zone: "Asia/Shanghai".into(),
            }],
            target_tracking_policies: vec![TargetTrackingPolicy {
                name: "b".into(),
                start_time: None,
                end_time: None,
                metric_type: "ProvisionedConcurrencyUtilization".into(),
                metric_target: 0.6,
                min_capacity: 1,
                max_capacity: 9,
                time_zone: String::new(),
            }],
            on_demand_disabled: true,
            always_allocate_cpu: false,
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(parse(&text).unwrap(), config);
    }
}
