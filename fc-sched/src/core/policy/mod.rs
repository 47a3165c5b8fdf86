//! How long idle instances are kept, and how many should exist: policies that an integrator may
//! replace.
//!
//! A policy is a factory ([`KeepAlive`], [`Scaling`]) that makes a state for each function; the
//! states are synchronous functions of what they are told and of `now`. The engine and the
//! simulator share them.

mod cron;
mod keep_alive;
mod scaling;
mod search;
mod zone;

pub use cron::{Cron, EXPRESSION_CHARS_MAX};
pub use keep_alive::{
    Facts, FixedKeepAlive, GreedyDual, HistogramShape, HybridHistogram, KeepAlive, KeepAliveState,
    Prewarm, Window,
};
pub use scaling::{
    Action, Combined, DefaultTarget, Forecast, ForecastShape, Load, Period, ProvisionConfig,
    ScaleIn, Scaling, ScalingState, Schedule, ScheduledAction, Season, TARGET_MAX, TargetTracking,
    TargetTrackingPolicy,
};
pub use zone::Zone;
