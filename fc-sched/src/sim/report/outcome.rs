//! What one policy made of a trace.

use std::collections::BTreeMap;

use super::Waits;
use crate::sim::PolicyName;

/// The result of one simulation. GB are 1024 MB.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Whose result it is.
    pub policy: PolicyName,
    /// Invocations of the trace.
    pub invocations: u64,
    /// Invocations that waited for an instance to start.
    pub cold_starts: u64,
    /// Invocations that were refused.
    pub throttled: u64,
    /// The refused ones by what refused them: a quota's name, the waiting line, the nodes.
    pub refused_by: BTreeMap<String, u64>,
    /// How long the others waited for their slot.
    pub waits: Waits,
    /// Memory times time of instances that ran something.
    pub gb_s_busy: f64,
    /// Memory times time of instances that were starting or idle: what was wasted.
    pub gb_s_idle: f64,
    /// Most instances at once.
    pub instances_peak: u64,
    /// Most nodes in use at once.
    pub nodes_peak: u64,
    /// How well instances were packed.
    pub fragmentation: Fragmentation,
    /// Events that the simulation handled.
    pub events: u64,
    /// How long it took, seconds: known to whoever has a clock, who puts it in.
    pub wall_seconds: Option<f64>,
    /// One sample each simulated minute.
    pub series: Vec<Sample>,
}

/// Nodes in use ÷ the fewest that the instances' vCPU, memory and disk need: 1 is best.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fragmentation {
    /// In the mean over the time in which there were instances.
    pub mean: f64,
    /// At its worst.
    pub worst: f64,
}

/// The state of a simulated platform at the end of a minute.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sample {
    /// Seconds since the trace's start.
    pub at_s: u64,
    /// Instances there are.
    pub instances: u64,
    /// Those of them that run something.
    pub busy: u64,
    /// Cold starts since the sample before.
    pub cold_starts: u64,
    /// Invocations refused since the sample before.
    pub throttled: u64,
    /// Memory of the instances that run nothing, GB.
    pub idle_gb: f64,
    /// Nodes in use.
    pub nodes: u64,
}

impl Outcome {
    /// Nothing simulated yet.
    pub fn new(policy: PolicyName) -> Self {
        Self {
            policy,
            invocations: 0,
            cold_starts: 0,
            throttled: 0,
            refused_by: BTreeMap::new(),
            waits: Waits::default(),
            gb_s_busy: 0.0,
            gb_s_idle: 0.0,
            instances_peak: 0,
            nodes_peak: 0,
            fragmentation: Fragmentation { mean: 1.0, worst: 1.0 },
            events: 0,
            wall_seconds: None,
            series: Vec::new(),
        }
    }

    /// Cold starts in a hundred invocations; 0 without any.
    pub fn cold_starts_percent(&self) -> f64 {
        percent(self.cold_starts as f64, self.invocations as f64)
    }

    /// What was wasted of a hundred GB·s; 0 without any.
    pub fn idle_percent(&self) -> f64 {
        percent(self.gb_s_idle, self.gb_s_busy + self.gb_s_idle)
    }

    /// Events in a second of the machine's time, if that was measured.
    pub fn events_per_second(&self) -> Option<f64> {
        self.per_second(self.events)
    }

    /// Invocations in a second of the machine's time, if that was measured.
    pub fn invocations_per_second(&self) -> Option<f64> {
        self.per_second(self.invocations)
    }

    fn per_second(&self, count: u64) -> Option<f64> {
        self.wall_seconds.filter(|seconds| *seconds > 0.0).map(|seconds| count as f64 / seconds)
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// An outcome with something in every field, `scale` times as much as with 1.
    pub(in crate::sim::report) fn outcome(policy: PolicyName, scale: u64) -> Outcome {
        let mut waits = Waits::default();
        (0..95).for_each(|_| waits.record(Duration::ZERO));
        (0..5).for_each(|_| waits.record(Duration::from_millis(300)));
        let minute = |minute: u64| Sample {
            at_s: 60 * minute,
            instances: scale * (10 + minute % 7),
            busy: scale * 5,
            cold_starts: scale * (minute % 3),
            throttled: minute % 2,
            idle_gb: scale as f64 * (1.5 + (minute % 5) as f64),
            nodes: 2,
        };
        Outcome {
            invocations: 1_234_567 * scale,
            cold_starts: 12_345 * scale,
            throttled: 67,
            refused_by: [("instances_burst".into(), 60), ("waiting".into(), 7)].into(),
            waits,
            gb_s_busy: 5_000.25,
            gb_s_idle: 15_000.5 * scale as f64,
            instances_peak: 321 * scale,
            nodes_peak: 12,
            fragmentation: Fragmentation { mean: 1.125, worst: 2.0 },
            events: 4_000_000,
            wall_seconds: Some(0.5),
            series: (1..=600).map(minute).collect(),
            ..Outcome::new(policy)
        }
    }

    #[test]
    fn shares_and_rates_of_nothing_are_nothing() {
        let nothing = Outcome::new(PolicyName::Fixed);
        assert_eq!((nothing.cold_starts_percent(), nothing.idle_percent()), (0.0, 0.0));
        assert_eq!(nothing.events_per_second(), None);
        let instant = Outcome { wall_seconds: Some(0.0), ..nothing };
        assert_eq!(instant.events_per_second(), None);
        let some = outcome(PolicyName::Fixed, 1);
        assert_eq!(some.events_per_second(), Some(8_000_000.0));
        assert_eq!(some.invocations_per_second(), Some(2_469_134.0));
        assert!((some.cold_starts_percent() - 0.99994).abs() < 1e-5);
        assert!((some.idle_percent() - 75.0).abs() < 0.01);
    }
}
