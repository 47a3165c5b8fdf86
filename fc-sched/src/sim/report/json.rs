//! An outcome for programs.

use std::collections::BTreeMap;

use fc_core::{Error, Result};
use serde::Serialize;

use super::Outcome;

/// The fields in their order; the first eleven are what other programs rely on.
#[derive(Serialize)]
struct Fields<'o> {
    policy: &'static str,
    invocations: u64,
    cold_starts: u64,
    throttled: u64,
    wait_ms_p50: f64,
    wait_ms_p99: f64,
    gb_s_busy: f64,
    gb_s_idle: f64,
    instances_peak: u64,
    nodes_peak: u64,
    events_per_second: Option<f64>,
    events: u64,
    refused_by: &'o BTreeMap<String, u64>,
    fragmentation_mean: f64,
    fragmentation_worst: f64,
}

/// One JSON object on one line, without a line end. A rate that was not measured is `null`; the
/// samples over time are not in it.
///
/// # Errors
///
/// None in practice: everything in an outcome has a form in JSON.
pub fn json_line(outcome: &Outcome) -> Result<String> {
    let fields = Fields {
        policy: outcome.policy.as_str(),
        invocations: outcome.invocations,
        cold_starts: outcome.cold_starts,
        throttled: outcome.throttled,
        wait_ms_p50: outcome.waits.quantile_ms(0.5),
        wait_ms_p99: outcome.waits.quantile_ms(0.99),
        gb_s_busy: outcome.gb_s_busy,
        gb_s_idle: outcome.gb_s_idle,
        instances_peak: outcome.instances_peak,
        nodes_peak: outcome.nodes_peak,
        events_per_second: outcome.events_per_second(),
        events: outcome.events,
        refused_by: &outcome.refused_by,
        fragmentation_mean: outcome.fragmentation.mean,
        fragmentation_worst: outcome.fragmentation.worst,
    };
    serde_json::to_string(&fields).map_err(|error| {
        Error::internal("an outcome could not be written as JSON").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;
    use crate::sim::PolicyName;

    #[test]
    fn the_fields_are_the_agreed_ones_in_their_order() {
        let line = json_line(&outcome(PolicyName::HybridHistogram, 1)).unwrap();
        let expected = concat!(
            r#"{"policy":"hybrid-histogram","invocations":1234567,"cold_starts":12345,"#,
            r#""throttled":67,"wait_ms_p50":0.0,"wait_ms_p99":300.0,"gb_s_busy":5000.25,"#,
            r#""gb_s_idle":15000.5,"instances_peak":321,"nodes_peak":12,"#,
            r#""events_per_second":8000000.0,"events":4000000,"#,
            r#""refused_by":{"instances_burst":60,"waiting":7},"#,
            r#""fragmentation_mean":1.125,"fragmentation_worst":2.0}"#,
        );
        assert_eq!(line, expected);
        let unmeasured = Outcome { wall_seconds: None, ..outcome(PolicyName::Fixed, 1) };
        assert!(json_line(&unmeasured).unwrap().contains(r#""events_per_second":null"#));
    }
}
