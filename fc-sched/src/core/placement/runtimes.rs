//! Which runtimes a node has.

use std::fmt;

use fc_core::RuntimeKind;

const ALL: [RuntimeKind; 5] = [
    RuntimeKind::InProcess,
    RuntimeKind::Wasm,
    RuntimeKind::Process,
    RuntimeKind::Container,
    RuntimeKind::BuiltIn,
];

/// A set of runtime kinds, in one byte.
///
/// ```
/// use fc_core::RuntimeKind;
/// use fc_sched::core::placement::RuntimeSet;
/// let set: RuntimeSet = [RuntimeKind::Wasm, RuntimeKind::Process].into_iter().collect();
/// assert!(set.contains(RuntimeKind::Wasm) && !set.contains(RuntimeKind::Container));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RuntimeSet(u8);

impl RuntimeSet {
    /// The set of this one.
    pub const fn of(kind: RuntimeKind) -> Self {
        Self(match kind {
            RuntimeKind::InProcess => 1,
            RuntimeKind::Wasm => 1 << 1,
            RuntimeKind::Process => 1 << 2,
            RuntimeKind::Container => 1 << 3,
            RuntimeKind::BuiltIn => 1 << 4,
        })
    }

    /// Whether `kind` is in it.
    pub const fn contains(self, kind: RuntimeKind) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    /// Whether it holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<RuntimeKind> for RuntimeSet {
    fn from_iter<I: IntoIterator<Item = RuntimeKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | Self::of(kind).0))
    }
}

impl fmt::Debug for RuntimeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(ALL.into_iter().filter(|kind| self.contains(*kind))).finish()
    }
}
