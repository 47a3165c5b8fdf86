//! What is configured, proved and made a policy.

use std::sync::Arc;

use fc_core::{Error, Result, Timestamp};

use super::{
    Action, Combined, DefaultTarget, Period, ProvisionConfig, ScaleIn, Schedule, ScheduledAction,
    TARGET_MAX, TargetTracking, TargetTrackingPolicy,
};
use crate::core::policy::{Cron, EXPRESSION_CHARS_MAX, Zone};

/// Actions, and policies, of one configuration at most. The cloud states no number.
const ENTRIES_MAX: usize = 100;

/// Characters of a name at most. The cloud states no number.
const NAME_CHARS_MAX: u64 = 128;

impl ProvisionConfig {
    /// Whether the platform can promise this, checked field by field.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the first field that is wrong, such as
    /// `scheduled_actions[2].schedule_expression`, its limit and its value.
    pub fn validate(&self) -> Result<()> {
        self.compile().map(drop)
    }

    /// The policy that does as configured: the highest target that is in force.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn compile(&self) -> Result<Combined> {
        self.compile_with(ScaleIn::default())
    }

    /// The same with other numbers for taking instances away.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate), or about a field of `scale_in`.
    pub fn compile_with(&self, scale_in: ScaleIn) -> Result<Combined> {
        target("default_target", self.default_target)?;
        let mut combined = Combined::default().with(Arc::new(DefaultTarget(self.default_target)));

        let names = self.scheduled_actions.iter().map(|action| action.name.as_str());
        check_names("scheduled_actions", names)?;
        let actions = self.scheduled_actions.iter().enumerate();
        let actions = actions
            .map(|(index, action)| action.compile(&format!("scheduled_actions[{index}]")))
            .collect::<Result<Vec<_>>>()?;
        if !actions.is_empty() {
            combined = combined.with(Arc::new(Schedule::new(actions)));
        }

        let names = self.target_tracking_policies.iter().map(|policy| policy.name.as_str());
        check_names("target_tracking_policies", names)?;
        for (index, policy) in self.target_tracking_policies.iter().enumerate() {
            let entry = format!("target_tracking_policies[{index}]");
            combined = combined.with(Arc::new(policy.compile(&entry, scale_in)?));
        }
        Ok(combined)
    }
}

impl ScheduledAction {
    fn compile(&self, entry: &str) -> Result<Action> {
        target(&format!("{entry}.target"), self.target)?;
        let zone = Zone::parse(&format!("{entry}.time_zone"), &self.time_zone)?;
        let period = period(entry, &zone, self.start_time.as_deref(), self.end_time.as_deref())?;
        let field = format!("{entry}.schedule_expression");
        let expression = &self.schedule_expression;
        let chars = expression.chars().count() as u64;
        // "cron(" and its end.
        let limit = EXPRESSION_CHARS_MAX + 6;
        if chars > limit {
            return Err(Error::over_limit(&field, "characters", limit, chars));
        }
        let inside = |kind: &str| expression.strip_prefix(kind)?.strip_suffix(')');
        if let Some(cron) = inside("cron(") {
            return Ok(Action::cron(Cron::parse(&field, cron, &zone)?, period, self.target));
        }
        let shown = expression.escape_debug();
        let Some(at) = inside("at(") else {
            let what = format_args!(
                "'{shown}' is neither like cron(0 0 20 * * *) nor like at(2024-08-01T20:00:00)"
            );
            return Err(Error::invalid(&field, what));
        };
        let at = zone.time(&field, at)?;
        if !period.contains(at) {
            let what = format_args!("'{shown}' is not within start_time to end_time");
            return Err(Error::invalid(&field, what));
        }
        Ok(Action::at(at, period, self.target))
    }
}

impl TargetTrackingPolicy {
    fn compile(&self, entry: &str, scale_in: ScaleIn) -> Result<TargetTracking> {
        let zone = Zone::parse(&format!("{entry}.time_zone"), &self.time_zone)?;
        let period = period(entry, &zone, self.start_time.as_deref(), self.end_time.as_deref())?;
        let measured = "ProvisionedConcurrencyUtilization";
        if self.metric_type != measured {
            let shown: String = self.metric_type.chars().take(64).collect();
            let what = match self.metric_type.as_str() {
                "CPUUtilization" | "GPUMemUtilization" => "is measured by nobody here",
                _ => "is no metric",
            };
            let shown = shown.escape_debug();
            let what = format_args!("'{shown}' {what}; it must be {measured}");
            return Err(Error::invalid(&format!("{entry}.metric_type"), what));
        }
        let (min, max) = (self.min_capacity, self.max_capacity);
        TargetTracking::new(self.metric_target, min, max, period, scale_in)
            .map_err(|error| Error::new(error.kind(), format!("{entry}.{}", error.message())))
    }
}

