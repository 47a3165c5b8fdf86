//! The sections of the scheduler's benchmark.
//!
//! Method: contenders take turns, A B A B, in one process; a figure is CPU time of the thread that
//! did the work unless its row says otherwise, so that what else the machine does counts little.

pub(crate) mod cold;
pub(crate) mod functions;
pub(crate) mod measure;
pub(crate) mod packing;
pub(crate) mod placement;
pub(crate) mod simulation;
pub(crate) mod subject;
pub(crate) mod threads;
pub(crate) mod warm;
