//! Which quota refused, and what a caller should know of it.

use std::fmt;
use std::time::Duration;

use fc_core::{Error, ErrorKind, Resources, Retry};

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
    /// Instances that are not reserved for other functions (QUO-3).
    Unreserved,
    /// Instances of a function that has a reservation, or reservations of all functions (QUO-3).
    Reserved,
    /// Requests at once (QUO-3).
    Concurrency,
    /// Provisioned instances of all functions (QUO-3).
    Provisioned,
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
            Self::Unreserved => "unreserved_instances_max",
            Self::Reserved => "reserved_instances_max",
            Self::Concurrency => "concurrency_max",
            Self::Provisioned => "provisioned_instances_max",
        }
    }

    /// Whether it is about what is held, so that giving something back helps.
    pub const fn is_total(self) -> bool {
        matches!(self, Self::Instances | Self::Cpu | Self::Memory | Self::Unreserved)
    }

    /// Whether it stands in the way of all functions of the account alike.
    pub const fn is_of_account(self) -> bool {
        matches!(self, Self::Instances | Self::InstanceGrowth)
    }

    /// What one instance of this size takes of it.
    pub const fn of(self, size: Resources) -> u64 {
        match self {
            Self::Cpu | Self::CpuGrowth => size.cpu_milli as u64,
            Self::Memory | Self::MemoryGrowth => size.memory_mb as u64,
            _ => 1,
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
