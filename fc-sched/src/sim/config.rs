//! What a simulation assumes of the platform.

use std::time::Duration;

use fc_core::{Error, Limits, Resources, Result};

use super::{Random, instance_size};

/// Nodes, quota, start times and waiting of a simulated platform.
///
/// ```
/// use std::time::Duration;
/// use fc_sched::sim::{ColdStart, SimConfig};
/// // What text books assume: instances are free and start at once.
/// let config = SimConfig {
///     quota: false,
///     keep_alive: Some(Duration::from_secs(600)),
///     cold_start: ColdStart::Fixed(Duration::ZERO),
///     ..SimConfig::default()
/// };
/// assert_eq!(config.nodes, None);
/// config.validate()?;
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct SimConfig {
    /// Nodes; `None`: as many as it takes.
    pub nodes: Option<u32>,
    /// What one node has.
    pub node: Resources,
    /// Zones that the nodes are spread over (NOD-4).
    pub zones: u32,
    /// Whether accounts have the quotas of QUO-1 and QUO-2.
    pub quota: bool,
    /// How long an idle instance stays, over whatever the policy would say by itself; `None`: the
    /// policy decides.
    pub keep_alive: Option<Duration>,
    /// How long an instance takes to start.
    pub cold_start: ColdStart,
    /// Of everything random in the simulation.
    pub seed: u64,
    /// Invocations that may wait for one function's instances (SCH-9).
    pub waiting_per_function_max: u32,
    /// How long an invocation waits while nobody starts an instance for it (SCH-9).
    pub capacity_wait: Duration,
}

impl SimConfig {
    /// Refuses what cannot be simulated.
    ///
    /// # Errors
    ///
    /// No node, no zone, a node that is too small for the smallest instance (QUO-5), or a start
    /// model without meaning.
    pub fn validate(&self) -> Result<()> {
        if self.nodes == Some(0) {
            return Err(Error::invalid("nodes", "0 nodes can run nothing"));
        }
        if self.zones == 0 {
            return Err(Error::invalid("zones", "0 zones hold no node"));
        }
        let least = instance_size(Limits::function_compute().memory_mb_min);
        let sizes = [
            ("node_vcpu", "thousandths of a vCPU", self.node.cpu_milli, least.cpu_milli),
            ("node_memory", "MB", self.node.memory_mb, least.memory_mb),
            ("node_disk", "MB", self.node.disk_mb, least.disk_mb),
        ];
        for (field, unit, value, least) in sizes {
            if value < least {
                let what = format!("{value} {unit} is less than the smallest instance's {least}");
                return Err(Error::invalid(field, what));
            }
        }
        self.cold_start.validate()
    }
}

/// Unlimited nodes of 32 vCPU and 64 GB (as many vCPU to a GB as [`instance_size`] gives an
/// instance, and disk that never binds) in three zones, quotas on, waiting as
/// [`Limits::function_compute`] says.
impl Default for SimConfig {
    fn default() -> Self {
        let limits = Limits::function_compute();
        Self {
            nodes: None,
            node: Resources { cpu_milli: 32_000, memory_mb: 64 * 1024, disk_mb: 1024 * 1024 },
            zones: 3,
            quota: true,
            keep_alive: None,
            cold_start: ColdStart::default(),
            seed: 1,
            waiting_per_function_max: limits.waiting_per_function_max,
            capacity_wait: Duration::from_millis(limits.capacity_wait_ms_max),
        }
    }
}

/// How long an instance takes from the decision to start it to its first request.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ColdStart {
    /// Always as long.
    Fixed(Duration),
    /// Log-normal, at most [`ColdStart::LONGEST`].
    LogNormal {
        /// Half of the starts are faster.
        median: Duration,
        /// Deviation of the logarithm.
        sigma: f64,
    },
}

impl ColdStart {
    /// A server that does not listen by then has failed to start (RUN-2, `ready_ms_max`).
    pub const LONGEST: Duration = Duration::from_secs(120);

    /// One start.
    pub fn sample(self, random: &mut Random) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::LogNormal { median, sigma } => {
                random.log_normal_time(median, sigma, Self::LONGEST)
            }
        }
    }

    fn validate(self) -> Result<()> {
        let (field, time) = match self {
            Self::Fixed(time) => ("cold_start", time),
            Self::LogNormal { median, sigma } => {
                // Ten deviations reach every double that matters.
                if !(0.0..=10.0).contains(&sigma) {
                    let what = format!("{sigma} is outside 0 to 10");
                    return Err(Error::invalid("cold_start sigma", what));
                }
                ("cold_start median", median)
            }
        };
        if time > Self::LONGEST {
            let most = Self::LONGEST.as_millis() as u64;
            let value = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::over_limit(field, "ms", most, value));
        }
        Ok(())
    }
}

/// A median of 300 ms, FunctionGraph's published figure (`functiongraph-lambda.md`, cold and warm
/// figures), and a deviation of 1, by which one start in a hundred takes 3 s: as long as cold
/// starts take in region 2 of Joosen et al., *Serverless Cold Starts and Where to Find Them*,
/// EuroSys 2025 (arXiv 2410.06145, abstract). The shape is an assumption.
impl Default for ColdStart {
    fn default() -> Self {
        Self::LogNormal { median: Duration::from_millis(300), sigma: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_start_is_that_of_the_limits() {
        let limits = Limits::function_compute();
        assert_eq!(ColdStart::LONGEST.as_millis() as u64, limits.ready_ms_max);
    }

    #[test]
    fn the_default_model_has_its_quantiles() {
        let mut random = Random::from_seed(5);
        let mut starts: Vec<Duration> =
            (0..100_000).map(|_| ColdStart::default().sample(&mut random)).collect();
        starts.sort_unstable();
        let near = |at: usize, ms: f64| (starts[at].as_secs_f64() * 1e3 / ms - 1.0).abs() < 0.05;
        assert!(near(50_000, 300.0), "{:?}", starts[50_000]);
        assert!(near(99_000, 3_070.0), "{:?}", starts[99_000]);
        assert!(starts[99_999] <= ColdStart::LONGEST);
        let fixed = ColdStart::Fixed(Duration::from_millis(7));
        assert_eq!(fixed.sample(&mut random), Duration::from_millis(7));
    }

    #[test]
    fn what_cannot_be_simulated_is_refused() {
        let check = |change: fn(&mut SimConfig), expected: &str| {
            let mut config = SimConfig::default();
            config.validate().unwrap();
            change(&mut config);
            let refused = config.validate().unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{refused}");
        };
        check(|c| c.nodes = Some(0), "nodes: 0");
        check(|c| c.zones = 0, "zones: 0");
        check(|c| c.node.memory_mb = 127, "node_memory: 127 MB is less than");
        check(|c| c.node.cpu_milli = 99, "node_vcpu: 99");
        check(|c| c.node.disk_mb = 511, "node_disk: 511 MB");
        check(
            |c| c.cold_start = ColdStart::Fixed(Duration::from_secs(121)),
            "cold_start: 121000 ms is over the limit of 120000",
        );
        check(
            |c| c.cold_start = ColdStart::LogNormal { median: Duration::ZERO, sigma: f64::NAN },
            "cold_start sigma: NaN is outside 0 to 10",
        );
    }
}
