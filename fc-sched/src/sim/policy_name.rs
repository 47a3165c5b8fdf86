//! The six policies by name.

use std::fmt;
use std::str::FromStr;

use fc_core::{Error, Result};

/// Which policy decides how long instances stay and how many are started ahead (SCH-11).
///
/// ```
/// use fc_sched::sim::PolicyName;
/// assert_eq!("greedy-dual".parse::<PolicyName>()?, PolicyName::GreedyDual);
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PolicyName {
    /// Every idle instance stays for the same time.
    Fixed,
    /// By the histogram of a function's pauses.
    HybridHistogram,
    /// What is cheap to start again goes first when memory is short.
    GreedyDual,
    /// Instances by the time of day.
    Schedule,
    /// Instances by utilisation.
    TargetTracking,
    /// Instances by the forecast of arrivals.
    Forecast,
}

impl PolicyName {
    /// Every policy, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Fixed,
        Self::HybridHistogram,
        Self::GreedyDual,
        Self::Schedule,
        Self::TargetTracking,
        Self::Forecast,
    ];

    /// The name on the command line and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::HybridHistogram => "hybrid-histogram",
            Self::GreedyDual => "greedy-dual",
            Self::Schedule => "schedule",
            Self::TargetTracking => "target-tracking",
            Self::Forecast => "forecast",
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PolicyName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("policy", format_args!("{name:?} is none of {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sch_11_each_name_is_one_policy() {
        for policy in PolicyName::ALL {
            assert_eq!(policy.to_string().parse::<PolicyName>().unwrap(), policy);
        }
        let refused = "lru".parse::<PolicyName>().unwrap_err();
        assert!(refused.to_string().starts_with("policy: \"lru\" is none of fixed, hybrid-"));
    }
}