fn target(field: &str, target: u32) -> Result<()> {
    match target > TARGET_MAX {
        true => Err(Error::over_limit(field, "instances", TARGET_MAX.into(), target.into())),
        false => Ok(()),
    }
}

fn check_names<'n>(list: &str, names: impl ExactSizeIterator<Item = &'n str>) -> Result<()> {
    if names.len() > ENTRIES_MAX {
        return Err(Error::over_limit(list, "entries", ENTRIES_MAX as u64, names.len() as u64));
    }
    let mut seen: Vec<&str> = Vec::with_capacity(names.len());
    for (index, name) in names.enumerate() {
        let field = format!("{list}[{index}].name");
        let chars = name.chars().count() as u64;
        if chars == 0 {
            return Err(Error::invalid(&field, "must not be empty"));
        }
        if chars > NAME_CHARS_MAX {
            return Err(Error::over_limit(&field, "characters", NAME_CHARS_MAX, chars));
        }
        if let Some(other) = seen.iter().position(|seen| *seen == name) {
            let shown = name.escape_debug();
            let what = format_args!("'{shown}' is the name of {list}[{other}] already");
            return Err(Error::invalid(&field, what));
        }
        seen.push(name);
    }
    Ok(())
}

fn period(entry: &str, zone: &Zone, start: Option<&str>, end: Option<&str>) -> Result<Period> {
    let time = |field: &str, text: Option<&str>| -> Result<Option<Timestamp>> {
        text.map(|text| zone.time(&format!("{entry}.{field}"), text)).transpose()
    };
    let period = Period { start: time("start_time", start)?, end: time("end_time", end)? };
    if let (Some(from), Some(to)) = (period.start, period.end)
        && from >= to
    {
        let (start, end) = (start.unwrap_or_default(), end.unwrap_or_default());
        let what = format_args!("{end} is not later than start_time {start}");
        return Err(Error::invalid(&format!("{entry}.end_time"), what));
    }
    Ok(period)
}

#[cfg(test)]
mod tests {
    use super::super::{Scaling, load};
    use super::*;

    fn action(name: &str, expression: &str) -> ScheduledAction {
        ScheduledAction {
            name: name.into(),
            start_time: None,
            end_time: None,
            target: 50,
            schedule_expression: expression.into(),
            time_zone: String::new(),
        }
    }

    fn policy(name: &str) -> TargetTrackingPolicy {
        TargetTrackingPolicy {
            name: name.into(),
            start_time: None,
            end_time: None,
            metric_type: "ProvisionedConcurrencyUtilization".into(),
            metric_target: 0.5,
            min_capacity: 1,
            max_capacity: 100,
            time_zone: String::new(),
        }
    }

    fn actions(scheduled_actions: Vec<ScheduledAction>) -> ProvisionConfig {
        ProvisionConfig { scheduled_actions, ..ProvisionConfig::default() }
    }

    fn policies(target_tracking_policies: Vec<TargetTrackingPolicy>) -> ProvisionConfig {
        ProvisionConfig { target_tracking_policies, ..ProvisionConfig::default() }
    }

    #[test]
    fn sch_4_the_highest_of_default_schedule_and_utilisation() {
        let config = ProvisionConfig {
            default_target: 5,
            scheduled_actions: vec![
                ScheduledAction {
                    start_time: Some("2024-08-01T10:00:00".into()),
                    end_time: Some("2024-08-30T10:00:00".into()),
                    time_zone: "Asia/Shanghai".into(),
                    ..action("up", "cron(0 0 20 * * *)")
                },
                ScheduledAction { target: 10, ..action("down", "at(2024-08-01T14:00:00)") },
            ],
            target_tracking_policies: vec![policy("busy")],
            ..ProvisionConfig::default()
        };
        let mut state = config.compile().unwrap().begin();
        let begin = Zone::utc().time("wall", "2024-08-01T00:00:00Z").unwrap().as_unix_seconds();
        let targets: Vec<u32> = (0..=15 * 60)
            .map(|minute| {
                let running = match minute {
                    1 => 4,
                    839 => 40,
                    _ => 0,
                };
                state.target(&load(begin + 60 * minute, running)).unwrap()
            })
            .collect();
        let at = |hour: usize, minute: usize| targets[60 * hour + minute];
        assert_eq!((at(0, 0), at(0, 1)), (5, 8), "the default, then twice the running");
        assert_eq!((at(11, 59), at(12, 0), at(13, 58)), (5, 50, 50), "20:00 in Shanghai");
        assert_eq!((at(13, 59), at(14, 0)), (80, 80), "more than the schedule's");
        assert_eq!(at(15, 0), 10, "down at 14:00, once utilisation has settled");
    }

