//! Which quota refused, and what a caller should know of it.

use std::fmt;
use std::time::Duration;

use fc_core::{Error, ErrorKind, Retry};

/// A quota of an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Quota {
    /// Instances in all.
    Instances,
    /// New instances in a time (QUO-2).
    InstanceGrowth,
    /// vCPU in all, thousandths (QUO-1).
    Cpu,
    /// New vCPU in a time, thousandths.
    CpuGrowth,
    /// Memory in all, MB (QUO-1).
    Memory,
    /// New memory in a time, MB.
    MemoryGrowth,
}

impl Quota {
    /// Its name, with its unit last.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instances => "instances_max",
            Self::InstanceGrowth => "instances_burst",
            Self::Cpu => "cpu_milli_max",
            Self::CpuGrowth => "cpu_milli_burst",
            Self::Memory => "memory_mb_max",
            Self::MemoryGrowth => "memory_mb_burst",
        }
    }
}

/// A refusal: which quota, its limit, its use, and when to come back (QUO-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exceeded {
    /// Which.
    pub quota: Quota,
    /// What it allows, in the quota's unit; of growth, what may come at once.
    pub limit: u64,
    /// What is used of it now.
    pub used: u64,
    /// What was asked for.
    pub asked: u64,
    /// When it will do if nobody else takes it; `None`: not before something is given back.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quota, limit, used, asked, .. } = self;
        write!(f, "account quota {}: {asked} more over {used} of {limit}", quota.name())
    }
}

impl From<Exceeded> for Error {
    /// `ResourceExhausted`, the caller's to repeat when [`Exceeded::retry_after`] is over.
    fn from(exceeded: Exceeded) -> Self {
        let error = Self::new(ErrorKind::ResourceExhausted, exceeded.to_string());
        match exceeded.retry_after {
            Some(after) => error.with_retry(Retry::After(after)),
            None => error,
        }
    }
}
