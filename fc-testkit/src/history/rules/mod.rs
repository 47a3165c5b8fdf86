//! One rule for each invariant.

mod delay;
mod depth;
mod destinations;
mod drain;
mod duplicates;
mod end;
mod identity;
mod lost;
mod phantom;
mod poison;
mod refused;
mod retries;
mod ttl;

use super::judge::{Invariant, JudgeConfig, Violation};
use super::timeline::Timeline;

type Rule = fn(&Timeline<'_>, &JudgeConfig) -> Vec<Violation>;

pub(super) const ALL: [(Invariant, Rule); 13] = [
    (Invariant::I1, lost::check),
    (Invariant::I2, phantom::check),
    (Invariant::I3, duplicates::check),
    (Invariant::I4, refused::check),
    (Invariant::I5, delay::check),
    (Invariant::I6, retries::check),
    (Invariant::I7, ttl::check),
    (Invariant::I8, destinations::check),
    (Invariant::I9, end::check),
    (Invariant::I10, identity::check),
    (Invariant::I11, poison::check),
    (Invariant::I12, depth::check),
    (Invariant::I28, drain::check),
];

#[cfg(test)]
mod script;