    #[test]
    fn sch_4_an_error_names_entry_field_limit_and_value() {
        let some = |text: &str| Some(text.to_owned());
        let (at, many) = ("at(2024-08-01T20:00:00)", vec![action("x", "at(1)"); 101]);
        let long = "x".repeat(129);
        for (config, expected) in [
            (
                ProvisionConfig { default_target: 10_001, ..ProvisionConfig::default() },
                "default_target: 10001 instances is over the limit of 10000",
            ),
            (
                actions(vec![action("a", at), action("b", "cron(0 20 * * *)")]),
                "scheduled_actions[1].schedule_expression: '0 20 * * *' has 5 fields, and a cron \
                 expression has 6",
            ),
            (
                actions(vec![action("a", "rate(5 minutes)")]),
                "scheduled_actions[0].schedule_expression: 'rate(5 minutes)' is neither like \
                 cron(0 0 20 * * *) nor like at(2024-08-01T20:00:00)",
            ),
            (
                actions(vec![ScheduledAction {
                    end_time: some("2024-08-01T20:00:00"),
                    ..action("a", at)
                }]),
                "scheduled_actions[0].schedule_expression: 'at(2024-08-01T20:00:00)' is not within \
                 start_time to end_time",
            ),
            (
                actions(vec![ScheduledAction { target: 10_001, ..action("a", at) }]),
                "scheduled_actions[0].target: 10001 instances is over the limit of 10000",
            ),
            (
                actions(vec![ScheduledAction { time_zone: "Moon".into(), ..action("a", at) }]),
                "scheduled_actions[0].time_zone: 'Moon' is no time zone of the IANA",
            ),
            (
                actions(vec![ScheduledAction { start_time: some("today"), ..action("a", at) }]),
                "scheduled_actions[0].start_time: 'today' is no time like 2024-08-01T20:00:00, or the \
                 same with a Z, from 1970 on",
            ),
            (
                actions(vec![ScheduledAction {
                    start_time: some("2024-08-01T10:00:00Z"),
                    end_time: some("2024-08-01T10:00:00"),
                    ..action("a", at)
                }]),
                "scheduled_actions[0].end_time: 2024-08-01T10:00:00 is not later than start_time \
                 2024-08-01T10:00:00Z",
            ),
            (
                actions(vec![action("a", &format!("at({})", "2".repeat(260)))]),
                "scheduled_actions[0].schedule_expression: 264 characters is over the limit of 262",
            ),
            (
                actions(vec![action("a", at), action("b", at), action("a", at)]),
                "scheduled_actions[2].name: 'a' is the name of scheduled_actions[0] already",
            ),
            (actions(vec![action("", at)]), "scheduled_actions[0].name: must not be empty"),
            (
                actions(vec![action(&long, at)]),
                "scheduled_actions[0].name: 129 characters is over the limit of 128",
            ),
            (actions(many), "scheduled_actions: 101 entries is over the limit of 100"),
            (
                policies(vec![policy("a"), policy("a")]),
                "target_tracking_policies[1].name: 'a' is the name of target_tracking_policies[0] already",
            ),
            (
                policies(vec![TargetTrackingPolicy { metric_target: 60.0, ..policy("a") }]),
                "target_tracking_policies[0].metric_target: 60 is not above 0 and at most 1",
            ),
            (
                policies(vec![
                    policy("a"),
                    TargetTrackingPolicy { min_capacity: 101, ..policy("b") },
                ]),
                "target_tracking_policies[1].min_capacity: 101 instances is over max_capacity 100",
            ),
            (
                policies(vec![TargetTrackingPolicy {
                    metric_type: "CPUUtilization".into(),
                    ..policy("a")
                }]),
                "target_tracking_policies[0].metric_type: 'CPUUtilization' is measured by nobody here; \
                 it must be ProvisionedConcurrencyUtilization",
            ),
            (
                policies(vec![TargetTrackingPolicy { metric_type: "Luck".into(), ..policy("a") }]),
                "target_tracking_policies[0].metric_type: 'Luck' is no metric; it must be \
                 ProvisionedConcurrencyUtilization",
            ),
        ] {
            assert_eq!(config.validate().unwrap_err().message(), expected);
        }
        let longest = actions(vec![action(&"x".repeat(128), at); 1]);
        assert!(longest.validate().is_ok());
        let most = (0..100).map(|index| action(&index.to_string(), at)).collect();
        assert!(actions(most).validate().is_ok());
    }
}
