//! The rules of a function's configuration: QUO-5 to QUO-7 and `alibaba-fc.md` 1.3, 4.2, 4.10, 5.7.

use super::spec::{FunctionSpec, HealthCheckConfig, HookConfig};
use super::{AuthType, MethodSet, RuntimeName};
use crate::{Error, FunctionName, Limits, Resources, Result, RuntimeKind};

impl FunctionSpec {
    /// Whether the platform can promise this function, checked field by field.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the first field that is wrong, its limit and its value.
    pub fn validate(&self, limits: &Limits) -> Result<()> {
        let name = FunctionName::new(&self.function_name)?;
        chars("function_name", name.as_str(), limits.function_name_chars_max)?;
        let runtime: RuntimeName = self.runtime.parse()?;
        if self.handler.is_empty() {
            return Err(Error::invalid("handler", "must not be empty"));
        }
        chars("handler", &self.handler, limits.handler_chars_max)?;
        chars("description", &self.description, limits.description_chars_max)?;
        self.resources(limits)?;
        within("timeout", "seconds", limits.timeout_s_min, limits.timeout_s_max, self.timeout)?;
        let concurrency_max = limits.instance_concurrency_max;
        within("instance_concurrency", "requests", 1, concurrency_max, self.instance_concurrency)?;
        if let Some(idle) = self.idle_timeout {
            within("idle_timeout", "seconds", 1, limits.idle_timeout_s_max, idle)?;
        }
        if let Some(most) = self.instance_max {
            within("instance_max", "instances", 0, limits.instances_per_function_max, most)?;
        }
        self.validate_environment(limits)?;
        self.validate_tags(limits)?;
        self.validate_custom_runtime(runtime)?;
        self.validate_hooks(limits)?;
        self.http_methods()?;
        Ok(())
    }

    /// The instance's size (QUO-5, QUO-6).
    pub(super) fn resources(&self, limits: &Limits) -> Result<Resources> {
        let memory_mb = self.memory_size;
        within("memory_size", "MB", limits.memory_mb_min, limits.memory_mb_max, memory_mb)?;
        if !limits.memory_mb_classes.is_empty() {
            if !limits.memory_mb_classes.contains(&memory_mb) {
                let classes = limits.memory_mb_classes;
                let what = format!("{memory_mb} MB is none of the classes {classes:?}");
                return Err(Error::invalid("memory_size", what));
            }
        } else if !memory_mb.is_multiple_of(limits.memory_mb_step) {
            let step = limits.memory_mb_step;
            let what = format!("{memory_mb} MB is no multiple of {step}");
            return Err(Error::invalid("memory_size", what));
        }
        let cpu_milli = match limits.memory_gb_per_cpu_max {
            Some(gb_per_cpu) => self.cpu_milli(limits, gb_per_cpu)?,
            // FunctionGraph: CPU follows from memory, 128 MB being 100 thousandths.
            None => memory_mb * 100 / 128,
        };
        if !limits.disk_mb_choices.contains(&self.disk_size) {
            let choices = limits.disk_mb_choices;
            let what = format!("{} MB is none of {choices:?}", self.disk_size);
            return Err(Error::invalid("disk_size", what));
        }
        Ok(Resources { cpu_milli, memory_mb, disk_mb: self.disk_size })
    }

    fn cpu_milli(&self, limits: &Limits, gb_per_cpu: u32) -> Result<u32> {
        let asked = self.cpu * 1000.0;
        let milli = asked.round();
        let step = f64::from(limits.cpu_milli_step);
        // Tolerates what binary fractions do to 0.35, and nothing a person would write.
        if !asked.is_finite() || (asked - milli).abs() > 1e-6 || milli % step != 0.0 {
            let what = format!("{} is no multiple of {} vCPU", self.cpu, step / 1000.0);
            return Err(Error::invalid("cpu", what));
        }
        let (least, most) = (limits.cpu_milli_min, limits.cpu_milli_max);
        if !(f64::from(least)..=f64::from(most)).contains(&milli) {
            let (least, most) = (f64::from(least) / 1000.0, f64::from(most) / 1000.0);
            let what = format!("{} vCPU is outside {least} to {most}", self.cpu);
            return Err(Error::invalid("cpu", what));
        }
        let milli = milli as u32;
        let memory = u64::from(self.memory_size) * 1000;
        let (one, four) =
            (u64::from(milli) * 1024, u64::from(milli) * u64::from(gb_per_cpu) * 1024);
        if !(one..=four).contains(&memory) {
            let what = format!(
                "{} vCPU with memory_size {} MB is outside the ratio 1:1 to 1:{gb_per_cpu} (vCPU : GB)",
                self.cpu, self.memory_size
            );
            return Err(Error::invalid("cpu", what));
        }
        Ok(milli)
    }

