//! What a simulation measures: integers, so that the same events give the same sums.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fc_core::Instant;

use crate::core::placement::NodeKey;
use crate::sim::report::{Sample, Waits};

/// Counts, peaks, and memory over time.
#[derive(Debug, Default)]
pub(in crate::sim) struct Meter {
    pub(in crate::sim) invocations: u64,
    pub(in crate::sim) cold_starts: u64,
    pub(in crate::sim) throttled: u64,
    pub(in crate::sim) refused_by: BTreeMap<&'static str, u64>,
    pub(in crate::sim) waits: Waits,
    /// MB × nanoseconds.
    busy_area: u128,
    live_area: u128,
    busy_mb: u64,
    live_mb: u64,
    busy: u64,
    pub(in crate::sim) instances: u64,
    pub(in crate::sim) instances_peak: u64,
    nodes: HashMap<NodeKey, u32, foldhash::fast::RandomState>,
    pub(in crate::sim) nodes_peak: u64,
    pub(in crate::sim) series: Vec<Sample>,
    since_sample: (u64, u64, u128),
}

const NS_A_SECOND: f64 = 1e9;
const MB_A_GB: f64 = 1024.0;
const MINUTE: u64 = 60;

impl Meter {
    /// Time passes.
    pub(in crate::sim) fn advance(&mut self, from: Instant, to: Instant) {
        let mut from = from;
        // One sample each minute, as things were then.
        loop {
            let next =
                Instant::ORIGIN + Duration::from_secs((self.series.len() as u64 + 1) * MINUTE);
            if next > to {
                break;
            }
            self.add(from, next);
            from = next;
            self.sample((self.series.len() as u64 + 1) * MINUTE);
        }
        self.add(from, to);
    }

    fn add(&mut self, from: Instant, to: Instant) {
        let passed = (to - from).as_nanos();
        self.busy_area += passed * u128::from(self.busy_mb);
        self.live_area += passed * u128::from(self.live_mb);
    }

    fn sample(&mut self, at_s: u64) {
        let (cold, throttled, _) = self.since_sample;
        self.series.push(Sample {
            at_s,
            instances: self.instances,
            busy: self.busy,
            cold_starts: self.cold_starts - cold,
            throttled: self.throttled - throttled,
            idle_gb: (self.live_mb - self.busy_mb) as f64 / MB_A_GB,
            nodes: self.nodes.len() as u64,
        });
        self.since_sample = (self.cold_starts, self.throttled, 0);
    }

    pub(in crate::sim) fn created(&mut self, memory_mb: u32, node: NodeKey) {
        self.live_mb += u64::from(memory_mb);
        self.instances += 1;
        self.instances_peak = self.instances_peak.max(self.instances);
        *self.nodes.entry(node).or_default() += 1;
        self.nodes_peak = self.nodes_peak.max(self.nodes.len() as u64);
    }

    pub(in crate::sim) fn gone(&mut self, memory_mb: u32, node: NodeKey) {
        self.live_mb -= u64::from(memory_mb);
        self.instances -= 1;
        if let Some(held) = self.nodes.get_mut(&node) {
            *held -= 1;
            if *held == 0 {
                self.nodes.remove(&node);
            }
        }
    }

    pub(in crate::sim) fn busy(&mut self, memory_mb: u32) {
        self.busy_mb += u64::from(memory_mb);
        self.busy += 1;
    }

    pub(in crate::sim) fn idle(&mut self, memory_mb: u32) {
        self.busy_mb -= u64::from(memory_mb);
        self.busy -= 1;
    }

    pub(in crate::sim) fn began(&mut self, wait: Duration, cold: bool) {
        self.waits.record(wait);
        self.cold_starts += u64::from(cold);
    }

    pub(in crate::sim) fn refused(&mut self, what: &'static str) {
        self.throttled += 1;
        *self.refused_by.entry(what).or_default() += 1;
    }

    /// Nodes that hold something.
    pub(in crate::sim) fn nodes(&self) -> u64 {
        self.nodes.len() as u64
    }

    pub(in crate::sim) fn gb_s_busy(&self) -> f64 {
        gb_s(self.busy_area)
    }

    pub(in crate::sim) fn gb_s_idle(&self) -> f64 {
        gb_s(self.live_area - self.busy_area)
    }
}

fn gb_s(area: u128) -> f64 {
    area as f64 / (MB_A_GB * NS_A_SECOND)
}
