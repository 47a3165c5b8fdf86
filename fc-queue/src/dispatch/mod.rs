//! From the queue to the function: a pump for each lane, one count of permits over all of them.

mod attempt;
mod budgets;
mod deliver;
mod ending;
mod follow_up;
mod lane;
mod lanes;
mod lease;
mod permits;
mod places;
mod pump;
mod run;
mod starts;

pub(crate) use budgets::Budgets;
pub(crate) use ending::{REASON_BYTES_MAX, stopped_in_queue};
pub(crate) use follow_up::check_destinations;
pub(crate) use lanes::{Lanes, discover};
pub(crate) use permits::Permits;
pub(crate) use run::fresh_note;
pub(crate) use starts::Starts;
