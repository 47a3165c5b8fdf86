//! Bugs to plant: what a checker is worth is shown by what it finds.

use super::Invariant;

/// A bug that is planted where decisions are carried out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sabotage {
    /// A refused request runs all the same.
    RunsTheRefused,
    /// A request runs in an instance of another function.
    RunsElsewhere,
    /// An instance is given one request more than it takes.
    Overfills,
    /// An instance is started that nobody was granted.
    StartsUnasked,
    /// A frozen instance is given a request.
    WakesTheFrozen,
    /// An instance that broke goes on serving.
    KeepsTheBroken,
    /// What an instance held is not given back.
    ForgetsToGive,
    /// An instance that is to be stopped is not.
    NeverStops,
    /// An idle instance is stopped before its time.
    StopsEarly,
    /// A request is answered twice.
    AnswersTwice,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RunsTheRefused,
        Self::RunsElsewhere,
        Self::Overfills,
        Self::StartsUnasked,
        Self::WakesTheFrozen,
        Self::KeepsTheBroken,
        Self::ForgetsToGive,
        Self::NeverStops,
        Self::StopsEarly,
        Self::AnswersTwice,
    ];

    /// The invariant that it breaks.
    pub const fn breaks(self) -> Invariant {
        match self {
            Self::RunsTheRefused => Invariant::RefusedNeverRuns,
            Self::RunsElsewhere => Invariant::OneIdentity,
            Self::Overfills => Invariant::Concurrency,
            Self::StartsUnasked => Invariant::Quota,
            Self::WakesTheFrozen => Invariant::FrozenServesNobody,
            Self::KeepsTheBroken => Invariant::BrokenServesNobody,
            Self::ForgetsToGive | Self::NeverStops => Invariant::NoLeak,
            Self::StopsEarly => Invariant::IdleRelease,
            Self::AnswersTwice => Invariant::OneAnswer,
        }
    }
}
