//! Finds a node with little room that is enough, without looking at all of them.
//!
//! Nodes that are alike in all but their room (same zone, tenancy, owner, isolation and runtimes)
//! stand in one [`Shelf`]. A few are a list. More are a [grid](grid::Grid), whose cells hold the
//! nodes that have about the same room.

mod cell;
mod grid;
mod level;
mod row;
mod shelf;

pub(super) use cell::Seats;
pub(super) use shelf::Shelf;

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

pub(super) const fn fits(need: &Room, free: &Room) -> bool {
    (need[0] <= free[0]) & (need[1] <= free[1]) & (need[2] <= free[2])
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
