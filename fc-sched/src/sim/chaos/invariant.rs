//! What must hold, by the names of `reliability.md`.

use std::fmt;

use fc_core::Instant;

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Invariant {
    /// I4: refused means never executed.
    RefusedNeverRuns,
    /// I13, SCH-5: an instance serves one version of one function of one account, ever.
    OneIdentity,
    /// I14: requests at once in an instance are within its setting.
    Concurrency,
    /// I15: an account holds no more than its quota, and grows no faster.
    Quota,
    /// I16: a frozen instance gets no request, and a busy one is not frozen.
    FrozenServesNobody,
    /// I17: an instance that failed gets no other request, and is stopped.
    BrokenServesNobody,
    /// I18: after all is over nothing is left.
    NoLeak,
    /// I19: an instance idles for as long as configured, and lives no longer than it may; a
    /// provisioned one does not idle out.
    IdleRelease,
    /// I22: each request has exactly one outcome.
    OneAnswer,
}

impl Invariant {
    /// As in `reliability.md`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::RefusedNeverRuns => "I4",
            Self::OneIdentity => "I13",
            Self::Concurrency => "I14",
            Self::Quota => "I15",
            Self::FrozenServesNobody => "I16",
            Self::BrokenServesNobody => "I17",
            Self::NoLeak => "I18",
            Self::IdleRelease => "I19",
            Self::OneAnswer => "I22",
        }
    }
}

/// An invariant that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// When, since the simulation's start.
    pub at: Instant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}: {}", self.invariant.id(), self.at, self.what)
    }
}
