//! What a pool answers, and what it asks its shell to do.

use crate::core::line::WaiterKey;
use crate::core::running::RequestKey;
use crate::core::slots::InstanceKey;

/// One request's slot of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotKey {
    /// The instance.
    pub instance: InstanceKey,
    pub(super) request: RequestKey,
}

/// What a request gets.
#[derive(Debug)]
pub enum Acquire<I> {
    /// A slot, now.
    Slot(SlotKey, I),
    /// A place in the line: an [`Effect::Grant`] or [`Effect::Fail`] follows.
    Wait(WaiterKey, WaitsFor),
    /// Nothing.
    Refused(Refusal),
}

/// What a request that waits waits for, as it looked when it joined the line (OBS-6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WaitsFor {
    /// A frozen instance to be thawed.
    Thaw,
    /// An instance that is being started already.
    Start,
    /// A new instance: the function has none.
    FirstInstance,
    /// A new instance: all that there are run as many requests as they may.
    AnotherInstance,
    /// A slot: the function may have no more instances.
    Slot,
}

/// Why a request gets nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The line is full: its limit.
    LineFull(u32),
    /// The function may have no instance.
    Disabled,
    /// Nothing is started for requests, and there is no provisioned instance (SCH-4).
    OnDemandDisabled,
    /// The pool is no more: ask for the version's pool again.
    Closed,
}

/// How a request left its instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// As it should: the instance may serve others.
    Reuse,
    /// The instance takes no more requests (SCH-6). With `replace`, another is started at once.
    Revoke {
        /// Whether to start another in its place.
        replace: bool,
    },
}

/// Why an instance is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// It was idle, old, or its version is no longer served: its hooks run first.
    Retired {
        /// It has no CPU: it is resumed for its hook.
        frozen: bool,
    },
    /// It failed, or a request in it did: it is not trusted with hooks.
    Failed,
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Effect<I, W> {
    /// The pool wants another number of instances than before: settle it with the capacity, which
    /// calls [`Pool::grant`](super::Pool::grant) or [`Pool::refuse`](super::Pool::refuse).
    Want,
    /// Start an instance under this key; answer with `initializing`, `ready` or `start_failed`.
    Start(InstanceKey),
    /// Run its PreFreeze hook, then take its CPU; answer with `frozen`.
    Freeze(InstanceKey, I),
    /// Give its CPU back; answer with `thawed`.
    Thaw(InstanceKey, I),
    /// The time in which it had more CPU is over (QUO-5).
    EndBoost(InstanceKey, I),
    /// Stop this one; answer with `gone`.
    Stop(InstanceKey, I, StopReason),
    /// This waiter has a slot.
    Grant(W, SlotKey, I),
    /// This waiter gets the error of the start or of the refusal that just came.
    Fail(W),
    /// The pool is empty and closed: forget it.
    Closed,
}