    fn validate_environment(&self, limits: &Limits) -> Result<()> {
        let mut total = 0;
        for (name, value) in &self.environment_variables {
            total += name.chars().count() + value.chars().count();
            let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
            if !starts || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                let what = format!(
                    "name '{}' must be letters, digits and '_' and start with a letter",
                    name.escape_debug()
                );
                return Err(Error::invalid("environment_variables", what));
            }
            if name.starts_with("FC_") {
                let what = format!("name '{name}' is reserved: FC_* is the platform's");
                return Err(Error::invalid("environment_variables", what));
            }
            if value.contains('\0') {
                let what = format!("the value of '{name}' holds a NUL");
                return Err(Error::invalid("environment_variables", what));
            }
        }
        let most = limits.environment_chars_max;
        if total > most as usize {
            let field = "environment_variables";
            return Err(Error::over_limit(field, "characters", u64::from(most), total as u64));
        }
        Ok(())
    }

    fn validate_tags(&self, limits: &Limits) -> Result<()> {
        let (most, count) = (u64::from(limits.tags_max), self.tags.len() as u64);
        if count > most {
            return Err(Error::over_limit("tags", "tags", most, count));
        }
        for (key, value) in &self.tags {
            if key.is_empty() || key.starts_with("aliyun") || key.starts_with("acs:") {
                let what = format!("key '{}' is empty or reserved", key.escape_debug());
                return Err(Error::invalid("tags", what));
            }
            if key.contains("http://") || key.contains("https://") {
                return Err(Error::invalid("tags", "a key must hold no address"));
            }
            chars("tags key", key, 64)?;
            chars("tags value", value, 128)?;
        }
        Ok(())
    }

    fn validate_custom_runtime(&self, runtime: RuntimeName) -> Result<()> {
        let Some(config) = &self.custom_runtime_config else {
            return Ok(());
        };
        let field = "custom_runtime_config";
        if runtime.kind() != RuntimeKind::Process {
            return Err(Error::invalid(field, format_args!("is not for runtime '{runtime}'")));
        }
        if config.port == 0 {
            return Err(Error::invalid("custom_runtime_config.port", "must be 1 to 65535"));
        }
        if config.command.iter().chain(&config.args).any(|word| word.contains('\0')) {
            return Err(Error::invalid(field, "command and args must hold no NUL"));
        }
        if config.command.first().is_some_and(String::is_empty) {
            return Err(Error::invalid("custom_runtime_config.command", "must not be empty"));
        }
        config.health_check_config.as_ref().map_or(Ok(()), validate_health_check)
    }

    fn validate_hooks(&self, limits: &Limits) -> Result<()> {
        let Some(config) = &self.instance_lifecycle_config else {
            return Ok(());
        };
        let hook = |field: &str, hook: &Option<HookConfig>, most: u32| {
            let Some(hook) = hook else { return Ok(()) };
            chars(&format!("{field}.handler"), &hook.handler, limits.handler_chars_max)?;
            within(&format!("{field}.timeout"), "seconds", 1, most, hook.timeout)
        };
        let path = |name: &str| format!("instance_lifecycle_config.{name}");
        hook(&path("initializer"), &config.initializer, limits.initializer_s_max)?;
        hook(&path("pre_freeze"), &config.pre_freeze, limits.pre_freeze_s_max)?;
        hook(&path("pre_stop"), &config.pre_stop, limits.pre_stop_s_max)
    }

    /// The trigger's methods and authentication, if there is a trigger.
    pub(super) fn http_methods(&self) -> Result<Option<(MethodSet, AuthType)>> {
        let Some(trigger) = &self.http_trigger else {
            return Ok(None);
        };
        let methods = MethodSet::parse(trigger.methods.iter().map(String::as_str))?;
        Ok(Some((methods, trigger.auth_type)))
    }
}

