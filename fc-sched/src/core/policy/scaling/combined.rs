//! Several policies at once.

use std::sync::Arc;

use fc_core::Timestamp;

use super::{Load, Scaling, ScalingState};

/// The highest target of those policies that have one now (`alibaba-fc.md` 4.7).
///
/// ```
/// use std::sync::Arc;
/// use fc_sched::core::policy::{Combined, Forecast, ProvisionConfig};
///
/// // What the owner configured, and what the platform learns.
/// let config = ProvisionConfig { default_target: 2, ..ProvisionConfig::default() };
/// let scaling = config.compile()?.with(Arc::new(Forecast::default()));
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Combined {
    policies: Vec<Arc<dyn Scaling>>,
}

impl Combined {
    /// And this one.
    #[must_use]
    pub fn with(mut self, policy: Arc<dyn Scaling>) -> Self {
        self.policies.push(policy);
        self
    }
}

impl Scaling for Combined {
    fn name(&self) -> &'static str {
        "combined"
    }

    fn begin(&self) -> Box<dyn ScalingState> {
        Box::new(State(self.policies.iter().map(|policy| policy.begin()).collect()))
    }
}

#[derive(Debug)]
struct State(Box<[Box<dyn ScalingState>]>);

impl ScalingState for State {
    fn target(&mut self, load: &Load) -> Option<u32> {
        // Each is asked, since each learns.
        self.0.iter_mut().filter_map(|state| state.target(load)).max()
    }

    fn next_change(&self, wall: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|state| state.next_change(wall)).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::load;
    use super::*;

    /// Says what it is told to, and when that changes.
    #[derive(Clone, Debug)]
    struct Says(Option<u32>, Option<u64>);

    impl Scaling for Says {
        fn name(&self) -> &'static str {
            "says"
        }

        fn begin(&self) -> Box<dyn ScalingState> {
            Box::new(self.clone())
        }
    }

    impl ScalingState for Says {
        fn target(&mut self, _: &Load) -> Option<u32> {
            self.0
        }

        fn next_change(&self, _: Timestamp) -> Option<Timestamp> {
            self.1.map(Timestamp::from_unix_millis)
        }
    }

    proptest! {
        #[test]
        fn sch_4_the_highest_of_several_wins(
            says in prop::collection::vec(
                (prop::option::of(0u32..9), prop::option::of(0u64..9)), 0..5),
        ) {
            let combined = says.iter().fold(Combined::default(), |combined, (target, change)| {
                combined.with(Arc::new(Says(*target, *change)))
            });
            let mut state = combined.begin();
            let load = load(0, 0);
            prop_assert_eq!(state.target(&load), says.iter().filter_map(|(target, _)| *target).max());
            let change = says.iter().filter_map(|(_, change)| *change).min();
            prop_assert_eq!(state.next_change(load.wall), change.map(Timestamp::from_unix_millis));
        }
    }
}
