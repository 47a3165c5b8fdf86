//! Finds the node with the least room that is enough, without looking at all of them.
//!
//! Nodes that are alike in all but their room (same zone, tenancy, owner, isolation and runtimes)
//! stand in one [`Shelf`]. A few are a list. More are kept in three [views](view::View), one for
//! each quantity that best fit may order by; a view is a handful of trees.

mod page;
mod shelf;
mod tree;
mod view;

pub(super) use page::Pages;
pub(super) use shelf::Shelf;
pub(super) use view::View;

use fc_core::Resources;

/// vCPU, memory and disk, in [`Resources`]' units.
pub(super) type Room = [u32; 3];

/// Of no limit: enough for everything.
pub(super) const BOUNDLESS: Room = [u32::MAX; 3];

pub(super) const fn room(of: Resources) -> Room {
    [of.cpu_milli, of.memory_mb, of.disk_mb]
}

pub(super) const fn resources([cpu_milli, memory_mb, disk_mb]: Room) -> Resources {
    Resources { cpu_milli, memory_mb, disk_mb }
}

pub(super) fn fits(need: &Room, free: &Room) -> bool {
    need[0] <= free[0] && need[1] <= free[1] && need[2] <= free[2]
}

/// One of the three quantities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dim {
    Cpu = 0,
    Memory = 1,
    Disk = 2,
}

impl Dim {
    pub(super) const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Disk];

    pub(super) const fn of(self, room: &Room) -> u32 {
        room[self as usize]
    }
}

/// Where a node stands among others: its room in one quantity, then its index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place(u64);

impl Place {
    /// Before every node.
    pub(super) const FIRST: Self = Self(0);
    /// Not before any node.
    pub(super) const END: Self = Self(u64::MAX);

    pub(super) const fn new(room: u32, index: u32) -> Self {
        Self((room as u64) << 32 | index as u64)
    }

    pub(super) const fn index(self) -> u32 {
        self.0 as u32
    }

    /// The next place after it.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
