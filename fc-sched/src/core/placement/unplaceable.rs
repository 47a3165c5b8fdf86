//! Why an instance has no node.

use std::fmt;

use fc_core::{Error, ErrorKind, Isolation, Resources, RuntimeKind};

use super::Tenancy;

/// Why an instance has no node; the first of these that is so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unplaceable {
    /// There is no node at all.
    NoNode,
    /// No node, in any state, has this runtime.
    NoRuntime(RuntimeKind),
    /// None of those with the runtime isolates so well.
    NoIsolation {
        /// The least that was asked for.
        asked: Isolation,
        /// The most that one has.
        most: Isolation,
    },
    /// None of those with runtime and isolation is of this tenancy.
    NoTenancy(Tenancy),
    /// None of those, in any state, could hold it if it were empty.
    TooLarge {
        /// The instance's size.
        asked: Resources,
        /// The most of each quantity that one has, maybe not the same one.
        most: Resources,
    },
    /// All of those are dedicated to other accounts.
    OthersOnly,
    /// None of those that may serve the account is ready.
    NoneReady {
        /// So many drain.
        draining: u32,
        /// So many are lost.
        lost: u32,
    },
    /// None of those that are ready has room.
    Full {
        /// The instance's size.
        asked: Resources,
        /// The room of a node that has most, or hardly less than most, of what the instance takes
        /// the greatest share of.
        roomiest: Resources,
    },
    /// Those with room were refused by the integrator's [policy](super::PlacementPolicy).
    NotAdmitted,
}

struct Size(Resources);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resources { cpu_milli, memory_mb, disk_mb } = self.0;
        write!(f, "{cpu_milli} cpu_milli, {memory_mb} memory_mb, {disk_mb} disk_mb")
    }
}

impl fmt::Display for Unplaceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => f.write_str("there is no node"),
            Self::NoRuntime(kind) => write!(f, "no node has the runtime {kind:?}"),
            Self::NoIsolation { asked, most } => {
                write!(f, "no node isolates as {asked:?} does, {most:?} is the most")
            }
            Self::NoTenancy(tenancy) => write!(f, "no node is {tenancy:?}"),
            Self::TooLarge { asked, most } => {
                write!(f, "no node could hold {}; the most is {}", Size(*asked), Size(*most))
            }
            Self::OthersOnly => f.write_str("all nodes are dedicated to other accounts"),
            Self::NoneReady { draining, lost } => {
                write!(f, "no node is ready: {draining} drain and {lost} are lost")
            }
            Self::Full { asked, roomiest } => {
                write!(
                    f,
                    "no node has room for {}; the roomiest has {}",
                    Size(*asked),
                    Size(*roomiest)
                )
            }
            Self::NotAdmitted => f.write_str("the placement policy admits no node that has room"),
        }
    }
}

impl std::error::Error for Unplaceable {}

impl From<Unplaceable> for Error {
    /// What nodes of this kind can never do is `InvalidArgument`, not to be repeated, and names the
    /// field. What another node, or time, can change is `ResourceThrottled`: the platform's fault,
    /// to be repeated later.
    fn from(reason: Unplaceable) -> Self {
        let field = match reason {
            Unplaceable::NoRuntime(_) => "runtime",
            Unplaceable::NoIsolation { .. } => "isolation",
            Unplaceable::NoTenancy(_) => "tenancy",
            Unplaceable::TooLarge { asked, most } => return too_large(asked, most, reason),
            Unplaceable::NoNode
            | Unplaceable::OthersOnly
            | Unplaceable::NoneReady { .. }
            | Unplaceable::Full { .. }
            | Unplaceable::NotAdmitted => {
                return Self::new(ErrorKind::ResourceThrottled, reason.to_string());
            }
        };
        Self::invalid(field, reason)
    }
}

fn too_large(asked: Resources, most: Resources, reason: Unplaceable) -> Error {
    let of = [
        ("cpu_milli", "thousandths of a vCPU", most.cpu_milli, asked.cpu_milli),
        ("memory_mb", "MB", most.memory_mb, asked.memory_mb),
        ("disk_mb", "MB", most.disk_mb, asked.disk_mb),
    ];
    match of.into_iter().find(|(_, _, most, asked)| asked > most) {
        Some((field, unit, most, asked)) => {
            Error::over_limit(field, unit, most.into(), asked.into())
        }
        None => Error::invalid("size", reason),
    }
}

#[cfg(test)]
mod tests {
    use fc_core::{Blame, Retry};

    use super::*;

    const ASKED: Resources = Resources { cpu_milli: 2_000, memory_mb: 4_096, disk_mb: 512 };

    #[test]
    fn what_no_node_can_ever_do_is_not_repeated_and_what_time_changes_is() {
        let never = [
            (Unplaceable::NoRuntime(RuntimeKind::Wasm), "runtime: no node has the runtime Wasm"),
            (
                Unplaceable::NoIsolation { asked: Isolation::Sandbox, most: Isolation::Process },
                "isolation: no node isolates as Sandbox does, Process is the most",
            ),
            (Unplaceable::NoTenancy(Tenancy::Dedicated), "tenancy: no node is Dedicated"),
            (
                Unplaceable::TooLarge {
                    asked: ASKED,
                    most: Resources { memory_mb: 4_095, ..ASKED },
                },
                "memory_mb: 4096 MB is over the limit of 4095",
            ),
            (
                Unplaceable::TooLarge { asked: ASKED, most: ASKED },
                "size: no node could hold 2000 cpu_milli, 4096 memory_mb, 512 disk_mb; \
                 the most is 2000 cpu_milli, 4096 memory_mb, 512 disk_mb",
            ),
        ];
        for (reason, message) in never {
            let error = Error::from(reason);
            let expected = (ErrorKind::InvalidArgument, Blame::Caller, Retry::Never);
            assert_eq!((error.kind(), error.blame(), error.retry()), expected);
            assert_eq!(error.message(), message);
        }
        let later = [
            Unplaceable::NoNode,
            Unplaceable::OthersOnly,
            Unplaceable::NoneReady { draining: 2, lost: 1 },
            Unplaceable::Full { asked: ASKED, roomiest: Resources::default() },
            Unplaceable::NotAdmitted,
        ];
        for reason in later {
            let error = Error::from(reason);
            assert_eq!(
                (error.kind(), error.blame()),
                (ErrorKind::ResourceThrottled, Blame::Platform)
            );
            assert!(matches!(error.retry(), Retry::After(_)), "{error:?}");
            assert_eq!(error.message(), reason.to_string());
        }
    }
}