fn validate_health_check(check: &HealthCheckConfig) -> Result<()> {
    let path = |name: &str| format!("custom_runtime_config.health_check_config.{name}");
    chars(&path("http_get_url"), &check.http_get_url, 2_048)?;
    let shaped = check.http_get_url.starts_with('/')
        && check.http_get_url.bytes().all(|byte| byte.is_ascii_graphic());
    if !shaped {
        let what = "must be a path that starts with '/'";
        return Err(Error::invalid(&path("http_get_url"), what));
    }
    let seconds = [
        ("initial_delay_seconds", 0, 120, check.initial_delay_seconds),
        ("period_seconds", 1, 120, check.period_seconds),
        ("timeout_seconds", 1, 3, check.timeout_seconds),
        ("failure_threshold", 1, 120, check.failure_threshold),
        ("success_threshold", 1, 120, check.success_threshold),
    ];
    for (name, least, most, value) in seconds {
        within(&path(name), "", least, most, value)?;
    }
    Ok(())
}

fn within(field: &str, unit: &str, least: u32, most: u32, value: u32) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let space = if unit.is_empty() { "" } else { " " };
    let what = format!("{value}{space}{unit} is outside {least} to {most}");
    Err(Error::invalid(field, what))
}

fn chars(field: &str, text: &str, most: u32) -> Result<()> {
    let count = text.chars().count();
    if count <= most as usize {
        return Ok(());
    }
    Err(Error::over_limit(field, "characters", u64::from(most), count as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(limits: &Limits, edit: impl FnOnce(&mut FunctionSpec)) -> Result<(), String> {
        let mut spec = FunctionSpec { function_name: "f".into(), ..FunctionSpec::default() };
        edit(&mut spec);
        spec.validate(limits).map_err(|error| {
            assert_eq!(error.code(), "InvalidArgument");
            error.message().to_owned()
        })
    }

    fn fc(edit: impl FnOnce(&mut FunctionSpec)) -> Result<(), String> {
        check(&Limits::function_compute(), edit)
    }

    fn refused_field(result: Result<(), String>) -> String {
        let message = result.unwrap_err();
        message.split(':').next().unwrap().to_owned()
    }

    fn size(cpu: f64, memory: u32) -> impl FnOnce(&mut FunctionSpec) {
        move |spec| (spec.cpu, spec.memory_size) = (cpu, memory)
    }

    /// QUO-5: steps, ranges and ratio of vCPU and memory, on both sides.
    #[test]
    fn quo_5_cpu_and_memory() {
        for (cpu, memory) in [(0.05, 128), (0.1, 128), (0.15, 512), (0.35, 512), (0.5, 512)] {
            assert_eq!(fc(size(cpu, memory)), Ok(()), "{cpu} {memory}");
        }
        for (cpu, memory) in [(0.25, 1024), (1.0, 1024), (8.0, 32_768), (16.0, 32_768)] {
            assert_eq!(fc(size(cpu, memory)), Ok(()), "{cpu} {memory}");
        }
        let refused = [
            (0.0, 128, "cpu"),
            (0.04, 128, "cpu"),
            (0.15, 128, "cpu"),
            (0.1, 512, "cpu"),
            (0.55, 512, "cpu"),
            (16.05, 32_768, "cpu"),
            (0.351, 512, "cpu"),
            (f64::NAN, 512, "cpu"),
            (-0.35, 512, "cpu"),
            (f64::INFINITY, 512, "cpu"),
            (0.05, 64, "memory_size"),
            (0.35, 500, "memory_size"),
            (16.0, 32_832, "memory_size"),
            (0.35, 0, "memory_size"),
        ];
        for (cpu, memory, field) in refused {
            assert_eq!(refused_field(fc(size(cpu, memory))), field, "{cpu} {memory}");
        }
    }

    /// QUO-5 (FG): memory classes up to 10 GB; vCPU follows.
    #[test]
    fn quo_5_function_graph_has_memory_classes() {
        let fg = Limits::function_graph();
        assert_eq!(check(&fg, size(0.35, 768)), Ok(()));
        assert_eq!(check(&fg, size(0.35, 10_240)), Ok(()));
        assert_eq!(refused_field(check(&fg, size(0.35, 640))), "memory_size");
        assert_eq!(refused_field(check(&fg, size(0.35, 16_384))), "memory_size");
    }

    /// QUO-6: disk is 512 MB or 10 GB.
    #[test]
    fn quo_6_disk() {
        assert_eq!(fc(|spec| spec.disk_size = 10_240), Ok(()));
        for disk in [0, 511, 513, 10_241] {
            assert_eq!(refused_field(fc(|spec| spec.disk_size = disk)), "disk_size");
        }
    }

    /// QUO-7: 4096 characters of environment, 20 tags.
    #[test]
    fn quo_7_environment_and_tags() {
        let environment = |chars: usize| {
            move |spec: &mut FunctionSpec| {
                spec.environment_variables.insert("K".into(), "v".repeat(chars - 1));
            }
        };
        assert_eq!(fc(environment(4_096)), Ok(()));
        assert_eq!(refused_field(fc(environment(4_097))), "environment_variables");
        for name in ["FC_X", "1A", "", "A-B", "A B", "_A"] {
            let edit = |spec: &mut FunctionSpec| {
                spec.environment_variables.insert(name.into(), String::new());
            };
            assert_eq!(refused_field(fc(edit)), "environment_variables", "{name}");
        }
        let tags = |count: usize| {
            move |spec: &mut FunctionSpec| {
                spec.tags = (0..count).map(|n| (format!("k{n}"), String::new())).collect();
            }
        };
        assert_eq!(fc(tags(20)), Ok(()));
        assert_eq!(refused_field(fc(tags(21))), "tags");
    }

    /// INV-7 and SCH-1: time-out and concurrency, each side, each preset.
    #[test]
    fn inv_7_sch_1_timeout_and_concurrency() {
        let presets =
            [(Limits::function_compute(), 86_400, 200), (Limits::function_graph(), 259_200, 1_000)];
        for (limits, timeout, concurrency) in presets {
            assert_eq!(check(&limits, |spec| spec.timeout = timeout), Ok(()));
            assert_eq!(check(&limits, |spec| spec.instance_concurrency = concurrency), Ok(()));
            let over = check(&limits, |spec| spec.timeout = timeout + 1);
            assert_eq!(refused_field(over), "timeout");
            let over = check(&limits, |spec| spec.instance_concurrency = concurrency + 1);
            assert_eq!(refused_field(over), "instance_concurrency");
            assert_eq!(refused_field(check(&limits, |spec| spec.timeout = 0)), "timeout");
        }
        assert_eq!(FunctionSpec::default().timeout, 3);
    }

    #[test]
    fn hooks_probes_triggers_and_names_are_checked() {
        let hook = |timeout| Some(HookConfig { timeout, ..HookConfig::default() });
        let hooks = |initializer, pre_stop| {
            move |spec: &mut FunctionSpec| {
                spec.instance_lifecycle_config = Some(super::super::InstanceLifecycleConfig {
                    initializer,
                    pre_stop,
                    ..Default::default()
                });
            }
        };
        assert_eq!(fc(hooks(hook(300), hook(90))), Ok(()));
        let field = refused_field(fc(hooks(hook(301), None)));
        assert_eq!(field, "instance_lifecycle_config.initializer.timeout");
        let field = refused_field(fc(hooks(None, hook(91))));
        assert_eq!(field, "instance_lifecycle_config.pre_stop.timeout");

        let probe = |edit: fn(&mut HealthCheckConfig)| {
            let mut probe = HealthCheckConfig::default();
            edit(&mut probe);
            fc(|spec| {
                spec.custom_runtime_config = Some(super::super::CustomRuntimeConfig {
                    health_check_config: Some(probe),
                    ..Default::default()
                });
            })
        };
        assert_eq!(probe(|probe| probe.timeout_seconds = 3), Ok(()));
        assert!(probe(|probe| probe.timeout_seconds = 4).unwrap_err().contains("timeout_seconds"));
        assert!(probe(|probe| probe.http_get_url = "x".into()).is_err());

        assert_eq!(refused_field(fc(|spec| spec.function_name = "1".into())), "function_name");
        assert_eq!(refused_field(fc(|spec| spec.runtime = "ruby".into())), "runtime");
        assert_eq!(refused_field(fc(|spec| spec.idle_timeout = Some(0))), "idle_timeout");
    }

    proptest! {
        /// Whatever is accepted lies on the documented grid.
        #[test]
        fn quo_5_accepted_sizes_are_on_the_grid(cpu in 0.0..17.0f64, memory in 0u32..40_000) {
            if fc(size(cpu, memory)).is_ok() {
                let milli = (cpu * 1000.0).round() as u32;
                prop_assert!(milli.is_multiple_of(50) && (50..=16_000).contains(&milli));
                prop_assert!(memory.is_multiple_of(64) && (128..=32_768).contains(&memory));
                prop_assert!(milli * 1024 <= memory * 1000 && memory * 1000 <= milli * 4096);
            }
        }
    }
}
