//! Nodes with about the same room.

use super::level::Levels;
use super::{Dim, Room, fits};

/// Nodes of a cell that are compared once one is found that fits.
const COMPARED: usize = 8;

/// Nodes for which an empty cell keeps its memory.
const KEPT: usize = 32;

/// A node in a shelf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) room: Room,
    pub(super) index: u32,
}

/// Nodes whose room is of the same levels, in no order. What the most is of each quantity, maybe of
/// three nodes, is kept beside other cells' and passed in.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) at: Levels,
    pub(super) nodes: Vec<Entry>,
}

/// Where the nodes of grids sit, by their index. A node sits in one grid of those that share this.
#[derive(Debug, Default)]
pub(in super::super) struct Seats(Vec<Seat>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seat {
    pub(super) cell: u32,
    /// In the cell.
    pub(super) place: u32,
}

impl Seats {
    pub(super) fn of(&self, index: u32) -> Seat {
        self.0[index as usize]
    }

    pub(super) fn put(&mut self, index: u32, seat: Seat) {
        let index = index as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, Seat::default());
        }
        self.0[index] = seat;
    }
}

impl Cell {
    /// Adds a node; gives its place.
    pub(super) fn push(&mut self, entry: Entry, most: &mut Room) -> u32 {
        raise(most, &entry.room);
        self.nodes.push(entry);
        (self.nodes.len() - 1) as u32
    }

    /// Removes the node at `place`; gives its room, and the index of the one that takes its place.
    pub(super) fn remove(&mut self, place: u32) -> (Room, Option<u32>) {
        let gone = self.nodes.swap_remove(place as usize).room;
        let (len, capacity) = (self.nodes.len(), self.nodes.capacity());
        if capacity > KEPT && len < capacity / 4 {
            self.nodes.shrink_to(capacity / 2);
        }
        (gone, self.nodes.get(place as usize).map(|entry| entry.index))
    }

    /// The node at `place` has other room of the same levels.
    pub(super) fn set(&mut self, place: u32, room: &Room, most: &mut Room) {
        let gone = std::mem::replace(&mut self.nodes[place as usize].room, *room);
        raise(most, room);
        self.lower(most, &gone);
    }

    /// A node with room for `need`: of the first that is found, and some after it, the one with the
    /// least of `by`.
    pub(super) fn find(&self, by: Dim, need: &Room) -> Option<Entry> {
        let first = self.nodes.iter().position(|entry| fits(need, &entry.room))?;
        let some = self.nodes[first..].iter().take(COMPARED);
        let fitting = some.filter(|entry| fits(need, &entry.room));
        fitting.min_by_key(|entry| by.of(&entry.room)).copied()
    }

    /// Such room is gone: looks for who has most now, unless somebody has as much.
    pub(super) fn lower(&self, most: &mut Room, gone: &Room) {
        for dim in 0..3 {
            if gone[dim] < most[dim] {
                continue;
            }
            most[dim] = 0;
            for entry in &self.nodes {
                most[dim] = most[dim].max(entry.room[dim]);
                if most[dim] == gone[dim] {
                    break;
                }
            }
        }
    }
}

fn raise(most: &mut Room, room: &Room) {
    *most = std::array::from_fn(|dim| most[dim].max(room[dim]));
}
