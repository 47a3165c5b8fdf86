//! A fixed number of instances.

use fc_core::Timestamp;

use super::{Load, Scaling, ScalingState};

/// So many instances at any time (`defaultTarget`; FunctionGraph's reserved count). No state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DefaultTarget(pub u32);

impl Scaling for DefaultTarget {
    fn name(&self) -> &'static str {
        "default-target"
    }

    fn begin(&self) -> Box<dyn ScalingState> {
        Box::new(*self)
    }
}

impl ScalingState for DefaultTarget {
    fn target(&mut self, _: &Load) -> Option<u32> {
        Some(self.0)
    }

    fn next_change(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}
